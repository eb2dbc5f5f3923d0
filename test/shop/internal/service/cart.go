package service

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubebot/kubebot/test/shop/shoppb"
)

// Bounds of what is kept in memory.
const (
	maxCarts     = 1000 // the one touched longest ago goes first
	maxCartItems = 50
)

type cart struct {
	shoppb.UnimplementedCartServer
	*App

	mu    sync.Mutex
	items map[string][]*shoppb.Item
	users []string // in the order they were last touched
}

func newCart(a *App) (part, error) {
	c := &cart{App: a, items: map[string][]*shoppb.Item{}}
	return part{rpc: func(r grpc.ServiceRegistrar) { shoppb.RegisterCartServer(r, c) }}, nil
}

// AddItem implements shoppb.CartServer.
func (c *cart) AddItem(ctx context.Context, in *shoppb.AddItemRequest) (*shoppb.CartContent, error) {
	user, item := in.GetUserId(), in.GetItem()
	if user == "" || item.GetProductId() == "" || item.GetQuantity() < 1 || item.GetUnitCents() < 1 {
		return nil, status.Error(codes.InvalidArgument, "user, product, quantity and price must be set")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.items[user]) >= maxCartItems {
		return nil, status.Errorf(codes.InvalidArgument, "a cart holds at most %d items", maxCartItems)
	}
	c.forget(user)
	if len(c.users) >= maxCarts {
		delete(c.items, c.users[0])
		c.users = slices.Delete(c.users, 0, 1)
	}
	c.users = append(c.users, user)
	c.items[user] = append(c.items[user], item)
	c.telemetry.Log.InfoContext(ctx, "Item added", "product", item.GetProductId(), "items", len(c.items[user]))
	return c.content(user), nil
}

// GetCart implements shoppb.CartServer.
func (c *cart) GetCart(ctx context.Context, in *shoppb.CartRequest) (*shoppb.CartContent, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.telemetry.Log.InfoContext(ctx, "Cart read", "items", len(c.items[in.GetUserId()]))
	return c.content(in.GetUserId()), nil
}

// EmptyCart implements shoppb.CartServer.
func (c *cart) EmptyCart(ctx context.Context, in *shoppb.CartRequest) (*shoppb.CartContent, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(in.GetUserId())
	delete(c.items, in.GetUserId())
	c.telemetry.Log.InfoContext(ctx, "Cart emptied")
	return c.content(in.GetUserId()), nil
}

func (c *cart) content(user string) *shoppb.CartContent {
	return &shoppb.CartContent{UserId: user, Items: slices.Clone(c.items[user])}
}

func (c *cart) forget(user string) {
	c.users = slices.DeleteFunc(c.users, func(u string) bool { return u == user })
}
