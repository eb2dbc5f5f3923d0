package proof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxBody is how much of an answer is read, in bytes: more than an answer to a proof has.
const maxBody = 1 << 20

// far is a server on the path.
type far struct {
	http *http.Client
	// what it is, such as "the collector".
	what string
	// base URL without a slash at the end.
	base string
	// tenant is sent as X-Scope-OrgID unless it is empty.
	tenant string
}

func newFar(client *http.Client, what, base, tenant string) far {
	return far{http: client, what: what, base: strings.TrimSuffix(base, "/"), tenant: tenant}
}

// call sends a body, or asks when there is none. The error goes on from what the server is, such as "does not answer";
// a status that is not 2xx is one too, but for 404, which is no error and gives no body.
func (f far) call(ctx context.Context, path string, body []byte) ([]byte, error) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, f.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address of " + f.what + " can't be used")
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/x-protobuf")
	}
	if f.tenant != "" {
		request.Header.Set("X-Scope-OrgID", f.tenant)
	}
	response, err := f.http.Do(request)
	if err != nil {
		return nil, errors.New(f.what + " does not answer")
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(http.MaxBytesReader(nil, response.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, fmt.Errorf("%s answers with more than %d MiB", f.what, maxBody>>20)
	case err != nil:
		return nil, errors.New(f.what + " does not end its answer")
	case response.StatusCode == http.StatusNotFound && body == nil:
		return nil, nil
	case response.StatusCode/100 != 2:
		return nil, fmt.Errorf("%s answers with HTTP status %d", f.what, response.StatusCode)
	}
	return answer, nil
}

func (f far) nonsense() error {
	return errors.New(f.what + " answers with something that is not its format")
}
