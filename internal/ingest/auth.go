package ingest

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubebot/kubebot/internal/credentials"
)

// Authenticated passes requests on that carry the current or the previous bearer token in dir. The files are read at
// each request, so a rotation needs no restart. A missing or empty file accepts nobody.
func Authenticated(dir string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || !accepted(dir, token) {
			rw.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(rw, "a bearer token is needed: the one in the Secret that KubeBot generates", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

func accepted(dir, token string) bool {
	given := sha256.Sum256([]byte(token))
	ok := 0
	for _, key := range []string{credentials.KeyToken, credentials.KeyTokenPrevious} {
		data, err := os.ReadFile(filepath.Join(dir, key))
		want := strings.TrimSpace(string(data))
		if err != nil || want == "" {
			continue
		}
		hash := sha256.Sum256([]byte(want))
		ok |= subtle.ConstantTimeCompare(given[:], hash[:])
	}
	return ok == 1
}
