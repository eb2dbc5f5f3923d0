package slacktest

import (
	"net/http"
	"slices"
	"strings"
)

// authenticate finds the token: in the header Authorization, else in the form.
func (s *Server) authenticate(r *http.Request, a args) (Token, *apiError) {
	value := a.token
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		value = bearer
	}
	if value == "" {
		return Token{}, refuse("not_authed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token, ok := s.tokens[value]
	switch {
	case !ok:
		return Token{}, refuse("invalid_auth")
	case token.Error != "":
		return Token{}, refuse(token.Error)
	}
	return token, nil
}

// need refuses a token that has none of the scopes.
func (t Token) need(scopes ...string) *apiError {
	for _, scope := range scopes {
		if slices.Contains(t.Scopes, scope) {
			return nil
		}
	}
	return &apiError{code: "missing_scope", needed: strings.Join(scopes, ","), provided: strings.Join(t.Scopes, ",")}
}

// authTest is the method auth.test.
func (s *Server) authTest(request) (answer, *apiError) {
	return answer{
		"url": "https://workspace.slack.com/", "team": "Workspace", "user": "kubebot",
		"team_id": teamID, "user_id": userID, "bot_id": botID, "is_enterprise_install": false,
	}, nil
}

// channel finds a channel by ID, or by name with or without # where names are taken. The caller holds the lock.
func (s *Server) channel(name string, names bool) *Channel {
	for i := range s.channels {
		c := &s.channels[i]
		if c.ID == name || names && name != "" && c.Name == strings.TrimPrefix(name, "#") {
			return c
		}
	}
	return nil
}

// readable finds a channel whose contents the token may read. The caller holds the lock.
func (s *Server) readable(r request, kind string) (*Channel, *apiError) {
	if fail := r.token.need("channels:"+kind, "groups:"+kind, "mpim:"+kind, "im:"+kind); fail != nil {
		return nil, fail
	}
	c := s.channel(r.args.text("channel"), false)
	if c == nil || c.Private && c.Outside {
		return nil, refuse("channel_not_found")
	}
	family := "channels"
	if c.Private {
		family = "groups"
	}
	if fail := r.token.need(family + ":" + kind); fail != nil {
		return nil, fail
	}
	if kind == "history" && c.Outside {
		return nil, refuse("not_in_channel")
	}
	return c, nil
}
