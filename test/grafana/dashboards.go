package grafana

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

type folder struct {
	ID      int64  `json:"id"`
	UID     string `json:"uid"`
	OrgID   int64  `json:"orgId"`
	Title   string `json:"title"`
	URL     string `json:"url"`
	Version int    `json:"version"`
}

type dashboard struct {
	id      int64
	uid     string
	folder  string
	version int
	model   map[string]any
}

func (s *Server) findFolder(uid string) *folder {
	if i := slices.IndexFunc(s.folders, func(f *folder) bool { return f.UID == uid }); i >= 0 {
		return s.folders[i]
	}
	return nil
}

func (s *Server) getFolder(r *http.Request) (any, *status) {
	if found := s.findFolder(r.PathValue("uid")); found != nil {
		return found, nil
	}
	return refuse(http.StatusNotFound, "folder not found")
}

func (s *Server) createFolder(r *http.Request) (any, *status) {
	var f folder
	if refused := read(r, &f); refused != nil {
		return nil, refused
	}
	if f.Title == "" {
		return refuse(http.StatusBadRequest, "folder title cannot be empty")
	}
	if f.UID == "" {
		f.UID = s.newUID()
	}
	if refused := checkUID(f.UID); refused != nil {
		return nil, refused
	}
	if s.findFolder(f.UID) != nil {
		return refuse(http.StatusConflict, "a folder with the same uid already exists")
	}
	if slices.ContainsFunc(s.folders, func(other *folder) bool { return other.Title == f.Title }) {
		return refuse(http.StatusConflict, "a folder with the same name already exists in the current location")
	}
	f.ID, f.OrgID, f.Version, f.URL = s.nextID(), 1, 1, "/dashboards/f/"+f.UID
	s.folders = append(s.folders, &f)
	return f, nil
}

func (s *Server) updateFolder(r *http.Request) (any, *status) {
	var c struct {
		Title     string `json:"title"`
		Version   int    `json:"version"`
		Overwrite bool   `json:"overwrite"`
	}
	if refused := read(r, &c); refused != nil {
		return nil, refused
	}
	have := s.findFolder(r.PathValue("uid"))
	switch {
	case have == nil:
		return refuse(http.StatusNotFound, "folder not found")
	case c.Title == "":
		return refuse(http.StatusBadRequest, "folder title cannot be empty")
	case !c.Overwrite && c.Version != have.Version:
		return nil, &status{http.StatusPreconditionFailed, "The folder has been changed by someone else", "version-mismatch"}
	}
	have.Title, have.Version = c.Title, have.Version+1
	return have, nil
}

func (s *Server) findDashboard(uid string) *dashboard {
	if i := slices.IndexFunc(s.dashboards, func(d *dashboard) bool { return d.uid == uid }); i >= 0 {
		return s.dashboards[i]
	}
	return nil
}

func (s *Server) getDashboard(r *http.Request) (any, *status) {
	d := s.findDashboard(r.PathValue("uid"))
	if d == nil {
		return refuse(http.StatusNotFound, "Dashboard not found")
	}
	model := maps.Clone(d.model)
	model["id"], model["uid"], model["version"] = d.id, d.uid, d.version
	meta := map[string]any{"type": "db", "folderUid": d.folder, "version": d.version, "url": "/d/" + d.uid, "slug": slug(d), "canSave": true}
	return map[string]any{"dashboard": model, "meta": meta}, nil
}

func slug(d *dashboard) string {
	return strings.ToLower(strings.ReplaceAll(fmt.Sprint(d.model["title"]), " ", "-"))
}

// saveDashboard makes or changes a dashboard. One that is there is changed only by who has seen its version, unless
// overwrite is set.
func (s *Server) saveDashboard(r *http.Request) (any, *status) {
	var c struct {
		Dashboard map[string]any `json:"dashboard"`
		FolderUID string         `json:"folderUid"`
		Overwrite bool           `json:"overwrite"`
	}
	if refused := read(r, &c); refused != nil {
		return nil, refused
	}
	if title, _ := c.Dashboard["title"].(string); strings.TrimSpace(title) == "" {
		return nil, &status{http.StatusBadRequest, "Dashboard title cannot be empty", "empty-name"}
	}
	if c.FolderUID != "" && s.findFolder(c.FolderUID) == nil {
		return refuse(http.StatusBadRequest, "folder not found")
	}
	uid, _ := c.Dashboard["uid"].(string)
	if uid == "" {
		uid = s.newUID()
	}
	if refused := checkUID(uid); refused != nil {
		return nil, refused
	}
	id, _ := c.Dashboard["id"].(float64)
	version, _ := c.Dashboard["version"].(float64)
	d := s.findDashboard(uid)
	switch {
	case d == nil && id != 0 && !slices.ContainsFunc(s.dashboards, func(d *dashboard) bool { return float64(d.id) == id }):
		return nil, &status{http.StatusNotFound, "Dashboard not found", "not-found"}
	case d == nil:
		d = &dashboard{id: s.nextID(), uid: uid}
		s.dashboards = append(s.dashboards, d)
	case !c.Overwrite && int(version) != d.version:
		return nil, &status{http.StatusPreconditionFailed, "The dashboard has been changed by someone else", "version-mismatch"}
	}
	d.version, d.folder, d.model = d.version+1, c.FolderUID, c.Dashboard
	for _, own := range []string{"id", "uid", "version"} {
		delete(d.model, own)
	}
	return map[string]any{
		"id": d.id, "uid": d.uid, "url": "/d/" + d.uid, "status": "success", "version": d.version, "slug": slug(d), "folderUid": d.folder,
	}, nil
}

func (s *Server) deleteDashboard(r *http.Request) (any, *status) {
	d := s.findDashboard(r.PathValue("uid"))
	if d == nil {
		return refuse(http.StatusNotFound, "Dashboard not found")
	}
	s.dashboards = slices.DeleteFunc(s.dashboards, func(other *dashboard) bool { return other == d })
	return map[string]any{"title": d.model["title"], "message": fmt.Sprintf("Dashboard %v deleted", d.model["title"]), "id": d.id}, nil
}

// search finds dashboards by their tags, all of which they must have; the limit is 1000 unless given, 5000 at most.
func (s *Server) search(r *http.Request) (any, *status) {
	q := r.URL.Query()
	limit := 1000
	if text := q.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit > 5000 {
			return refuse(http.StatusUnprocessableEntity, "limit is above maximum allowed: 5000, use page parameter to access hits beyond limit")
		}
	}
	hits := []map[string]any{}
	for _, d := range s.dashboards {
		tags := []string{}
		for _, tag := range list(d.model["tags"]) {
			tags = append(tags, fmt.Sprint(tag))
		}
		if !slices.ContainsFunc(q["tag"], func(tag string) bool { return !slices.Contains(tags, tag) }) && len(hits) < limit {
			hits = append(hits, map[string]any{
				"id": d.id, "uid": d.uid, "title": d.model["title"], "uri": "db/" + slug(d), "url": "/d/" + d.uid, "type": "dash-db",
				"tags": tags, "isStarred": false, "folderUid": d.folder,
			})
		}
	}
	return hits, nil
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func (s *Server) getPreferences(*http.Request) (any, *status) { return s.preferences, nil }

func (s *Server) patchPreferences(r *http.Request) (any, *status) {
	var c map[string]any
	if refused := read(r, &c); refused != nil {
		return nil, refused
	}
	maps.Copy(s.preferences, c)
	return map[string]any{"message": "Preferences updated"}, nil
}
