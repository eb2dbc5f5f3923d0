package slacktest

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// unescape shows Slack's three escapes as people see them.
var unescape = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// WriteView writes the channels as people would see them: messages in order, replies below their thread's first
// message, edits marked.
func (s *Server) WriteView(w io.Writer) error {
	s.mu.Lock()
	channels := append([]Channel{}, s.channels...)
	s.mu.Unlock()
	for _, c := range channels {
		if _, err := fmt.Fprintf(w, "#%s\n", c.Name); err != nil {
			return err
		}
		list := s.Messages(c.ID)
		for _, m := range list {
			if m.reply() {
				continue
			}
			if err := writeMessage(w, m, "  "); err != nil {
				return err
			}
			for _, r := range list {
				if r.reply() && r.ThreadTS == m.TS {
					if err := writeMessage(w, r, "      ↳ "); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// writeMessage writes one message, its further lines indented below the first.
func writeMessage(w io.Writer, m Message, indent string) error {
	at := time.UnixMicro(micros(m.TS)).UTC().Format("15:04:05")
	if m.EditedTS != "" {
		at += " (edited)"
	}
	rest := strings.Repeat(" ", len([]rune(indent))+2)
	_, err := fmt.Fprintf(w, "%s%s\n%s%s\n", indent, at, rest, strings.ReplaceAll(strings.Join(Lines(m), "\n"), "\n", "\n"+rest))
	return err
}

// attachmentLines are the text of a message without blocks, and its attachments.
func attachmentLines(m Message) []string {
	lines := []string{m.Text}
	for _, a := range m.Attachments {
		lines = append(lines, a.Title, a.Text)
	}
	return lines
}

// Lines returns the text of a message as people see it: its blocks, or its text if it has none.
func Lines(m Message) []string {
	var blocks []map[string]json.RawMessage
	if m.Blocks == nil || json.Unmarshal(m.Blocks, &blocks) != nil {
		var lines []string
		for _, line := range attachmentLines(m) {
			if line != "" {
				lines = append(lines, unescape.Replace(line))
			}
		}
		return lines
	}
	var out []string
	add := func(raw json.RawMessage) {
		var t struct{ Text string }
		if json.Unmarshal(raw, &t) == nil && t.Text != "" {
			out = append(out, unescape.Replace(t.Text))
		}
	}
	for _, b := range blocks {
		add(b["text"])
		out = append(out, pairs(b["fields"])...)
		var elements []json.RawMessage
		if json.Unmarshal(b["elements"], &elements) == nil {
			for _, e := range elements {
				add(e)
			}
		}
	}
	return out
}

// pairs shows fields two by two, as Slack lays them out.
func pairs(raw json.RawMessage) []string {
	var fields []struct{ Text string }
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	var out []string
	for i := 0; i < len(fields); i += 2 {
		line := strings.Trim(unescape.Replace(fields[i].Text), "*")
		if i+1 < len(fields) {
			line = fmt.Sprintf("%-10s %s", line, unescape.Replace(fields[i+1].Text))
		}
		out = append(out, line)
	}
	return out
}
