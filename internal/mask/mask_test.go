package mask

import (
	"slices"
	"strings"
	"testing"
)

func TestTextHidesSecretsAndKeepsTheRest(t *testing.T) {
	jwt := "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0" + ".c2lnbmF0dXJlLXNpZw"
	for _, c := range []struct{ why, in, want string }{
		{"Slack token", "post failed with xox" + "b-123456789012-abcdefGHIJ", "post failed with ***"},
		{"Slack webhook", "POST https://hooks.slack" + ".com/services/T000/B000/XXXX: 404", "POST ***: 404"},
		{"GitHub token", "clone gh" + "p_abcdefghijklmnopqrst0123 denied", "clone *** denied"},
		{"AWS key id", "key AK" + "IAABCDEFGHIJKLMNOP is inactive", "key *** is inactive"},
		{"JWT", "rejected " + jwt + " as expired", "rejected *** as expired"},
		{"private key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nafter", "***\nafter"},
		{"cut private key", "read -----BEGIN PRIVATE KEY-----\nMIIE", "read ***"},
		{"password pair", "dial failed: host=db password=hunter2 user=app", "dial failed: host=db password=*** user=app"},
		{"quoted password", `{"user":"app","db_password":"hun\"ter2","port":5432}`, `{"user":"app","db_password":"***","port":5432}`},
		{"YAML", "apiKey: abc123", "apiKey: ***"},
		{"URL", "connect postgres://app:hun/ter2@db:5432/shop: refused", "connect postgres://app:***@db:5432/shop: refused"},
		{"bearer", "Authorization: Bearer abcdef123456", "Authorization: Bearer ***"},
		{"query", "GET /login?token=abc&x=1", "GET /login?token=***&x=1"},
		{"a missing Secret is no secret", `secret "db-login" not found`, `secret "db-login" not found`},
		{"a URL without a password", "GET http://cart:8080/items?mail=a@b", "GET http://cart:8080/items?mail=a@b"},
		{"timed out probe", `command timed out: "redis-cli -a hunter2x ping" timed out after 1s`, `command timed out: "redis-cli -a *** ping" timed out after 1s`},
		{"option in a log line", "can't run: app --db-password hunter2x --port 80, so it doesn't", "can't run: app --db-password *** --port 80, so it doesn't"},
		{"plain text", "panic: runtime error: index out of range [5]", "panic: runtime error: index out of range [5]"},
	} {
		t.Run(c.why, func(t *testing.T) {
			if got := Text(c.in); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestWordsHideSecretsThatAreWordsOfTheirOwn(t *testing.T) {
	for _, c := range []struct{ in, want []string }{
		{[]string{"--db-user", "app", "--db-password", "hunter2x"}, []string{"--db-user", "app", "--db-password", "***"}},
		{[]string{"--db-password", "my secret", "-v"}, []string{"--db-password", "***", "-v"}},
		{[]string{"-password", "hunter2x"}, []string{"-password", "***"}},
		{[]string{"--requirepass", "hunter2x", "--port", "6379"}, []string{"--requirepass", "***", "--port", "6379"}},
		{[]string{"--requirepass=hunter2x"}, []string{"--requirepass=***"}},
		{[]string{"--no-password", "-U", "shop"}, []string{"--no-password", "-U", "shop"}},
		{[]string{"--token-file", "/run/token", "--secret-name", "login"}, []string{"--token-file", "/run/token", "--secret-name", "login"}},
		{[]string{"--tls-key", "/certs/tls.key", "--stripe-key", "abcdef"}, []string{"--tls-key", "/certs/tls.key", "--stripe-key", "***"}},
		{[]string{"--password", "$(DB_PASSWORD)", "--token", "${TOKEN}"}, []string{"--password", "$(DB_PASSWORD)", "--token", "${TOKEN}"}},
		{[]string{"redis-cli", "-a", "hunter2x", "ping"}, []string{"redis-cli", "-a", "***", "ping"}},
		{[]string{"/usr/bin/mysqladmin", "ping", "-uroot", "-phunter2x"}, []string{"/usr/bin/mysqladmin", "ping", "-uroot", "-p***"}},
		{[]string{"mongosh", "-u", "root", "-p", "hunter2x"}, []string{"mongosh", "-u", "root", "-p", "***"}},
		{[]string{"redis-cli", "-a", "'***'", "ping"}, []string{"redis-cli", "-a", "'***'", "ping"}},
		{[]string{"curl", "-u", "app:hunter2x", "http://cart:8080/"}, []string{"curl", "-u", "app:***", "http://cart:8080/"}},
		{[]string{"etcdctl", "--user", "root:hunter2x"}, []string{"etcdctl", "--user", "root:***"}},
		{[]string{"sh", "-c", `redis-cli -a 'hunter 2x' ping | grep -a PONG`}, []string{"sh", "-c", `redis-cli -a *** ping | grep -a PONG`}},
		{[]string{"sh", "-c", `[ "$(mysqladmin -phunter2x ping)" = up ]`}, []string{"sh", "-c", `[ "$(mysqladmin -p*** ping)" = up ]`}},
		{[]string{"sh", "-c", `mysqladmin ping -p$MYSQL_ROOT_PASSWORD`}, []string{"sh", "-c", `mysqladmin ping -p$MYSQL_ROOT_PASSWORD`}},
		{[]string{"app", "-a", "x", "-p", "8080", "--url", "http://u:hunter2x@cart"}, []string{"app", "-a", "x", "-p", "8080", "--url", "http://u:***@cart"}},
		{[]string{"pg_isready", "-U", "shop"}, []string{"pg_isready", "-U", "shop"}},
	} {
		in := slices.Clone(c.in)
		if got := Words(in); !slices.Equal(got, c.want) || !slices.Equal(in, c.in) {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

func FuzzWords(f *testing.F) {
	f.Add("redis-cli -a x 'y z'", "--user", "a:b")
	f.Add("sh", "-c", `[ "$(mysqladmin -p"x" ping)" ]`)
	f.Fuzz(func(t *testing.T, a, b, c string) {
		got := Words([]string{a, b, c, "--", "--db-password", "hunter2x"})
		if len(got) != 6 || got[5] != Hidden {
			t.Errorf("%q", got)
		}
	})
}

func TestLinesHideAPrivateKeyAcrossLines(t *testing.T) {
	got := Lines([]string{"start", "-----BEGIN EC PRIVATE KEY-----", "MHcCAQEE", "-----END EC PRIVATE KEY----- done", "end"})
	want := []string{"start", Hidden, Hidden, Hidden + " done", "end"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestValueHidesBySettingName(t *testing.T) {
	for name, hidden := range map[string]bool{
		"DB_PASSWORD": true, "API_TOKEN": true, "SECRET_KEY_BASE": true, "STRIPE_KEY": true, "password": true,
		"LOG_LEVEL": false, "CART_ADDR": false, "KEYBOARD": false,
	} {
		if got := Value(name, "v1") == Hidden; got != hidden {
			t.Errorf("%s: hidden is %t, want %t", name, got, hidden)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"password=x", `"token": "a\"b"`, "a://b:c@d", "-----BEGIN PRIVATE KEY-----", "Authorization: Basic YWJjZGVm", "secret: 'x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		secret := "gh" + "p_abcdefghijklmnopqrstuvwxyz"
		got := Text(text + " " + secret + " tail")
		if strings.Contains(got, secret) {
			t.Errorf("%q still shows the token", got)
		}
		if once := Text(text); Text(once) != once {
			t.Errorf("masking twice differs: %q, then %q", once, Text(once))
		}
	})
}
