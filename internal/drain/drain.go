// Package drain serves HTTP until a context ends, and lets the calls that are under way end first. The Server of
// controller-runtime's manager does so too, but logs a call that outlasts the stop as an error, and a failed server's error
// does not say its address.
package drain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Serve serves at a listener until the context ends. Calls that are under way then have the time of limit to end.
func Serve(ctx context.Context, server *http.Server, listener net.Listener, limit time.Duration) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop serving %s: %w", listener.Addr(), err)
	}
	return nil
}
