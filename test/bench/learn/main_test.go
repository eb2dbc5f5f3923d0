package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kubebot/kubebot/internal/learn/sim"
)

func TestReportHasAScoreForEveryUserAndPolicy(t *testing.T) {
	out := filepath.Join(t.TempDir(), "bench-learn.json")
	r := report{Weeks: 1, Seeds: []uint64{501}, Users: sim.Users[:2]}
	contenders := sim.Contenders()[1:]
	require.NoError(t, run(r, contenders, out, false))
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	var got report
	require.NoError(t, json.Unmarshal(text, &got))
	require.Len(t, got.Scores, 2*len(contenders))
	assert.Equal(t, "never", got.Scores[0].Policy)
	assert.Positive(t, got.Scores[0].MissedCritical)
	assert.Zero(t, got.Scores[1].MissedCritical, "always pushing misses nothing")
	assert.Error(t, run(r, contenders[:1], filepath.Join(out, "x"), false), "a file that can't be written is not reported")
}

func TestComparisonNamesEachVariant(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, compare(&out, report{Weeks: 1, Seeds: []uint64{501}, Users: sim.Users[:1]}, sim.Contenders()[1:3]))
	assert.Regexp(t, `(?m)^never +regret +[0-9.]+ missed +[0-9.]+ +strict [0-9]+\nalways +regret`, out.String())
}
