package component_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

func TestDuration(t *testing.T) {
	for value, want := range map[v1alpha1.Duration]time.Duration{
		"":           15 * time.Second, // the fallback
		"1m30s":      90 * time.Second,
		"2w":         14 * 24 * time.Hour,
		"0s":         0,
		"1m1h":       0,
		"5":          0,
		"999999999y": 0,
	} {
		got, err := component.Duration("spec.x", value, "15s")
		var invalid *component.InvalidError
		switch {
		case want == 0 && (!errors.As(err, &invalid) || invalid.Field != "spec.x"):
			t.Errorf("Duration(%q) = %v, %v, want an InvalidError", value, got, err)
		case want != 0 && (err != nil || time.Duration(got) != want):
			t.Errorf("Duration(%q) = %v, %v, want %v", value, got, err, want)
		}
	}
}

func TestCheckURLRefusesPasswordsAndDoesNotRepeatThem(t *testing.T) {
	for address, refused := range map[string]bool{
		"https://hooks.example.com/a?b=c":        false,
		"http://[fd00::1]:8080":                  false,
		"https://user:hunter2@hooks.example.com": true,
		"https://user@hooks.example.com":         true,
		"hooks.example.com/hunter2":              true,
		"https://hunter2%zz":                     true,
	} {
		err := component.CheckURL("spec.x", address, "use a Secret")
		if (err != nil) != refused {
			t.Errorf("CheckURL(%q) = %v, want an error: %v", address, err, refused)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error repeats the URL: %v", err)
		}
	}
}
