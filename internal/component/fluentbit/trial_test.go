package fluentbit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubebot/kubebot/api/v1alpha1"
)

// try does with files what the Job of a trial does, as far as they hold what it needs.
func try(t *testing.T, program string, files map[string]string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for key, text := range files {
		write(t, filepath.Join(dir, key), strings.ReplaceAll(text, configDir, dir))
	}
	var steps [][]string
	if files[keyTrial] != "" {
		steps = append(steps, []string{"--config=" + keyTrial})
	}
	steps = append(steps, []string{"--dry-run", "--config=" + keyConfig})
	for _, args := range steps {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "POD_IP=127.0.0.1", "NODE_NAME=node")
		if out, err := cmd.CombinedOutput(); err != nil {
			return string(out), err
		}
	}
	return "", nil
}

// What only the program can tell it tells in a trial, and the user is told the line.
func TestTheRealProgramRefusesWhatItCantRun(t *testing.T) {
	program := fluentBit(t)
	const good = "- name: grep\n  match: kube.*\n  exclude: log healthz\n"
	for name, c := range map[string]struct{ filters, want string }{
		"a pattern that is none": {good + "- name: grep\n  match: '*'\n  regex: log (\n", "line 4: [filter:grep:grep.1] could not compile regex pattern '('"},
		"a script that is none":  {good + "- name: lua\n  match: '*'\n  code: function f( end\n  call: f\n", "line 4: [luajit] error loading buffer"},
		"a parser that is none":  {"- name: parser\n  match: '*'\n  key_name: log\n  parser: nope\n", "line 1: [filter:parser:parser.0] requested parser 'nope' not found"},
		"a rule too short":       {"# c\n- name: rewrite_tag\n  alias: mine\n  match: kube.*\n  rule: log x\n", "line 2: [config map] property 'rule' expects 4 values"},
	} {
		t.Run(name, func(t *testing.T) {
			made, err := candidate(input(v1alpha1.FluentBitSpec{}), c.filters)
			if err != nil {
				t.Fatal(err)
			}
			for key, text := range made.TrialFiles {
				made.Files[key] = text
			}
			said, err := try(t, program, made.Files)
			if got := explain(c.filters, said); err == nil || !strings.HasPrefix(got, c.want) || strings.Contains(got, "[20") {
				t.Errorf("%v: %s\nwant %s\nof %s", err, got, c.want, said)
			}
		})
	}
}

func TestExplainTakesTheErrorsAlone(t *testing.T) {
	for name, c := range map[string]struct{ said, want string }{
		"a pattern": {
			"Fluent Bit v5.1.1\n* Copyright\n[2026/11/21 10:08:44.753] [error] [filter:grep:grep.0] could not compile regex pattern '('\n" +
				"[2026/11/21 10:08:44.753] [error] Failed initialize filter grep.0\n[2026/11/21 10:08:44.753] [error] [engine] filter initialization failed\n",
			"line 2: [filter:grep:grep.0] could not compile regex pattern '('",
		},
		"one with an alias": {
			"[2026/11/21 10:08:44.753] [error] [filter:grep:mine] invalid regex\n", "line 5: [filter:grep:mine] invalid regex",
		},
		"a warning is none": {
			"[2026/11/21 10:08:44.753] [ warn] [filter:grep:grep.0] careful\n[2026/11/21 10:08:44.753] [error] [config map] property 'rule' expects 4 values\n" +
				"[2026/11/21 10:08:44.753] [error] Failed initialize filter grep.1\n", "line 5: [config map] property 'rule' expects 4 values",
		},
		"no error": {"Segmentation fault\n", "Segmentation fault"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := explain("# c\n- name: grep\n  match: a\n# d\n- name: Grep\n  Alias: mine\n  match: b\n", c.said); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func FuzzExplain(f *testing.F) {
	f.Add("- name: grep\n", "[1] [error] [filter:grep:grep.0] bad")
	f.Add("- [a]\n- b", "[1] [error] Failed initialize filter b.0")
	f.Fuzz(func(t *testing.T, filters, said string) {
		if line := lineOf(filters, said); line < 0 || line > strings.Count(filters, "\n")+strings.Count(filters, "\r")+1 {
			t.Errorf("line %d of %q", line, filters)
		}
		_ = explain(filters, said)
	})
}
