package slacktest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Limits of messages, in characters.
const (
	// maxText is where chat.postMessage cuts the text, and maxUpdateText where chat.update refuses it.
	maxText       = 40000
	maxUpdateText = 4000
	// Block Kit: https://docs.slack.dev/reference/block-kit/blocks.
	maxBlocks        = 50
	maxHeader        = 150
	maxSectionText   = 3000
	maxFields        = 10
	maxFieldText     = 2000
	maxContext       = 10
	maxBlockID       = 255
	maxActions       = 25
	maxButtonText    = 75
	maxElementAction = 255
	maxButtonValue   = 2000
	maxButtonURL     = 3000
	maxConfirmTitle  = 100
	maxConfirmText   = 300
	maxConfirmButton = 30
	// maxBlocksText bounds the text of all blocks together, for which Slack publishes no number: messages of 9,597
	// characters were seen to be accepted and of 11,341 to be refused (slackapi/bolt-js#2867).
	maxBlocksText = 10000
	// maxMetadata bounds metadata in bytes; Slack publishes no number.
	maxMetadata = 8 << 10
)

// blockError is a complaint in Slack's form.
func blockError(pointer, format string, a ...any) string {
	return fmt.Sprintf("[ERROR] "+format+" [json-pointer:/blocks%s]", append(a, pointer)...)
}

// checkBlocks refuses blocks that Slack refuses.
func checkBlocks(raw string) (json.RawMessage, *apiError) {
	if raw == "" {
		return nil, nil
	}
	var blocks []map[string]json.RawMessage
	if err := json.Unmarshal([]byte(raw), &blocks); err != nil {
		return nil, refuse("invalid_blocks_format")
	}
	if len(blocks) == 0 {
		return nil, nil
	}
	c := checker{ids: map[string]bool{}}
	if len(blocks) > maxBlocks {
		c.complain("", "no more than %d items allowed", maxBlocks)
	}
	for i, b := range blocks {
		c.block(fmt.Sprintf("/%d", i), b)
	}
	switch {
	case len(c.problems) > 0:
		return nil, &apiError{code: "invalid_blocks", messages: c.problems}
	case c.text > maxBlocksText:
		return nil, refuse("msg_blocks_too_long")
	}
	return json.RawMessage(raw), nil
}

// Attachment is the part of a secondary attachment that people see as text
// (https://docs.slack.dev/messaging/formatting-message-text#attachments).
type Attachment struct {
	Title    string `json:"title,omitempty"`
	Text     string `json:"text,omitempty"`
	Fallback string `json:"fallback,omitempty"`
	Color    string `json:"color,omitempty"`
}

// maxAttachments of a message: chat.postMessage answers too_many_attachments above.
const maxAttachments = 100

func checkAttachments(raw string) ([]Attachment, *apiError) {
	if raw == "" {
		return nil, nil
	}
	var list []Attachment
	if err := json.Unmarshal([]byte(raw), &list); err != nil {
		return nil, refuse("invalid_attachments")
	}
	if len(list) > maxAttachments {
		return nil, refuse("too_many_attachments")
	}
	return list, nil
}

// checker walks through blocks.
type checker struct {
	ids      map[string]bool
	problems []string
	text     int
}

func (c *checker) complain(pointer, format string, a ...any) {
	c.problems = append(c.problems, blockError(pointer, format, a...))
}

// block checks one block. Kinds of which only the name is known here are taken as they are.
func (c *checker) block(at string, b map[string]json.RawMessage) {
	c.id(at, b["block_id"])
	switch kind := text(b["type"]); kind {
	case "header":
		c.textObject(at+"/text", b["text"], maxHeader, "plain_text")
	case "section":
		c.section(at, b)
	case "context":
		c.elements(at, b["elements"], maxContext)
	case "actions":
		c.elements(at, b["elements"], maxActions)
	case "divider", "image", "rich_text", "file", "video", "input", "markdown":
	case "":
		c.complain(at, "missing required field: type")
	default:
		c.complain(at+"/type", "unsupported type: %s", kind)
	}
}

func (c *checker) id(at string, raw json.RawMessage) {
	id := text(raw)
	switch {
	case id == "":
	case utf8.RuneCountInString(id) > maxBlockID:
		c.complain(at+"/block_id", "must be less than %d characters", maxBlockID+1)
	case c.ids[id]:
		c.complain(at+"/block_id", "`block_id` must be unique")
	}
	c.ids[id] = true
}

func (c *checker) section(at string, b map[string]json.RawMessage) {
	var fields []json.RawMessage
	if raw, ok := b["fields"]; ok {
		if json.Unmarshal(raw, &fields) != nil || len(fields) == 0 || len(fields) > maxFields {
			c.complain(at+"/fields", "must have 1 to %d items", maxFields)
		}
	}
	if _, ok := b["text"]; ok {
		c.textObject(at+"/text", b["text"], maxSectionText, "plain_text", "mrkdwn")
	} else if len(fields) == 0 {
		c.complain(at, "missing required field: text or fields")
	}
	for i, f := range fields {
		c.textObject(fmt.Sprintf("%s/fields/%d", at, i), f, maxFieldText, "plain_text", "mrkdwn")
	}
}

