package v1alpha1

import "testing"

func TestWhatNothingIsSaidOfIsManaged(t *testing.T) {
	for mode, want := range map[Mode]bool{"": true, ModeManaged: true, ModeExternal: false, ModeDisabled: false} {
		if got := mode.Managed(); got != want {
			t.Errorf("mode %q: managed is %t", mode, got)
		}
	}
	for mode, want := range map[ExporterMode]bool{"": true, ExporterMode(ModeManaged): true, ExporterMode(ModeDisabled): false} {
		if got := mode.Managed(); got != want {
			t.Errorf("mode %q of an exporter: managed is %t", mode, got)
		}
	}
}
