package slacktest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"
)

// Message is a message as the channel holds it.
type Message struct {
	Channel  string          `json:"channel"`
	TS       string          `json:"ts"`
	ThreadTS string          `json:"thread_ts,omitempty"`
	Text     string          `json:"text"`
	Blocks   json.RawMessage `json:"blocks,omitempty"`
	// Attachments are the older form of blocks, which Alertmanager uses.
	Attachments []Attachment `json:"attachments,omitempty"`
	Metadata    *Metadata    `json:"metadata,omitempty"`
	// Files that the message shares.
	Files []File `json:"files,omitempty"`
	// Broadcast replies show in the channel too.
	Broadcast bool `json:"broadcast,omitempty"`
	// EditedTS is when it was last edited.
	EditedTS string `json:"edited_ts,omitempty"`
	// Before are the earlier contents, first to last.
	Before []Version `json:"before,omitempty"`
	// Token that sent it.
	Token string `json:"-"`
}

// Version is an earlier content of an edited message.
type Version struct {
	Text   string          `json:"text"`
	Blocks json.RawMessage `json:"blocks,omitempty"`
}

// reply tells whether the message is in a thread and not its first.
func (m *Message) reply() bool { return m.ThreadTS != "" && m.ThreadTS != m.TS }

var timestamp = regexp.MustCompile(`^[0-9]{1,16}(\.[0-9]{1,9})?$`)

// nextTS returns a timestamp that no message has, later than all. The caller holds the lock.
func (s *Server) nextTS() string {
	s.lastTS = max(s.lastTS+1, s.now().UnixMicro())
	return formatTS(s.lastTS)
}

func formatTS(micros int64) string { return fmt.Sprintf("%d.%06d", micros/1e6, micros%1e6) }

// find returns a message of a channel. The caller holds the lock.
func (s *Server) find(channel, ts string) *Message {
	for _, m := range s.messages[channel] {
		if m.TS == ts {
			return m
		}
	}
	return nil
}

// writable finds the channel to post to. The caller holds the lock.
func (s *Server) writable(r request) (*Channel, *apiError) {
	c := s.channel(r.args.text("channel"), true)
	switch {
	case c == nil || c.Private && c.Outside:
		return nil, refuse("channel_not_found")
	case c.Archived:
		return nil, refuse("is_archived")
	case c.Outside && !slices.Contains(r.token.Scopes, "chat:write.public"):
		return nil, refuse("not_in_channel")
	}
	return c, nil
}

// postMessage is the method chat.postMessage.
func (s *Server) postMessage(r request) (answer, *apiError) {
	if fail := r.token.need("chat:write"); fail != nil {
		return nil, fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, fail := s.writable(r)
	if fail != nil {
		return nil, fail
	}
	m, fail := newMessage(r)
	if fail != nil {
		return nil, fail
	}
	if m.EditedTS, m.Channel, m.TS = "", c.ID, s.nextTS(); m.ThreadTS != "" && s.find(c.ID, m.ThreadTS) == nil {
		// The thread's first message was deleted: Slack puts the reply into the channel.
		m.ThreadTS = ""
	}
	cut := utf8.RuneCountInString(m.Text) > maxText
	if cut {
		m.Text = string([]rune(m.Text)[:maxText])
	}
	if err := s.journal.append(entry{Post: m}); err != nil {
		return nil, refuse("fatal_error")
	}
	s.messages[c.ID] = append(s.messages[c.ID], m)
	body := answer{"channel": c.ID, "ts": m.TS, "message": m.view(true)}
	if cut {
		body["response_metadata"] = map[string]any{"warnings": []string{"message_truncated"}}
	}
	return body, nil
}

// newMessage reads and checks the arguments of a new message.
func newMessage(r request) (*Message, *apiError) {
	blocks, fail := checkBlocks(r.args.text("blocks"))
	if fail != nil {
		return nil, fail
	}
	meta, fail := checkMetadata(r.args.text("metadata"))
	if fail != nil {
		return nil, fail
	}
	attachments, fail := checkAttachments(r.args.text("attachments"))
	if fail != nil {
		return nil, fail
	}
	m := &Message{Text: r.args.text("text"), Blocks: blocks, Attachments: attachments, ThreadTS: r.args.text("thread_ts"), Token: r.token.Value}
	if m.ThreadTS != "" && !timestamp.MatchString(m.ThreadTS) {
		return nil, refuse("invalid_thread_ts")
	}
	m.Broadcast = m.ThreadTS != "" && r.args.truth("reply_broadcast", false)
	if meta != nil && meta.EventType != "" {
		m.Metadata = meta
	}
	if m.Text == "" && m.Blocks == nil && len(m.Attachments) == 0 {
		return nil, refuse("no_text")
	}
	return m, nil
}

// update is the method chat.update. Metadata that are not given stay; an empty object removes them.
func (s *Server) update(r request) (answer, *apiError) {
	if fail := r.token.need("chat:write"); fail != nil {
		return nil, fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channel(r.args.text("channel"), false)
	if c == nil || c.Private && c.Outside {
		return nil, refuse("channel_not_found")
	}
	if c.Archived {
		return nil, refuse("is_inactive")
	}
	m := s.find(c.ID, r.args.text("ts"))
	if m == nil {
		return nil, refuse("message_not_found")
	}
	edited, fail := s.edit(*m, r)
	if fail != nil {
		return nil, fail
	}
	if err := s.journal.append(entry{Update: &edited}); err != nil {
		return nil, refuse("fatal_error")
	}
	*m = edited
	return answer{"channel": c.ID, "ts": m.TS, "text": m.Text, "message": m.view(true)}, nil
}

// edit returns the message with the new content.
func (s *Server) edit(m Message, r request) (Message, *apiError) {
	text, given := r.args.values["text"]
	blocks, fail := checkBlocks(r.args.text("blocks"))
	switch {
	case fail != nil:
		return m, fail
	case utf8.RuneCountInString(text) > maxUpdateText:
		return m, refuse("msg_too_long")
	case text == "" && blocks == nil:
		return m, refuse("no_text")
	}
	meta, fail := checkMetadata(r.args.text("metadata"))
	if fail != nil {
		return m, fail
	}
	m.Before = append(slices.Clone(m.Before), Version{Text: m.Text, Blocks: m.Blocks})
	if given || blocks != nil {
		m.Text, m.Blocks = text, blocks
	}
	switch {
	case meta == nil:
	case meta.EventType == "":
		m.Metadata = nil
	default:
		m.Metadata = meta
	}
	m.EditedTS = formatTS(s.now().Truncate(time.Second).UnixMicro())
	return m, nil
}

// view is the message as the Web API gives it.
func (m *Message) view(metadata bool) answer {
	v := answer{
		"type": "message", "user": userID, "bot_id": botID, "app_id": appID, "team": teamID,
		"ts": m.TS, "text": m.Text,
	}
	if m.Blocks != nil {
		v["blocks"] = m.Blocks
	}
	if m.ThreadTS != "" {
		v["thread_ts"] = m.ThreadTS
	}
	if m.reply() && m.Broadcast {
		v["subtype"] = "thread_broadcast"
	}
	if m.EditedTS != "" {
		v["edited"] = map[string]string{"user": botID, "ts": m.EditedTS}
	}
	if len(m.Files) > 0 {
		v["files"], v["subtype"] = m.Files, "file_share"
	}
	if metadata && m.Metadata != nil {
		v["metadata"] = m.Metadata
	}
	return v
}
