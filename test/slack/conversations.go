package slacktest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of pages.
const (
	historyDefault = 100
	historyMax     = 999
	listDefault    = 100
	listMax        = 999
)

// pageSize reads the argument limit.
func pageSize(r request, def, most int) (int, *apiError) {
	raw := r.args.text("limit")
	if raw == "" || raw == "0" {
		return def, nil
	}
	n, err := strconv.Atoi(raw)
	if err != nil || n < 1 || n > most {
		return 0, refuse("invalid_limit")
	}
	return n, nil
}

// Cursors are opaque: the base64 of where the next page starts.
func cursorOf(position string) string {
	return base64.StdEncoding.EncodeToString([]byte("next:" + position))
}

func readCursor(r request) (string, *apiError) {
	raw := r.args.text("cursor")
	if raw == "" {
		return "", nil
	}
	decoded, err := base64.StdEncoding.DecodeString(raw)
	position, ok := strings.CutPrefix(string(decoded), "next:")
	if err != nil || !ok {
		return "", refuse("invalid_cursor")
	}
	return position, nil
}

// window is the time range of a request; timestamps are compared as Slack does, as decimal numbers.
type window struct {
	oldest, latest string
	inclusive      bool
}

func readWindow(r request) (window, *apiError) {
	w := window{oldest: r.args.text("oldest"), latest: r.args.text("latest"), inclusive: r.args.truth("inclusive", false)}
	switch {
	case w.oldest != "" && !timestamp.MatchString(w.oldest):
		return w, refuse("invalid_ts_oldest")
	case w.latest != "" && !timestamp.MatchString(w.latest):
		return w, refuse("invalid_ts_latest")
	}
	return w, nil
}

// micros reads a timestamp that matches the pattern.
func micros(ts string) int64 {
	seconds, fraction, _ := strings.Cut(ts, ".")
	whole, _ := strconv.ParseInt(seconds, 10, 64)
	part, _ := strconv.ParseInt((fraction + "000000")[:6], 10, 64)
	return whole*1e6 + part
}

func (w window) holds(ts string) bool {
	at := micros(ts)
	if w.oldest != "" {
		if from := micros(w.oldest); at < from || at == from && !w.inclusive {
			return false
		}
	}
	if w.latest != "" {
		if to := micros(w.latest); at > to || at == to && !w.inclusive {
			return false
		}
	}
	return true
}

// page cuts a list at the cursor and the limit; next is empty at the end.
func page(list []*Message, from string, size int) (part []*Message, next string) {
	if from != "" {
		at := slices.IndexFunc(list, func(m *Message) bool { return m.TS == from })
		if at < 0 {
			return nil, ""
		}
		list = list[at:]
	}
	if len(list) <= size {
		return list, ""
	}
	return list[:size], cursorOf(list[size].TS)
}

func views(list []*Message, metadata bool) []answer {
	out := make([]answer, 0, len(list))
	for _, m := range list {
		out = append(out, m.view(metadata))
	}
	return out
}

func paged(body answer, next string) answer {
	body["has_more"] = next != ""
	if next != "" {
		body["response_metadata"] = map[string]string{"next_cursor": next}
	}
	return body
}

// history is the method conversations.history: what is at the channel's top level, newest first.
func (s *Server) history(r request) (answer, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, fail := s.readable(r, "history")
	if fail != nil {
		return nil, fail
	}
	size, fail := pageSize(r, historyDefault, historyMax)
	if fail != nil {
		return nil, fail
	}
	from, fail := readCursor(r)
	if fail != nil {
		return nil, fail
	}
	w, fail := readWindow(r)
	if fail != nil {
		return nil, fail
	}
	var list []*Message
	for _, m := range slices.Backward(s.messages[c.ID]) {
		if (!m.reply() || m.Broadcast) && w.holds(m.TS) {
			list = append(list, m)
		}
	}
	part, next := page(list, from, size)
	body := answer{"messages": views(part, r.args.truth("include_all_metadata", false)), "pin_count": 0}
	return paged(body, next), nil
}

// replies is the method conversations.replies: the thread's first message, then its replies, oldest first.
func (s *Server) replies(r request) (answer, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, fail := s.readable(r, "history")
	if fail != nil {
		return nil, fail
	}
	size, fail := pageSize(r, historyDefault, historyMax)
	if fail != nil {
		return nil, fail
	}
	from, fail := readCursor(r)
	if fail != nil {
		return nil, fail
	}
	w, fail := readWindow(r)
	if fail != nil {
		return nil, fail
	}
	parent := s.find(c.ID, r.args.text("ts"))
	if parent == nil {
		return nil, refuse("thread_not_found")
	}
	var list []*Message
	for _, m := range s.messages[c.ID] {
		if m.ThreadTS == parent.TS && m.reply() && w.holds(m.TS) {
			list = append(list, m)
		}
	}
	part, next := page(list, from, size)
	metadata := r.args.truth("include_all_metadata", false)
	return paged(answer{"messages": append(views([]*Message{parent}, metadata), views(part, metadata)...)}, next), nil
}

func (c *Channel) view() answer {
	return answer{
		"id": c.ID, "name": c.Name, "name_normalized": c.Name, "is_channel": !c.Private, "is_group": c.Private,
		"is_private": c.Private, "is_archived": c.Archived, "is_member": !c.Outside, "created": 1700000000, "creator": userID,
	}
}

// list is the method conversations.list.
func (s *Server) list(r request) (answer, *apiError) {
	types := r.args.text("types")
	if types == "" {
		types = "public_channel"
	}
	public, private := false, false
	for kind := range strings.SplitSeq(types, ",") {
		scope := map[string]string{
			"public_channel": "channels:read", "private_channel": "groups:read", "mpim": "mpim:read", "im": "im:read",
		}[strings.TrimSpace(kind)]
		if scope == "" {
			return nil, refuse("invalid_types")
		}
		if fail := r.token.need(scope); fail != nil {
			return nil, fail
		}
		public, private = public || scope == "channels:read", private || scope == "groups:read"
	}
	size, fail := pageSize(r, listDefault, listMax)
	if fail != nil {
		return nil, fail
	}
	from, fail := readCursor(r)
	if fail != nil {
		return nil, fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	skip, _ := strconv.Atoi(from)
	channels, next := []answer{}, ""
	for i := skip; i < len(s.channels); i++ {
		c := &s.channels[i]
		if c.Archived && r.args.truth("exclude_archived", false) || c.Private && (!private || c.Outside) || !c.Private && !public {
			continue
		}
		if len(channels) == size {
			next = cursorOf(fmt.Sprint(i))
			break
		}
		channels = append(channels, c.view())
	}
	return answer{"channels": channels, "response_metadata": map[string]string{"next_cursor": next}}, nil
}

// info is the method conversations.info.
func (s *Server) info(r request) (answer, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, fail := s.readable(r, "read")
	if fail != nil {
		return nil, fail
	}
	return answer{"channel": c.view()}, nil
}
