package exit

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestSettingIsOneThatTheMessageSpeaksOf(t *testing.T) {
	for _, c := range []struct {
		env, value, message string
		want                bool
	}{
		{"LOG_LEVEL", "error", "error reading batch 7", false},
		{"LOG_LEVEL", "error", "unknown error", false},
		{"OTEL_SERVICE_NAME", "payment", "payment: charge declined", false},
		{"OTEL_SERVICE_NAME", "payment", `"payment": charge declined`, false},
		{"NAMESPACE", "shop", "charge declined in shop", false},
		{"ENV", "production", "charge declined in production", false},
		{"ENV", "production", "invalid request in production", false},
		{"REGION", "eu-west-1", "charge declined in eu-west-1", false},
		{"CART_ADDR", "cart:8080", "GET http://checkout:8080/ answered 500", false},
		{"BATCH", "500", "GET / answered 500", false},
		{"PRICE_FORMAT", "EUR", `parse price format "EUR": want <currency>:<decimals>`, true},
		{"PRICE_FORMAT", "EUR", `{"error":"price format \"EUR\" is wrong"}`, true},
		{"MODE", "fast", "unknown mode fast", true},
		{"SERVICE", "payment", `unknown service "payment"`, true},
		{"MODE", "fast", "MODE is wrong", true},
		{"CONFIG", "/etc/app/app.yaml", "open /etc/app/app.yaml: no such file", true},
		{"HTTP_ADDR", "nonsense:99999", "listen tcp: address 99999: invalid port", true},
		{"TIMEOUT", "30s", "nothing came within 30s", false},
		{"TIMEOUT", "30x", `time: unknown unit "x" in duration "30x"`, true},
		{"TIMEOUT", "30x", "invalid duration 30x", true},
		{"DEBUG", "1234", "DEBUG reading batch 7", false},
	} {
		spec := &corev1.Container{Env: []corev1.EnvVar{{Name: c.env, Value: c.value}}}
		field, value, _ := Setting(spec, c.message, "payment", "shop")
		if got := field == "env["+c.env+"]" && value == c.value; got != c.want || !got && field != "" {
			t.Errorf("%s=%s in %q: found %q, %q", c.env, c.value, c.message, field, value)
		}
	}
}

func TestArgumentIsOneThatTheMessageSpeaksOf(t *testing.T) {
	for message, want := range map[string]string{
		`unknown service "kart"`:               "kart",
		"the kart is empty":                    "",
		"open /data/db: read-only file system": "--data=/data/db",
		"password hunter2x: unknown hunter2x":  "***",
	} {
		spec := &corev1.Container{Args: []string{"kart", "--data=/data/db", "--password", "hunter2x"}}
		if _, value, _ := Setting(spec, message); value != want {
			t.Errorf("%q: found %q, want %q", message, value, want)
		}
	}
}
