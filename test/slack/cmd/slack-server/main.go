// Command slack-server runs the Slack of the tests: the Web API and a recorder of webhooks on one address, the control
// of faults and what was received on another.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	slacktest "github.com/kubebot/kubebot/test/slack"
)

// options are the flags.
type options struct {
	listen, admin, state string
	token, signingKey    string
	appToken             string
	users                []string
	tlsCert, tlsKey      string
	scopes, channels     []string
	seed                 uint64
	unlimited            bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:           "slack-server",
		Short:         "A Slack for tests, and a recorder of webhooks",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", ":8080", "address of the Web API (/api/) and the webhook recorder (/webhook)")
	f.StringVar(&o.admin, "admin", ":8081", "address of the control: /healthz, /messages, /view, /webhooks, /calls, /faults, /channels, /tokens")
	f.StringVar(&o.state, "state", "", "file that keeps what was accepted over a restart")
	f.StringVar(&o.token, "token", os.Getenv("SLACK_TOKEN"), "bot token that is taken (default $SLACK_TOKEN)")
	f.StringVar(&o.appToken, "app-token", os.Getenv("SLACK_APP_TOKEN"),
		"app-level token for Socket Mode that is taken (default $SLACK_APP_TOKEN; empty for none)")
	f.StringArrayVar(&o.users, "user", []string{"U0000000011=anna"}, "person who can press buttons, as <ID>=<name>; repeat for more")
	f.StringSliceVar(&o.scopes, "scopes", []string{"chat:write", "channels:history", "channels:read"}, "scopes of the token")
	f.StringArrayVar(&o.channels, "channel", []string{"C0000000001=prod"},
		"channel as <ID>=<name>[,private][,archived][,outside]; repeat for more")
	f.StringVar(&o.signingKey, "signing-key", os.Getenv("WEBHOOK_SIGNING_KEY"),
		"key that webhooks must be signed with (default $WEBHOOK_SIGNING_KEY; empty checks none)")
	f.StringVar(&o.tlsCert, "tls-cert", "", "certificate in PEM, to serve --listen by TLS")
	f.StringVar(&o.tlsKey, "tls-key", "", "private key in PEM of --tls-cert")
	f.Uint64Var(&o.seed, "seed", 1, "seed of faults with a probability")
	f.BoolVar(&o.unlimited, "no-limits", false, "lift Slack's rate limits")
	return cmd
}

// parseChannel reads <ID>=<name>[,private][,archived][,outside].
func parseChannel(text string) (slacktest.Channel, error) {
	parts := strings.Split(text, ",")
	id, name, ok := strings.Cut(parts[0], "=")
	c := slacktest.Channel{ID: id, Name: strings.TrimPrefix(name, "#")}
	if !ok || id == "" || c.Name == "" {
		return c, fmt.Errorf("--channel %q: use <ID>=<name>", text)
	}
	for _, word := range parts[1:] {
		switch word {
		case "private":
			c.Private = true
		case "archived":
			c.Archived = true
		case "outside":
			c.Outside = true
		default:
			return c, fmt.Errorf("--channel %q: %q is none of private, archived, outside", text, word)
		}
	}
	return c, nil
}

// run serves until the context ends.
func run(ctx context.Context, o options) error {
	opts := slacktest.Options{StateFile: o.state, SigningKey: o.signingKey, Seed: o.seed}
	if o.token == "" {
		return errors.New("--token or SLACK_TOKEN is needed")
	}
	opts.Tokens = []slacktest.Token{{Value: o.token, Scopes: o.scopes}}
	if o.appToken != "" {
		opts.Tokens = append(opts.Tokens, slacktest.Token{Value: o.appToken, Scopes: []string{"connections:write"}})
	}
	for _, text := range o.users {
		id, name, ok := strings.Cut(text, "=")
		if !ok || id == "" || name == "" {
			return fmt.Errorf("--user %q: use <ID>=<name>", text)
		}
		opts.Users = append(opts.Users, slacktest.User{ID: id, Name: name})
	}
	if o.unlimited {
		opts.Limits = slacktest.NoLimits()
	}
	for _, text := range o.channels {
		c, err := parseChannel(text)
		if err != nil {
			return err
		}
		opts.Channels = append(opts.Channels, c)
	}
	server, err := slacktest.New(opts)
	if err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	api := &http.Server{Addr: o.listen, Handler: server.Handler(), ReadHeaderTimeout: 10 * time.Second}
	admin := &http.Server{Addr: o.admin, Handler: server.Admin(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 2)
	go func() {
		if o.tlsCert != "" {
			ended <- api.ListenAndServeTLS(o.tlsCert, o.tlsKey)
			return
		}
		ended <- api.ListenAndServe()
	}()
	go func() { ended <- admin.ListenAndServe() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	// What hangs on purpose must end first.
	err = errors.Join(err, server.Close())
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, api.Shutdown(stop), admin.Shutdown(stop))
}