// elements checks those of context and actions blocks.
func (c *checker) elements(at string, raw json.RawMessage, most int) {
	var elements []map[string]json.RawMessage
	if json.Unmarshal(raw, &elements) != nil || len(elements) == 0 || len(elements) > most {
		c.complain(at+"/elements", "must have 1 to %d items", most)
		return
	}
	actions := map[string]bool{}
	for i, e := range elements {
		at := fmt.Sprintf("%s/elements/%d", at, i)
		if id := text(e["action_id"]); id != "" {
			if actions[id] {
				c.complain(at+"/action_id", "`action_id` must be unique within the block")
			}
			actions[id] = true
		}
		switch text(e["type"]) {
		case "plain_text", "mrkdwn":
			whole, _ := json.Marshal(e)
			c.textObject(at, whole, maxSectionText, "plain_text", "mrkdwn")
		case "button":
			c.button(at, e)
		case "":
			c.complain(at, "missing required field: type")
		}
	}
}

// button checks a button and its dialog (https://docs.slack.dev/reference/block-kit/block-elements/button-element).
func (c *checker) button(at string, e map[string]json.RawMessage) {
	c.textObject(at+"/text", e["text"], maxButtonText, "plain_text")
	for field, most := range map[string]int{"action_id": maxElementAction, "value": maxButtonValue, "url": maxButtonURL} {
		if utf8.RuneCountInString(text(e[field])) > most {
			c.complain(at+"/"+field, "must be less than %d characters", most+1)
		}
	}
	if style, ok := e["style"]; ok && text(style) != "primary" && text(style) != "danger" {
		c.complain(at+"/style", "must be one of primary, danger")
	}
	if u := text(e["url"]); e["url"] != nil && !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "http://") {
		c.complain(at+"/url", "must be a valid URL")
	}
	raw, ok := e["confirm"]
	if !ok {
		return
	}
	var dialog map[string]json.RawMessage
	if json.Unmarshal(raw, &dialog) != nil {
		c.complain(at+"/confirm", "must be a confirmation dialog object")
		return
	}
	c.textObject(at+"/confirm/title", dialog["title"], maxConfirmTitle, "plain_text")
	c.textObject(at+"/confirm/text", dialog["text"], maxConfirmText, "plain_text", "mrkdwn")
	c.textObject(at+"/confirm/confirm", dialog["confirm"], maxConfirmButton, "plain_text")
	c.textObject(at+"/confirm/deny", dialog["deny"], maxConfirmButton, "plain_text")
}

// textObject checks a text object: its kind, its length, and the fields that belong to its kind alone.
func (c *checker) textObject(at string, raw json.RawMessage, most int, kinds ...string) {
	var t struct {
		Type     string `json:"type"`
		Text     string `json:"text"`
		Emoji    *bool  `json:"emoji"`
		Verbatim *bool  `json:"verbatim"`
	}
	if json.Unmarshal(raw, &t) != nil {
		c.complain(at, "must be a text object")
		return
	}
	known := false
	for _, k := range kinds {
		known = known || t.Type == k
	}
	length := utf8.RuneCountInString(t.Text)
	c.text += length
	switch {
	case !known:
		c.complain(at+"/type", "must be one of %v", kinds)
	case length == 0:
		c.complain(at+"/text", "must be more than 0 characters")
	case length > most:
		c.complain(at+"/text", "must be less than %d characters", most+1)
	case t.Type == "mrkdwn" && t.Emoji != nil:
		c.complain(at+"/emoji", "no such field for mrkdwn")
	case t.Type == "plain_text" && t.Verbatim != nil:
		c.complain(at+"/verbatim", "no such field for plain_text")
	}
}

// text returns a JSON string, or nothing.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// Metadata of a message (https://docs.slack.dev/messaging/message-metadata).
type Metadata struct {
	EventType    string         `json:"event_type"`
	EventPayload map[string]any `json:"event_payload"`
}

var eventType = regexp.MustCompile(`^[A-Za-z0-9_]{1,255}$`)

// checkMetadata refuses metadata that Slack refuses; an empty object, which removes them, gives a zero EventType.
func checkMetadata(raw string) (*Metadata, *apiError) {
	if raw == "" {
		return nil, nil
	}
	var m Metadata
	switch err := json.Unmarshal([]byte(raw), &m); {
	case err != nil:
		return nil, refuse("invalid_metadata_format")
	case len(raw) > maxMetadata:
		return nil, refuse("metadata_too_large")
	case m.EventType == "" && m.EventPayload == nil:
		return &m, nil
	case !eventType.MatchString(m.EventType) || m.EventPayload == nil:
		return nil, refuse("invalid_metadata_schema")
	}
	return &m, nil
}
