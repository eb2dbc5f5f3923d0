package grafana

import (
	"maps"
	"net/http"
	"slices"
)

// source is a data source. Secrets are never shown, only that they are there.
type source struct {
	ID               int64           `json:"id"`
	UID              string          `json:"uid"`
	OrgID            int64           `json:"orgId"`
	Name             string          `json:"name"`
	Type             string          `json:"type"`
	Access           string          `json:"access"`
	URL              string          `json:"url"`
	User             string          `json:"user"`
	Database         string          `json:"database"`
	BasicAuth        bool            `json:"basicAuth"`
	BasicAuthUser    string          `json:"basicAuthUser"`
	IsDefault        bool            `json:"isDefault"`
	JSONData         map[string]any  `json:"jsonData"`
	SecureJSONFields map[string]bool `json:"secureJsonFields"`
	ReadOnly         bool            `json:"readOnly"`
	Version          int             `json:"version"`
}

// command is the body of a create or update.
type command struct {
	source
	Secure map[string]string `json:"secureJsonData"`
}

func (s *Server) findSource(match func(*source) bool) *source {
	if i := slices.IndexFunc(s.sources, match); i >= 0 {
		return s.sources[i]
	}
	return nil
}

func (s *Server) listSources(*http.Request) (any, *status) {
	return append([]*source{}, s.sources...), nil
}

func (s *Server) getSource(r *http.Request) (any, *status) {
	if found := s.findSource(func(d *source) bool { return d.UID == r.PathValue("uid") }); found != nil {
		return found, nil
	}
	return refuse(http.StatusNotFound, "Data source not found")
}

func (s *Server) createSource(r *http.Request) (any, *status) {
	var c command
	if refused := read(r, &c); refused != nil {
		return nil, refused
	}
	if c.Name == "" || c.Type == "" || c.Access == "" {
		return refuse(http.StatusBadRequest, "bad request data")
	}
	if c.UID == "" {
		c.UID = s.newUID()
	}
	if refused := checkUID(c.UID); refused != nil {
		return nil, refused
	}
	if s.findSource(func(d *source) bool { return d.Name == c.Name }) != nil {
		return refuse(http.StatusConflict, "data source with the same name already exists")
	}
	if s.findSource(func(d *source) bool { return d.UID == c.UID }) != nil {
		return refuse(http.StatusConflict, "data source with the same uid already exists")
	}
	made := c.source
	made.ID, made.OrgID, made.Version, made.ReadOnly = s.nextID(), 1, 1, false
	s.settle(&made, c, nil)
	s.sources = append(s.sources, &made)
	return map[string]any{"id": made.ID, "name": made.Name, "message": "Datasource added", "datasource": made}, nil
}

func (s *Server) updateSource(r *http.Request) (any, *status) {
	var c command
	if refused := read(r, &c); refused != nil {
		return nil, refused
	}
	have := s.findSource(func(d *source) bool { return d.UID == r.PathValue("uid") })
	switch {
	case have == nil:
		return refuse(http.StatusNotFound, "Data source not found")
	case have.ReadOnly:
		return refuse(http.StatusForbidden, "Cannot update read-only data source")
	case s.findSource(func(d *source) bool { return d != have && d.Name == c.Name }) != nil:
		return refuse(http.StatusConflict, "data source with the same name already exists")
	case c.Version != 0 && c.Version < have.Version:
		return refuse(http.StatusConflict, "Datasource has already been updated by someone else. Please reload and try again")
	}
	made := c.source
	made.ID, made.UID, made.OrgID, made.Version, made.ReadOnly = have.ID, have.UID, 1, have.Version+1, false
	s.settle(&made, c, have.SecureJSONFields)
	*have = made
	return map[string]any{"id": have.ID, "name": have.Name, "message": "Datasource updated", "datasource": have}, nil
}

// settle notes which secrets there are, and takes the default from the others.
func (s *Server) settle(made *source, c command, before map[string]bool) {
	made.SecureJSONFields = map[string]bool{}
	maps.Copy(made.SecureJSONFields, before)
	for name := range c.Secure {
		made.SecureJSONFields[name] = true
	}
	if made.JSONData == nil {
		made.JSONData = map[string]any{}
	}
	for _, other := range s.sources {
		if made.IsDefault && other.UID != made.UID {
			other.IsDefault = false
		}
	}
}

func (s *Server) deleteSource(r *http.Request) (any, *status) {
	have := s.findSource(func(d *source) bool { return d.Name == r.PathValue("name") })
	switch {
	case have == nil:
		return refuse(http.StatusNotFound, "Data source not found")
	case have.ReadOnly:
		return refuse(http.StatusForbidden, "Cannot delete read-only data source")
	}
	s.sources = slices.DeleteFunc(s.sources, func(d *source) bool { return d == have })
	return map[string]any{"id": have.ID, "message": "Data source deleted"}, nil
}
