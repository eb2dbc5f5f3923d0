package service

import (
	"fmt"
	"net/http"

	"github.com/kubebot/kubebot/test/shop/internal/price"
)

// product is one thing on sale, as the catalog and the frontend show it.
type product struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	UnitCents int64  `json:"unitCents"`
	Price     string `json:"price"`
}

var products = []product{
	{ID: "p1", Name: "Espresso cup", UnitCents: 950},
	{ID: "p2", Name: "Milk jug", UnitCents: 1890},
	{ID: "p3", Name: "Hand grinder", UnitCents: 6400},
	{ID: "p4", Name: "Filter papers", UnitCents: 420},
	{ID: "p5", Name: "Kettle", UnitCents: 5200},
	{ID: "p6", Name: "Scales", UnitCents: 3750},
}

type catalog struct{ *App }

func newCatalog(a *App) (part, error) {
	c := catalog{a}
	return part{routes: map[string]operation{
		"GET /products":      c.list,
		"GET /products/{id}": c.show,
	}}, nil
}

func (c catalog) list(r *http.Request) (any, error) {
	priced := make([]product, 0, len(products))
	for _, p := range products {
		shown, err := c.priced(p)
		if err != nil {
			return nil, err
		}
		priced = append(priced, shown)
	}
	c.telemetry.Log.InfoContext(r.Context(), "Products listed", "count", len(priced))
	return priced, nil
}

func (c catalog) show(r *http.Request) (any, error) {
	id := r.PathValue("id")
	for _, p := range products {
		if p.ID == id {
			c.telemetry.Log.InfoContext(r.Context(), "Product found", "product", id)
			return c.priced(p)
		}
	}
	return nil, &failure{http.StatusNotFound, fmt.Errorf("no product %q", id)}
}

func (c catalog) priced(p product) (product, error) {
	format, err := price.ParseFormat(c.config.priceFormat)
	if err != nil {
		return product{}, fmt.Errorf("show the price of %s: %w", p.ID, err)
	}
	p.Price = format.Text(p.UnitCents)
	return p, nil
}
