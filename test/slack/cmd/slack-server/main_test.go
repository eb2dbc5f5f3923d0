package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	slackgo "github.com/slack-go/slack"

	slacktest "github.com/kubebot/kubebot/test/slack"
)

// asServer makes this test binary behave as the command.
const asServer = "SLACK_SERVER_FOR_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestParseChannel(t *testing.T) {
	for text, want := range map[string]slacktest.Channel{
		"C1=prod":                          {ID: "C1", Name: "prod"},
		"C1=#prod":                         {ID: "C1", Name: "prod"},
		"C1=prod,private,outside,archived": {ID: "C1", Name: "prod", Private: true, Outside: true, Archived: true},
	} {
		if got, err := parseChannel(text); err != nil || got != want {
			t.Errorf("%s gives %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "C1", "=prod", "C1=", "C1=prod,secret"} {
		if got, err := parseChannel(text); err == nil {
			t.Errorf("%q gives %+v", text, got)
		}
	}
}

func TestATokenIsNeeded(t *testing.T) {
	if err := run(context.Background(), options{}); err == nil {
		t.Error("it serves without a token")
	}
}

// free returns an address at which nothing listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// start runs the command and waits until it answers.
func start(t *testing.T, api, admin, state string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "--listen="+api, "--admin="+admin, "--state="+state, "--token=xoxb-test", "--no-limits")
	cmd.Env = append(os.Environ(), asServer+"=1")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 500 {
		if resp, err := http.Get(fmt.Sprintf("http://%s/healthz", admin)); err == nil {
			_ = resp.Body.Close()
			return cmd
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("it does not answer")
	return nil
}

func TestKilledItKeepsWhatItAccepted(t *testing.T) {
	api, admin, state := free(t), free(t), filepath.Join(t.TempDir(), "state.jsonl")
	client := slackgo.New("xoxb-test", slackgo.OptionAPIURL("http://"+api+"/api/"))
	cmd := start(t, api, admin, state)
	want := map[string]bool{}
	for i := range 20 {
		_, ts, err := client.PostMessage("#prod", slackgo.MsgOptionText(fmt.Sprint(i), false))
		if err != nil {
			t.Fatal(err)
		}
		want[ts] = true
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if _, err := client.AuthTest(); err == nil {
		t.Fatal("it answers after kill -9")
	}
	start(t, api, admin, state)
	resp, err := client.GetConversationHistory(&slackgo.GetConversationHistoryParameters{ChannelID: "C0000000001"})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range resp.Messages {
		delete(want, m.Timestamp)
	}
	if len(resp.Messages) != 20 || len(want) != 0 {
		t.Errorf("%d messages after the restart; lost: %v", len(resp.Messages), want)
	}
}
