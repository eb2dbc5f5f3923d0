package service

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"google.golang.org/grpc/credentials/insecure"

	"github.com/kubebot/kubebot/test/shop/shoppb"
)

// maxJournal is the size in bytes at which the journal of orders begins anew; one older file is kept.
const maxJournal = 1 << 20

// orderRequest asks for an order of what is in the user's cart.
type orderRequest struct {
	User string `json:"user"`
}

// order is what was bought.
type order struct {
	ID          string `json:"id"`
	User        string `json:"user"`
	Cents       int64  `json:"cents"`
	Currency    string `json:"currency"`
	Transaction string `json:"transaction"`
}

type checkout struct {
	*App
	cart    shoppb.CartClient
	payment shoppb.PaymentClient
	journal sync.Mutex
}

func newCheckout(a *App) (part, error) {
	transport, err := clientCredentials(a.config.paymentCA)
	if err != nil {
		return part{}, err
	}
	cart, err := a.grpcDependency("cart", a.config.cartAddr, insecure.NewCredentials())
	if err != nil {
		return part{}, err
	}
	payment, err := a.grpcDependency("payment", a.config.paymentAddr, transport)
	if err != nil {
		return part{}, errors.Join(err, cart.Close())
	}
	c := &checkout{App: a, cart: shoppb.NewCartClient(cart), payment: shoppb.NewPaymentClient(payment)}
	return part{
		routes:  map[string]operation{"POST /orders": c.place},
		release: func() error { return errors.Join(cart.Close(), payment.Close()) },
	}, nil
}

func (c *checkout) place(r *http.Request) (any, error) {
	var in orderRequest
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	content, err := c.cart.GetCart(ctx, &shoppb.CartRequest{UserId: in.User})
	if err != nil {
		return nil, rpcFailure("read the cart", err)
	}
	o := order{ID: rand.Text(), User: in.User, Currency: c.config.currency}
	for _, item := range content.GetItems() {
		o.Cents += item.GetUnitCents() * int64(item.GetQuantity())
	}
	if o.Cents == 0 {
		return nil, &failure{http.StatusConflict, errors.New("the cart is empty")}
	}
	charged, err := c.payment.Charge(ctx, &shoppb.ChargeRequest{OrderId: o.ID, AmountCents: o.Cents, Currency: o.Currency})
	if err != nil {
		return nil, rpcFailure("charge the card", err)
	}
	o.Transaction = charged.GetTransactionId()
	if err := c.record(o); err != nil {
		return nil, err
	}
	if _, err := c.cart.EmptyCart(ctx, &shoppb.CartRequest{UserId: in.User}); err != nil {
		return nil, rpcFailure("empty the cart", err)
	}
	c.telemetry.Log.InfoContext(ctx, "Order placed", "order", o.ID, "cents", o.Cents)
	return o, nil
}

// record appends the order to the journal in the data folder, if there is one.
func (c *checkout) record(o order) error {
	if c.config.dataDir == "" {
		return nil
	}
	line, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode order: %w", err)
	}
	c.journal.Lock()
	defer c.journal.Unlock()
	path := filepath.Join(c.config.dataDir, "orders.jsonl")
	if info, err := os.Stat(path); err == nil && info.Size() > maxJournal {
		if err := os.Rename(path, path+".1"); err != nil {
			return fmt.Errorf("rotate the journal of orders: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the journal of orders: %w", err)
	}
	_, err = file.Write(append(line, '\n'))
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("append to the journal of orders: %w", err)
	}
	return nil
}
