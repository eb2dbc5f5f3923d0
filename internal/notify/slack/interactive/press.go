package interactive

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/internal/interact"
	"github.com/kubebot/kubebot/internal/notify/slack"
)

// maxPayload bounds a payload: the message that it repeats has at most some 50 kB.
const maxPayload = 512 << 10

// Late and early presses are refused: a press is seconds old when it arrives, and Slack's clock is right.
const (
	maxAge  = 15 * time.Minute
	maxSkew = 5 * time.Minute
)

var (
	// errNotOurs means that the payload is of something that is not for us, such as a link that was opened.
	errNotOurs = errors.New("the payload is of no button of KubeBot's")
	errInvalid = errors.New("the payload is not valid")
)

// What IDs look like.
var (
	memberPattern  = regexp.MustCompile(`^[UW][A-Z0-9]{2,31}$`)
	channelPattern = regexp.MustCompile(`^[CGD][A-Z0-9]{2,31}$`)
	stampPattern   = regexp.MustCompile(`^[0-9]{1,11}\.[0-9]{1,9}$`)
)

// pressed is a button of ours that a person pressed.
type pressed struct {
	id       string
	action   interact.Action
	uid      string
	incident string
	// cause that the button is about; empty for none.
	cause   string
	who     person
	at      time.Time
	channel string
	// thread is the timestamp of the thread that an answer belongs into.
	thread      string
	responseURL string
}

// parse reads a payload of interactivity. The error is errNotOurs or wraps errInvalid.
func parse(raw []byte) (pressed, error) {
	if len(raw) > maxPayload {
		return pressed{}, fmt.Errorf("%w: %d bytes", errInvalid, len(raw))
	}
	var cb slackgo.InteractionCallback
	if err := json.Unmarshal(raw, &cb); err != nil {
		return pressed{}, fmt.Errorf("%w: no JSON of an interaction", errInvalid)
	}
	return read(&cb)
}

// read takes what is needed from an interaction.
func read(cb *slackgo.InteractionCallback) (pressed, error) {
	if cb.Type != slackgo.InteractionTypeBlockActions || len(cb.ActionCallback.BlockActions) != 1 || cb.ActionCallback.BlockActions[0] == nil {
		return pressed{}, errNotOurs
	}
	a := cb.ActionCallback.BlockActions[0]
	action, ok := slack.ActionOf(a.ActionID)
	if !ok {
		return pressed{}, errNotOurs
	}
	p := pressed{action: action, channel: cb.Channel.ID, responseURL: cb.ResponseURL, thread: cb.Container.ThreadTs}
	if p.channel == "" {
		p.channel = cb.Container.ChannelID
	}
	if p.thread == "" && !cb.Container.IsEphemeral {
		p.thread = cb.Container.MessageTs
	}
	if p.uid, p.incident, p.cause, ok = slack.IncidentOf(a.Value); !ok {
		return pressed{}, fmt.Errorf("%w: value of the button", errInvalid)
	}
	if !memberPattern.MatchString(cb.User.ID) || !channelPattern.MatchString(p.channel) || !stampPattern.MatchString(a.ActionTs) ||
		p.thread != "" && !stampPattern.MatchString(p.thread) {
		return pressed{}, fmt.Errorf("%w: user, channel or timestamp", errInvalid)
	}
	p.who = person{id: cb.User.ID, name: handle(cb.User.Name), guest: foreign(cb)}
	seconds, fraction, _ := strings.Cut(a.ActionTs, ".")
	whole, err := strconv.ParseInt(seconds, 10, 64)
	part, err2 := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil || err2 != nil {
		return pressed{}, fmt.Errorf("%w: timestamp", errInvalid)
	}
	p.at = time.Unix(whole, part)
	sum := sha256.Sum256([]byte(strings.Join([]string{p.who.id, p.channel, cb.Container.MessageTs, a.ActionID, a.Value, a.ActionTs}, "\n")))
	p.id = hex.EncodeToString(sum[:16])
	return p, nil
}

// foreign tells whether a person belongs to another workspace than that of the press. In an Enterprise organisation the user's
// team is the organisation and not the workspace (docs.slack.dev, block_suggestion payloads). Who can't be placed is a guest.
func foreign(cb *slackgo.InteractionCallback) bool {
	home := cb.User.TeamID
	return home == "" || home != cb.Team.ID && home != cb.Team.EnterpriseID && home != cb.Enterprise.ID
}

// handle is a person's handle as far as it can be shown anywhere.
func handle(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-", r) {
			return r
		}
		return -1
	}, name)
	if runes := []rune(name); len(runes) > 40 {
		name = string(runes[:40])
	}
	return name
}
