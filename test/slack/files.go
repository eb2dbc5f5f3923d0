package slacktest

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
)

// File is a file that was uploaded.
type File struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`
	Size  int    `json:"size"`
	// AltText describes a picture to those who don't see it.
	AltText string `json:"alt_txt,omitempty"`
	// Data are the bytes, for tests to look at.
	Data []byte `json:"-"`

	ticket   string
	received bool
	shared   bool
}

// Limits of uploads: 1 GB a file (https://docs.slack.dev/messaging/working-with-files); the server of the tests keeps files
// in memory and takes less.
const (
	maxFile    = 16 << 20
	maxAltText = 1000
)

// uploadURL is the method files.getUploadURLExternal.
func (s *Server) uploadURL(r request) (answer, *apiError) {
	if fail := r.token.need("files:write"); fail != nil {
		return nil, fail
	}
	size, err := strconv.Atoi(r.args.text("length"))
	switch {
	case err != nil || size < 1 || r.args.text("filename") == "":
		return nil, refuse("missing_argument")
	case size > maxFile:
		return nil, refuse("file_upload_size_restricted")
	case len([]rune(r.args.text("alt_txt"))) > maxAltText:
		return nil, refuse("alt_txt_too_large")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &File{ID: "F" + strconv.Itoa(10000000+len(s.files)), Name: r.args.text("filename"), Size: size, AltText: r.args.text("alt_txt"), ticket: token(16)}
	s.files[f.ID] = f
	return answer{"upload_url": s.baseURL + "/upload/v1/" + f.ticket, "file_id": f.ID}, nil
}

// serveUpload takes the bytes, raw or as a form.
func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request) {
	record := s.begin("upload", "")
	defer record.end()
	if f := s.faults.take("upload", "", "", false); f != nil {
		record.Fault = f.Kind
		if s.fail(w, r, *f, record) {
			return
		}
	}
	var data []byte
	var err error
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		var part io.ReadCloser
		if part, err = firstPart(r); err == nil {
			data, err = io.ReadAll(io.LimitReader(part, maxFile+1))
		}
	} else {
		data, err = io.ReadAll(io.LimitReader(r.Body, maxFile+1))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		if f.ticket != r.PathValue("ticket") || f.received || err != nil || len(data) != f.Size {
			continue
		}
		f.Data, f.received, record.Accepted = data, true, true
		_, _ = io.WriteString(w, "OK - "+strconv.Itoa(len(data)))
		return
	}
	record.Error = "upload"
	http.Error(w, "the upload does not fit what was announced", http.StatusBadRequest)
}

func firstPart(r *http.Request) (io.ReadCloser, error) {
	reader, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	for {
		part, err := reader.NextPart()
		if err != nil || part.FileName() != "" {
			return part, err
		}
	}
}

// completeUpload is the method files.completeUploadExternal: the file appears in the channel or thread.
func (s *Server) completeUpload(r request) (answer, *apiError) {
	if fail := r.token.need("files:write"); fail != nil {
		return nil, fail
	}
	var list []struct{ ID, Title string }
	if json.Unmarshal([]byte(r.args.text("files")), &list) != nil || len(list) == 0 {
		return nil, refuse("invalid_arguments")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var files []File
	for _, item := range list {
		f := s.files[item.ID]
		if f == nil || f.shared || !f.received {
			return nil, refuse("file_not_found")
		}
		f.Title = item.Title
		files = append(files, *f)
	}
	if id := r.args.text("channel_id"); id != "" {
		c := s.channel(id, false)
		switch {
		case c == nil || c.Private && c.Outside:
			return nil, refuse("channel_not_found")
		case c.Outside:
			return nil, refuse("not_in_channel")
		case c.Archived:
			return nil, refuse("is_archived")
		}
		m := &Message{
			Channel: c.ID, TS: s.nextTS(), ThreadTS: r.args.text("thread_ts"),
			Text: r.args.text("initial_comment"), Files: files, Token: r.token.Value,
		}
		if err := s.journal.append(entry{Post: m}); err != nil {
			return nil, refuse("fatal_error")
		}
		s.messages[c.ID] = append(s.messages[c.ID], m)
	}
	for _, item := range list {
		s.files[item.ID].shared = true
	}
	return answer{"files": files}, nil
}

// Files returns what was uploaded and shared.
func (s *Server) Files() []File {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []File{}
	for _, f := range s.files {
		if f.shared {
			list = append(list, *f)
		}
	}
	return list
}
