package slacktest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"

	slacktest "github.com/kubebot/kubebot/test/slack"
)

const (
	token = "xoxb-test"
	prod  = "C0000000001"
)

// setup is a workspace, its control, and a client that speaks Slack's protocol.
type setup struct {
	*slacktest.Server
	web   *httptest.Server
	admin *httptest.Server
	slack *slackgo.Client
}

func newSetup(t *testing.T, change func(*slacktest.Options)) setup {
	t.Helper()
	options := slacktest.Options{
		Tokens: []slacktest.Token{{Value: token, Scopes: []string{"chat:write", "channels:history", "channels:read", "groups:history"}}},
		Channels: []slacktest.Channel{
			{ID: prod, Name: "prod"}, {ID: "C0000000002", Name: "outside", Outside: true}, {ID: "C0000000003", Name: "archived", Archived: true},
			{ID: "C0000000004", Name: "private", Private: true}, {ID: "C0000000005", Name: "hidden", Private: true, Outside: true},
		},
		Limits: slacktest.NoLimits(),
	}
	if change != nil {
		change(&options)
	}
	server, err := slacktest.New(options)
	if err != nil {
		t.Fatal(err)
	}
	s := setup{Server: server, web: httptest.NewServer(server.Handler()), admin: httptest.NewServer(server.Admin())}
	s.slack = slackgo.New(token, slackgo.OptionAPIURL(s.web.URL+"/api/"))
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		s.web.Close()
		s.admin.Close()
	})
	return s
}

