package secretfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/internal/notify/secretfile"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		data string
		want string
		err  error
	}{
		"value":       {"xoxb-1", "xoxb-1", nil},
		"white space": {" xoxb-1\r\n", "xoxb-1", nil},
		"empty":       {"", "", secretfile.ErrEmpty},
		"blank":       {" \n", "", secretfile.ErrEmpty},
		"bounded":     {strings.Repeat("x", 100<<10), strings.Repeat("x", 64<<10), nil},
	} {
		file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(file, []byte(c.data), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := secretfile.Read(secretfile.Ref{File: file, Secret: "slack", Key: "token"}); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %d characters, %v; want %d, %v", name, len(got), err, len(c.want), c.err)
		}
	}
	if _, err := secretfile.Read(secretfile.Ref{File: filepath.Join(dir, "gone")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
	if _, err := secretfile.Read(secretfile.Ref{File: dir}); err == nil {
		t.Error("a folder is no value")
	}
}

func TestMissingSaysWhatToDo(t *testing.T) {
	got := secretfile.Missing(secretfile.Ref{File: "/x", Secret: "slack", Key: "token"}, "the bot token")
	for _, part := range []string{`"slack"`, `"token"`, "the bot token"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q does not say %s", got, part)
		}
	}
}
