package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Command turns the switch that listens at the address, and writes the state after it:
// no arguments show it, "<kind> <setting as JSON>" switches on, "<kind> off" and "off" switch off.
func Command(ctx context.Context, address string, args []string, out io.Writer) error {
	method, path, body := http.MethodGet, "/faults", ""
	switch {
	case len(args) == 0:
	case len(args) == 1 && args[0] == "off":
		method = http.MethodDelete
	case len(args) == 2 && args[1] == "off":
		method, path = http.MethodDelete, path+"/"+url.PathEscape(args[0])
	case len(args) == 2:
		method, path, body = http.MethodPut, path+"/"+url.PathEscape(args[0]), args[1]
	default:
		return errors.New("usage: shop fault [<kind> <setting>|<kind> off|off]")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("turn the switch: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("turn the switch: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end below
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return fmt.Errorf("read the answer of the switch: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("turn the switch: %s", strings.TrimSpace(string(answer)))
	}
	_, err = out.Write(answer)
	return err
}
