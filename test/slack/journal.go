package slacktest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// entry is a line of the state file: one thing that was accepted.
type entry struct {
	Post    *Message `json:"post,omitempty"`
	Update  *Message `json:"update,omitempty"`
	Webhook *Webhook `json:"webhook,omitempty"`
	// Clear forgets everything before.
	Clear bool `json:"clear,omitempty"`
}

// journal appends to the state file. Each line is handed to the kernel in one write before the answer, so kill -9
// loses nothing that was answered. A nil journal keeps nothing.
type journal struct{ file *os.File }

func (j *journal) append(e entry) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode the state: %w", err)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	return nil
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}

// restore reads the state file and opens it for more. A last line without an end was never answered and is cut off.
func (s *Server) restore(path string) error {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	lines := bufio.NewReader(bytes.NewReader(whole))
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("read the state: %w", err)
		}
		s.replay(e)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := file.Truncate(int64(len(whole))); err != nil {
		return errors.Join(err, file.Close())
	}
	s.journal = &journal{file: file}
	return nil
}

// replay does again what an entry says.
func (s *Server) replay(e entry) {
	switch {
	case e.Post != nil:
		s.messages[e.Post.Channel] = append(s.messages[e.Post.Channel], e.Post)
		s.lastTS = max(s.lastTS, micros(e.Post.TS))
	case e.Update != nil:
		if m := s.find(e.Update.Channel, e.Update.TS); m != nil {
			*m = *e.Update
		}
	case e.Webhook != nil:
		s.webhooks = append(s.webhooks, *e.Webhook)
	case e.Clear:
		s.messages, s.webhooks = map[string][]*Message{}, nil
	}
}
