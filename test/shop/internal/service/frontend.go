package service

import (
	"context"
	"net/http"
	"net/url"

	"google.golang.org/grpc/credentials/insecure"

	"github.com/kubebot/kubebot/test/shop/shoppb"
)

// itemRequest puts a product into the user's cart.
type itemRequest struct {
	User     string `json:"user"`
	Product  string `json:"product"`
	Quantity int32  `json:"quantity"`
}

// cartSize is what the frontend shows of a cart.
type cartSize struct {
	User  string `json:"user"`
	Items int    `json:"items"`
}

type frontend struct {
	*App
	catalog, checkout httpDependency
	cart              shoppb.CartClient
}

func newFrontend(a *App) (part, error) {
	cart, err := a.grpcDependency("cart", a.config.cartAddr, insecure.NewCredentials())
	if err != nil {
		return part{}, err
	}
	f := frontend{
		App:      a,
		catalog:  a.httpDependency("catalog", a.config.catalogURL),
		checkout: a.httpDependency("checkout", a.config.checkoutURL),
		cart:     shoppb.NewCartClient(cart),
	}
	return part{routes: map[string]operation{
		"GET /products":      f.home,
		"GET /products/{id}": f.product,
		"POST /cart/items":   f.add,
		"POST /checkout":     f.buy,
	}, release: cart.Close}, nil
}

func (f frontend) home(r *http.Request) (any, error) {
	var all []product
	if err := f.catalog.call(r.Context(), http.MethodGet, "/products", nil, &all); err != nil {
		return nil, err
	}
	f.telemetry.Log.InfoContext(r.Context(), "Home page shown", "products", len(all))
	return all, nil
}

func (f frontend) product(r *http.Request) (any, error) {
	p, err := f.find(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	f.telemetry.Log.InfoContext(r.Context(), "Product page shown", "product", p.ID)
	return p, nil
}

func (f frontend) add(r *http.Request) (any, error) {
	var in itemRequest
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	p, err := f.find(r.Context(), in.Product)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	defer cancel()
	content, err := f.cart.AddItem(ctx, &shoppb.AddItemRequest{UserId: in.User,
		Item: &shoppb.Item{ProductId: p.ID, Quantity: in.Quantity, UnitCents: p.UnitCents}})
	if err != nil {
		return nil, rpcFailure("add to the cart", err)
	}
	f.telemetry.Log.InfoContext(r.Context(), "Item put into the cart", "product", p.ID)
	return cartSize{in.User, len(content.GetItems())}, nil
}

func (f frontend) buy(r *http.Request) (any, error) {
	var in orderRequest
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	var placed order
	if err := f.checkout.call(r.Context(), http.MethodPost, "/orders", in, &placed); err != nil {
		return nil, err
	}
	f.telemetry.Log.InfoContext(r.Context(), "Order confirmed", "order", placed.ID)
	return placed, nil
}

func (f frontend) find(ctx context.Context, id string) (product, error) {
	var p product
	err := f.catalog.call(ctx, http.MethodGet, "/products/"+url.PathEscape(id), nil, &p)
	return p, err
}
