package slacktest

import (
	"encoding/json"
	"slices"
)

// User is a person of the workspace.
type User struct {
	// ID such as U0000000011, and Name, the handle without @.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Team is the workspace; empty for that of the app. People of other workspaces are in channels shared with them.
	Team string `json:"team_id,omitempty"`
	// Outside means that the person is in no channel.
	Outside bool `json:"outside,omitempty"`
}

// Group is a user group.
type Group struct {
	ID       string   `json:"id"`
	Users    []string `json:"users"`
	Disabled bool     `json:"disabled,omitempty"`
}

// Ephemeral is a message that one person alone sees.
type Ephemeral struct {
	Message
	User string `json:"user"`
	// ByURL means that it came by a response_url.
	ByURL bool `json:"byURL,omitempty"`
}

// user finds a person. The caller holds the lock.
func (s *Server) user(id string) *User {
	for i := range s.users {
		if s.users[i].ID == id {
			return &s.users[i]
		}
	}
	return nil
}

// SetUser adds a person or changes the one with the ID.
func (s *Server) SetUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.user(u.ID); known != nil {
		*known = u
		return
	}
	s.users = append(s.users, u)
}

// SetGroup adds a user group or changes the one with the ID.
func (s *Server) SetGroup(g Group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.groups = append(slices.DeleteFunc(s.groups, func(x Group) bool { return x.ID == g.ID }), g)
}

// Ephemerals returns the messages that a person alone sees; everybody's if user is empty.
func (s *Server) Ephemerals(user string) []Ephemeral {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Ephemeral{}
	for _, e := range s.ephemerals {
		if user == "" || e.User == user {
			list = append(list, *e)
		}
	}
	return list
}

// postEphemeral is the method chat.postEphemeral.
func (s *Server) postEphemeral(r request) (answer, *apiError) {
	if fail := r.token.need("chat:write"); fail != nil {
		return nil, fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, fail := s.writable(r)
	if fail != nil {
		return nil, fail
	}
	person := s.user(r.args.text("user"))
	if person == nil || person.Outside {
		return nil, refuse("user_not_in_channel")
	}
	m, fail := newMessage(r)
	if fail != nil {
		return nil, fail
	}
	m.Channel, m.TS = c.ID, s.nextTS()
	s.ephemerals = append(s.ephemerals, &Ephemeral{Message: *m, User: person.ID})
	return answer{"message_ts": m.TS}, nil
}

// usersInfo is the method users.info.
func (s *Server) usersInfo(r request) (answer, *apiError) {
	if fail := r.token.need("users:read"); fail != nil {
		return nil, fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(r.args.text("user"))
	if u == nil {
		return nil, refuse("user_not_found")
	}
	return answer{"user": map[string]any{"id": u.ID, "team_id": u.team(), "name": u.Name, "deleted": false, "real_name": u.Name,
		"profile": map[string]string{"real_name": u.Name, "display_name": u.Name}}}, nil
}

func (u *User) team() string {
	if u.Team != "" {
		return u.Team
	}
	return teamID
}

// groupUsers is the method usergroups.users.list.
func (s *Server) groupUsers(r request) (answer, *apiError) {
	if fail := r.token.need("usergroups:read"); fail != nil {
		return nil, fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.args.text("usergroup")
	i := slices.IndexFunc(s.groups, func(g Group) bool { return g.ID == id })
	if i < 0 || s.groups[i].Disabled && !r.args.truth("include_disabled", false) {
		return nil, refuse("no_such_subteam")
	}
	return answer{"users": append([]string{}, s.groups[i].Users...)}, nil
}

// buttonOf finds a button in the blocks of a message: it must really be there.
func buttonOf(blocks json.RawMessage, actionID string) (block string, button map[string]json.RawMessage) {
	var list []struct {
		ID        string                       `json:"block_id"`
		Type      string                       `json:"type"`
		Elements  []map[string]json.RawMessage `json:"elements"`
		Accessory map[string]json.RawMessage   `json:"accessory"`
	}
	if json.Unmarshal(blocks, &list) != nil {
		return "", nil
	}
	for _, b := range list {
		elements := b.Elements
		if b.Type == "section" && b.Accessory != nil {
			elements = append(elements, b.Accessory)
		}
		for _, e := range elements {
			if text(e["type"]) == "button" && text(e["action_id"]) == actionID {
				return b.ID, e
			}
		}
	}
	return "", nil
}
