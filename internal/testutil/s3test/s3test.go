// Package s3test is a bucket that tests show to real programs: it keeps objects, and lists and gives them back, to who
// signs with the right access key. Whether a signature is right it does not look at.
package s3test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Keys that clients must have.
const (
	AccessKey = "access-of-the-test"
	SecretKey = "secret-of-the-test"
)

// Bucket is one that is served under its path.
type Bucket struct {
	// Host and port of the service, which is not encrypted.
	Host string

	name    string
	mu      sync.Mutex
	objects map[string][]byte
	refused []string
}

// Start serves an empty bucket until the test ends. The keys are in the environment from then on.
func Start(t *testing.T, name string) *Bucket {
	t.Helper()
	b := &Bucket{name: name, objects: map[string][]byte{}}
	service := httptest.NewServer(b)
	t.Cleanup(service.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", SecretKey)
	b.Host = strings.TrimPrefix(service.URL, "http://")
	return b
}

// Keys are those of the objects that were put, sorted, and Refused the requests that were not signed with the access key
// or were for another bucket.
func (b *Bucket) Keys() (keys, refused []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.objects {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys, slices.Clone(b.refused)
}

// Get returns an object.
func (b *Bucket) Get(key string) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.objects[key]
}

// ServeHTTP implements http.Handler.
func (b *Bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if bucket != b.name || !strings.Contains(r.Header.Get("Authorization"), "Credential="+AccessKey+"/") {
		b.refused = append(b.refused, r.Method+" "+r.URL.Path)
		refuse(w, http.StatusForbidden, "AccessDenied")
		return
	}
	switch {
	case r.Method == http.MethodPut:
		b.objects[key] = body
		w.Header().Set("ETag", `"0"`)
	case r.Method == http.MethodDelete:
		delete(b.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case key == "":
		b.list(w, r.URL.Query().Get("prefix"))
	case b.objects[key] == nil:
		refuse(w, http.StatusNotFound, "NoSuchKey")
	case r.Method == http.MethodGet:
		_, _ = w.Write(b.objects[key]) // a client that went away says so itself
	}
}

type listing struct {
	XMLName  xml.Name `xml:"ListBucketResult"`
	Name     string
	KeyCount int
	Contents []content
}

type content struct {
	Key  string
	Size int
}

func (b *Bucket) list(w http.ResponseWriter, prefix string) {
	out := listing{Name: b.name}
	for key, data := range b.objects {
		if strings.HasPrefix(key, prefix) {
			out.Contents = append(out.Contents, content{key, len(data)})
		}
	}
	slices.SortFunc(out.Contents, func(a, b content) int { return strings.Compare(a.Key, b.Key) })
	out.KeyCount = len(out.Contents)
	answer(w, http.StatusOK, out)
}

type failure struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
}

func refuse(w http.ResponseWriter, status int, code string) { answer(w, status, failure{Code: code}) }

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(v) // a client that went away says so itself
}
