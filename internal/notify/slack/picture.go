package slack

import (
	"bytes"
	"context"
	"fmt"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/notify"
)

// Picture draws what decided about an incident as PNG, and says what it shows. An error means that there is none.
type Picture func(ctx context.Context, inc *v1alpha1.Incident) (png []byte, title string, err error)

const (
	// pictureTime bounds the drawing and the upload of one picture.
	pictureTime = 30 * time.Second
	// picturesAtOnce of a receiver; in a storm the others have none, so that they take nothing from messages.
	picturesAtOnce = 2
	// pictureLater is how long no picture is tried after Slack refused one, which takes a person to mend.
	pictureLater = 10 * time.Minute
)

// illustrate puts a picture into the thread of a new message. It is an extra that is tried once: nobody waits for it,
// and its failure fails nothing.
func (s *Sink) illustrate(msg notify.Message, head notify.Ref) {
	if s.options.Picture == nil || msg.Transition != v1alpha1.TransitionOpened || msg.Head != (notify.Ref{}) || msg.MayHaveArrived {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drawing == picturesAtOnce || s.options.Now().Before(s.noPicture) {
		return
	}
	s.drawing++
	s.pictures.Add(1)
	inc := msg.Incident.DeepCopy()
	go func() {
		defer s.pictures.Done()
		ctx, cancel := context.WithTimeout(context.Background(), pictureTime)
		defer cancel()
		refused := s.draw(ctx, inc, head)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.drawing--; refused {
			s.noPicture = s.options.Now().Add(pictureLater)
		}
	}()
}

// draw makes and uploads the picture. It tells whether Slack refused it until a person changes something.
func (s *Sink) draw(ctx context.Context, inc *v1alpha1.Incident, head notify.Ref) (refused bool) {
	png, title, err := s.options.Picture(ctx, inc)
	if err != nil {
		return false
	}
	api, fail := s.open()
	if fail != nil {
		return true
	}
	title = line(title, limitHeader)
	fail = do(ctx, func(ctx context.Context) error {
		_, err := api.client.UploadFileContext(ctx, slackgo.UploadFileParameters{
			Reader: bytes.NewReader(png), FileSize: len(png), Filename: inc.Name + ".png", Title: title,
			AltTxt: fmt.Sprintf("The series behind %s around the beginning of the incident", title), Channel: head.Channel, ThreadTimestamp: head.ID,
		})
		return err
	})
	return fail != nil && fail.outcome == notify.Refused
}

// Wait waits for the pictures that are being drawn.
func (s *Sink) Wait() { s.pictures.Wait() }
