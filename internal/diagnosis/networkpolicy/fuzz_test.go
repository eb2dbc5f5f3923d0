package networkpolicy

import "testing"

// FuzzAddress checks that a value of an environment variable is an address only with a host.
func FuzzAddress(f *testing.F) {
	for _, value := range []string{"http://cart:8080/x", "cart:9090", "[::1]:80", "postgres://user:pass@db/x", "a:b", "://", "http://[::1", ":80", "cart:99999999999999999999"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if e, ok := address(value); ok && e.Host == "" {
			t.Errorf("%q gives %+v", value, e)
		}
	})
}
