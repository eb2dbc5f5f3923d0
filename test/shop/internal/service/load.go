package service

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// load is the shop's customers: a few sessions at one time that share one rate of requests.
type load struct {
	*App
	frontend httpDependency
	tick     *time.Ticker // each request takes one tick
}

func newLoad(a *App) (part, error) { return part{work: customers(a).run}, nil }

func customers(a *App) load {
	interval := time.Duration(float64(time.Second) / a.config.loadRate)
	return load{a, a.httpDependency("frontend", a.config.frontendURL), time.NewTicker(interval)}
}

func (l load) run(ctx context.Context) error {
	var users sync.WaitGroup
	for range l.config.loadUsers {
		users.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.session(ctx, products[n%len(products)].ID)
			}
		})
	}
	users.Wait()
	return nil
}

// session is one visit: look, choose, put into the cart, buy. Who could not fill the cart does not buy.
func (l load) session(ctx context.Context, productID string) {
	user := "u-" + rand.Text()[:8]
	l.request(ctx, http.MethodGet, "/products", nil)
	l.request(ctx, http.MethodGet, "/products/"+productID, nil)
	if l.request(ctx, http.MethodPost, "/cart/items", itemRequest{user, productID, 1}) {
		l.request(ctx, http.MethodPost, "/checkout", orderRequest{user})
	}
}

// request waits for its turn, and says whether it succeeded.
func (l load) request(ctx context.Context, method, path string, body any) bool {
	select {
	case <-l.tick.C:
	case <-ctx.Done():
		return false
	}
	var answer json.RawMessage
	err := l.faults.Pass(ctx)
	if err == nil {
		err = l.frontend.call(ctx, method, path, body, &answer)
	}
	if err != nil && ctx.Err() == nil {
		l.telemetry.Log.WarnContext(ctx, "Customer got an error", "error", err.Error())
	}
	return err == nil
}