func (s setup) post(t *testing.T, text string, options ...slackgo.MsgOption) string {
	t.Helper()
	_, ts, err := s.slack.PostMessage(prod, append(options, slackgo.MsgOptionText(text, false))...)
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

// code returns the error that Slack answered with.
func code(err error) string {
	var answered slackgo.SlackErrorResponse
	if errors.As(err, &answered) {
		return answered.Err
	}
	return fmt.Sprint(err)
}

func TestAuthTest(t *testing.T) {
	s := newSetup(t, nil)
	resp, err := s.slack.AuthTest()
	if err != nil || resp.BotID == "" || resp.Header.Get("X-OAuth-Scopes") != "chat:write,channels:history,channels:read,groups:history" {
		t.Errorf("got %+v, %v", resp, err)
	}
	for name, want := range map[string]string{"": "not_authed", "xoxb-other": "invalid_auth"} {
		if _, err := slackgo.New(name, slackgo.OptionAPIURL(s.web.URL+"/api/")).AuthTest(); code(err) != want {
			t.Errorf("token %q: %v, want %s", name, err, want)
		}
	}
	s.SetToken(slacktest.Token{Value: token, Error: "token_revoked"})
	if _, err := s.slack.AuthTest(); code(err) != "token_revoked" {
		t.Errorf("revoked: %v", err)
	}
}

func TestWhereMessagesMayGo(t *testing.T) {
	for name, c := range map[string]struct {
		channel string
		scopes  []string
		want    string
	}{
		"by ID":                       {channel: prod},
		"by name":                     {channel: "#prod"},
		"by bare name":                {channel: "prod"},
		"private member":              {channel: "C0000000004"},
		"unknown":                     {channel: "#nowhere", want: "channel_not_found"},
		"no channel":                  {want: "channel_not_found"},
		"private and not a member":    {channel: "C0000000005", want: "channel_not_found"},
		"archived":                    {channel: "#archived", want: "is_archived"},
		"not a member":                {channel: "#outside", want: "not_in_channel"},
		"not a member but allowed to": {channel: "#outside", scopes: []string{"chat:write", "chat:write.public"}},
		"without the scope":           {channel: prod, scopes: []string{"channels:history"}, want: "missing_scope"},
	} {
		s := newSetup(t, func(o *slacktest.Options) {
			if c.scopes != nil {
				o.Tokens[0].Scopes = c.scopes
			}
		})
		id, ts, err := s.slack.PostMessage(c.channel, slackgo.MsgOptionText("x", false))
		if c.want != "" && code(err) != c.want || c.want == "" && (err != nil || id[0] != 'C' || ts == "") {
			t.Errorf("%s: %s %s %v, want %q", name, id, ts, err, c.want)
		}
	}
}

func TestMissingScopeSaysWhich(t *testing.T) {
	s := newSetup(t, func(o *slacktest.Options) { o.Tokens[0].Scopes = []string{"channels:read"} })
	_, _, err := s.slack.PostMessage(prod, slackgo.MsgOptionText("x", false))
	var answered slackgo.SlackErrorResponse
	if !errors.As(err, &answered) || answered.Needed != "chat:write" || answered.Provided != "channels:read" {
		t.Errorf("got %+v", answered)
	}
}

func section(text string) slackgo.Block {
	return slackgo.NewSectionBlock(slackgo.NewTextBlockObject("plain_text", text, false, false), nil, nil)
}

func header(text string) slackgo.Block {
	return slackgo.NewHeaderBlock(slackgo.NewTextBlockObject("plain_text", text, false, false))
}

func repeated(b slackgo.Block, n int) []slackgo.Block { return slices.Repeat([]slackgo.Block{b}, n) }

func TestLimitsOfMessages(t *testing.T) {
	x := strings.Repeat
	fields := func(n, length int) slackgo.Block {
		f := slackgo.NewTextBlockObject("mrkdwn", x("f", length), false, true)
		return slackgo.NewSectionBlock(nil, slices.Repeat([]*slackgo.TextBlockObject{f}, n), nil)
	}
	context := func(n int) slackgo.Block {
		e := slackgo.NewTextBlockObject("plain_text", "e", false, false)
		return slackgo.NewContextBlock("", slices.Repeat([]slackgo.MixedElement{e}, n)...)
	}
	for name, c := range map[string]struct {
		blocks []slackgo.Block
		want   string
	}{
		"50 blocks":                    {repeated(section("s"), 50), ""},
		"51 blocks":                    {repeated(section("s"), 51), "invalid_blocks"},
		"header of 150":                {[]slackgo.Block{header(x("h", 150))}, ""},
		"header of 151":                {[]slackgo.Block{header(x("h", 151))}, "invalid_blocks"},
		"header of 150 wide":           {[]slackgo.Block{header(x("ж", 150))}, ""},
		"section of 3000":              {[]slackgo.Block{section(x("s", 3000))}, ""},
		"section of 3001":              {[]slackgo.Block{section(x("s", 3001))}, "invalid_blocks"},
		"empty section":                {[]slackgo.Block{section("")}, "invalid_blocks"},
		"section with nothing":         {[]slackgo.Block{slackgo.NewSectionBlock(nil, nil, nil)}, "invalid_blocks"},
		"header with formats":          {[]slackgo.Block{slackgo.NewHeaderBlock(slackgo.NewTextBlockObject("mrkdwn", "h", false, false))}, "invalid_blocks"},
		"10 fields":                    {[]slackgo.Block{fields(10, 10)}, ""},
		"11 fields":                    {[]slackgo.Block{fields(11, 10)}, "invalid_blocks"},
		"a field of 2000":              {[]slackgo.Block{fields(1, 2000)}, ""},
		"a field of 2001":              {[]slackgo.Block{fields(1, 2001)}, "invalid_blocks"},
		"10 context elements":          {[]slackgo.Block{context(10)}, ""},
		"11 context elements":          {[]slackgo.Block{context(11)}, "invalid_blocks"},
		"blocks too long together":     {repeated(section(x("s", 2900)), 4), "msg_blocks_too_long"},
		"blocks just short enough":     {repeated(section(x("s", 2500)), 4), ""},
		"a divider":                    {[]slackgo.Block{slackgo.NewDividerBlock()}, ""},
		"block IDs that are the same":  {[]slackgo.Block{slackgo.NewContextBlock("a", slackgo.NewTextBlockObject("plain_text", "x", false, false)), slackgo.NewContextBlock("a", slackgo.NewTextBlockObject("plain_text", "x", false, false))}, "invalid_blocks"},
		"plain text with verbatim set": {[]slackgo.Block{slackgo.NewSectionBlock(slackgo.NewTextBlockObject("plain_text", "x", false, true), nil, nil)}, "invalid_blocks"},
	} {
		s := newSetup(t, nil)
		_, ts, err := s.slack.PostMessage(prod, slackgo.MsgOptionText("fallback", false), slackgo.MsgOptionBlocks(c.blocks...))
		if c.want == "" && err != nil || c.want != "" && code(err) != c.want {
			t.Errorf("%s: post gives %v, want %q", name, err, c.want)
		}
		if c.want == "" {
			if _, _, _, err := s.slack.UpdateMessage(prod, ts, slackgo.MsgOptionBlocks(c.blocks...)); err != nil {
				t.Errorf("%s: update gives %v", name, err)
			}
		}
	}
}

func TestLimitsOfTextAndMetadata(t *testing.T) {
	s := newSetup(t, nil)
	ts := s.post(t, strings.Repeat("ж", 40001))
	if got := []rune(s.Messages(prod)[0].Text); len(got) != 40000 {
		t.Errorf("a text of 40,001 characters is kept with %d", len(got))
	}
	for length, want := range map[int]string{4000: "<nil>", 4001: "msg_too_long"} {
		if _, _, _, err := s.slack.UpdateMessage(prod, ts, slackgo.MsgOptionText(strings.Repeat("x", length), false)); code(err) != want {
			t.Errorf("an edit with %d characters gives %v, want %s", length, err, want)
		}
	}
	if _, _, err := s.slack.PostMessage(prod, slackgo.MsgOptionText("", false)); code(err) != "no_text" {
		t.Errorf("no text gives %v", err)
	}
	for name, c := range map[string]struct {
		meta slackgo.SlackMetadata
		want string
	}{
		"good":         {slackgo.SlackMetadata{EventType: "a_b", EventPayload: map[string]any{"key": "k"}}, "<nil>"},
		"no payload":   {slackgo.SlackMetadata{EventType: "a_b"}, "invalid_metadata_schema"},
		"bad type":     {slackgo.SlackMetadata{EventType: "a b", EventPayload: map[string]any{}}, "invalid_metadata_schema"},
		"much too big": {slackgo.SlackMetadata{EventType: "a_b", EventPayload: map[string]any{"key": strings.Repeat("k", 9000)}}, "metadata_too_large"},
	} {
		if _, _, err := s.slack.PostMessage(prod, slackgo.MsgOptionText("x", false), slackgo.MsgOptionMetadata(c.meta)); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestTimestampsAreUniqueAndRise(t *testing.T) {
	fixed := time.Date(2026, 11, 21, 3, 20, 0, 0, time.UTC)
	s := newSetup(t, func(o *slacktest.Options) { o.Now = func() time.Time { return fixed } })
	last := ""
	for range 5 {
		ts := s.post(t, "x")
		if ts <= last || !strings.HasPrefix(ts, "1795231200.") || len(ts) != len("1795231200.000100") {
			t.Errorf("%s after %s", ts, last)
		}
		last = ts
	}
}

func TestHistoryIsPagedNewestFirst(t *testing.T) {
	s := newSetup(t, nil)
	meta := slackgo.MsgOptionMetadata(slackgo.SlackMetadata{EventType: "e", EventPayload: map[string]any{"key": "k"}})
	var all []string
	for i := range 7 {
		all = append(all, s.post(t, fmt.Sprint(i), meta))
	}
	reply := s.post(t, "reply", slackgo.MsgOptionTS(all[0]))
	shown := s.post(t, "shown", slackgo.MsgOptionTS(all[0]), slackgo.MsgOptionBroadcast())
	read := func(p slackgo.GetConversationHistoryParameters) (got []string) {
		t.Helper()
		p.ChannelID = prod
		for pages := 0; ; pages++ {
			resp, err := s.slack.GetConversationHistory(&p)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range resp.Messages {
				got = append(got, m.Timestamp)
				if has := m.Metadata.EventType != ""; has != p.IncludeAllMetadata && m.ThreadTimestamp == "" {
					t.Errorf("metadata: %t, asked for: %t", has, p.IncludeAllMetadata)
				}
			}
			if p.Cursor = resp.ResponseMetaData.NextCursor; p.Cursor == "" || resp.HasMore != (p.Cursor != "") || pages > 9 {
				return got
			}
		}
	}
	want := append([]string{shown}, all[6], all[5], all[4], all[3], all[2], all[1], all[0])
	for _, limit := range []int{0, 1, 3, 8, 999} {
		if got := read(slackgo.GetConversationHistoryParameters{Limit: limit, IncludeAllMetadata: limit == 3}); !slices.Equal(got, want) || slices.Contains(got, reply) {
			t.Errorf("limit %d: %v, want %v", limit, got, want)
		}
	}
	if got := read(slackgo.GetConversationHistoryParameters{Oldest: all[5]}); !slices.Equal(got, []string{shown, all[6]}) {
		t.Errorf("after %s: %v", all[5], got)
	}
	if got := read(slackgo.GetConversationHistoryParameters{Oldest: all[5], Latest: all[6], Inclusive: true}); !slices.Equal(got, []string{all[6], all[5]}) {
		t.Errorf("from %s to %s: %v", all[5], all[6], got)
	}
	for want, p := range map[string]slackgo.GetConversationHistoryParameters{
		"invalid_limit": {ChannelID: prod, Limit: 1000}, "invalid_cursor": {ChannelID: prod, Cursor: "x"}, "invalid_ts_oldest": {ChannelID: prod, Oldest: "x"},
		"invalid_ts_latest": {ChannelID: prod, Latest: "x"}, "channel_not_found": {ChannelID: "#prod"}, "not_in_channel": {ChannelID: "C0000000002"},
	} {
		if _, err := s.slack.GetConversationHistory(&p); code(err) != want {
			t.Errorf("%+v: %v, want %s", p, err, want)
		}
	}
}

func TestHistoryNeedsTheScopeOfTheChannelsKind(t *testing.T) {
	for name, c := range map[string]struct {
		scopes  []string
		channel string
		needed  string
	}{
		"none at all":         {[]string{"chat:write"}, prod, "channels:history,groups:history,mpim:history,im:history"},
		"public one, private": {[]string{"channels:history"}, "C0000000004", "groups:history"},
		"private one, public": {[]string{"groups:history"}, prod, "channels:history"},
		"public":              {[]string{"channels:history"}, prod, ""},
		"private":             {[]string{"groups:history"}, "C0000000004", ""},
	} {
		s := newSetup(t, func(o *slacktest.Options) { o.Tokens[0].Scopes = c.scopes })
		_, err := s.slack.GetConversationHistory(&slackgo.GetConversationHistoryParameters{ChannelID: c.channel})
		var answered slackgo.SlackErrorResponse
		if errors.As(err, &answered); answered.Needed != c.needed || (err == nil) != (c.needed == "") {
			t.Errorf("%s: %v needs %q, want %q", name, err, answered.Needed, c.needed)
		}
	}
}

func TestRepliesStartWithTheThreadsFirstMessage(t *testing.T) {
	s := newSetup(t, nil)
	head := s.post(t, "head")
	var want []string
	for i := range 5 {
		want = append(want, s.post(t, fmt.Sprint(i), slackgo.MsgOptionTS(head)))
		s.post(t, "elsewhere")
	}
	p := slackgo.GetConversationRepliesParameters{ChannelID: prod, Timestamp: head, Limit: 2}
	var got []string
	for {
		messages, _, cursor, err := s.slack.GetConversationReplies(&p)
		if err != nil || messages[0].Timestamp != head {
			t.Fatalf("got %v, %v", messages, err)
		}
		for _, m := range messages[1:] {
			got = append(got, m.Timestamp)
		}
		if p.Cursor = cursor; cursor == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, _, _, err := s.slack.GetConversationReplies(&slackgo.GetConversationRepliesParameters{ChannelID: prod, Timestamp: "1.000001"}); code(err) != "thread_not_found" {
		t.Errorf("an unknown thread gives %v", err)
	}
}

func TestEdits(t *testing.T) {
	s := newSetup(t, nil)
	meta := slackgo.SlackMetadata{EventType: "e", EventPayload: map[string]any{"key": "k"}}
	ts := s.post(t, "one", slackgo.MsgOptionMetadata(meta), slackgo.MsgOptionBlocks(section("one")))
	if _, _, _, err := s.slack.UpdateMessage(prod, ts, slackgo.MsgOptionText("two", false)); err != nil {
		t.Fatal(err)
	}
	m := s.Messages(prod)[0]
	if m.Text != "two" || m.Blocks != nil || m.EditedTS == "" || m.Metadata == nil || len(m.Before) != 1 || m.Before[0].Text != "one" {
		t.Errorf("an edit by text keeps metadata and drops blocks; got %+v", m)
	}
	resp, err := http.PostForm(s.web.URL+"/api/chat.update", url.Values{"token": {token}, "channel": {prod}, "ts": {ts}, "text": {"three"}, "metadata": {"{}"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if m := s.Messages(prod)[0]; m.Text != "three" || m.Metadata != nil {
		t.Errorf("an empty object removes metadata; got %+v", m)
	}
	for want, c := range map[string][2]string{"message_not_found": {prod, "1.000001"}, "channel_not_found": {"#prod", ts}, "is_inactive": {"C0000000003", ts}} {
		if _, _, _, err := s.slack.UpdateMessage(c[0], c[1], slackgo.MsgOptionText("x", false)); code(err) != want {
			t.Errorf("%v: %v, want %s", c, err, want)
		}
	}
}

func TestAReplyToADeletedMessageGoesIntoTheChannel(t *testing.T) {
	s := newSetup(t, nil)
	head := s.post(t, "head")
	if !s.Delete(prod, head) || s.Delete(prod, head) {
		t.Fatal("a message can be deleted once")
	}
	s.post(t, "reply", slackgo.MsgOptionTS(head))
	if m := s.Messages(prod)[0]; m.ThreadTS != "" {
		t.Errorf("got %+v", m)
	}
}

func TestChannelsAreListed(t *testing.T) {
	s := newSetup(t, nil)
	var names []string
	p := slackgo.GetConversationsParameters{Limit: 1, ExcludeArchived: true}
	for {
		list, cursor, err := s.slack.GetConversations(&p)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			names = append(names, c.Name)
		}
		if p.Cursor = cursor; cursor == "" {
			break
		}
	}
	if !slices.Equal(names, []string{"prod", "outside"}) {
		t.Errorf("got %v", names)
	}
	if _, _, err := s.slack.GetConversations(&slackgo.GetConversationsParameters{Types: []string{"private_channel"}}); code(err) != "missing_scope" {
		t.Errorf("private channels: %v", err)
	}
	if c, err := s.slack.GetConversationInfo(&slackgo.GetConversationInfoInput{ChannelID: prod}); err != nil || c.Name != "prod" {
		t.Errorf("info: %+v, %v", c, err)
	}
}
