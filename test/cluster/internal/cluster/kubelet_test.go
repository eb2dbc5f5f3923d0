package cluster

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestThresholdsAreThoseThatKubeletKnows(t *testing.T) {
	for text, want := range map[string]Threshold{
		"":                           {},
		"memory.available<2Gi":       {"memory.available", "2Gi"},
		"memory.available<123456789": {"memory.available", "123456789"},
		"nodefs.inodesFree<5.5%":     {"nodefs.inodesFree", "5.5%"},
		"pid.available<100":          {"pid.available", "100"},
	} {
		if got, err := ParseThreshold(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"memory.available", "memory.available<", "memory.free<1Gi", "memory.inodesFree<1%", "memory.available<-1", "memory.available<1Gi,pid.available<1"} {
		if got, err := ParseThreshold(text); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

func TestASoftThresholdEvictsNothingForAnHour(t *testing.T) {
	p := Plan{Name: "a", Base: "/base"}
	for _, c := range []struct {
		soft Threshold
		want []string
		not  string
	}{
		{Threshold{}, []string{`"memory.available":"100Mi"`}, "evictionSoft"},
		{Threshold{"memory.available", "2Gi"}, []string{`"memory.available":"100Mi"`, `"evictionSoft":{"memory.available":"2Gi"}`,
			`"evictionSoftGracePeriod":{"memory.available":"1h0m0s"}`}, "pid.available"},
	} {
		data, err := json.Marshal(underThreshold(kubeletConfig(p, Options{}, machine{}), c.soft))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(data), want) {
				t.Errorf("%+v: kubelet is configured with %s, without %s", c.soft, data, want)
			}
		}
		if strings.Contains(string(data), c.not) {
			t.Errorf("%+v: kubelet is configured with %s, which has %s", c.soft, data, c.not)
		}
	}
}
