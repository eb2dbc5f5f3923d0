package service

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubebot/kubebot/test/shop/shoppb"
)

func TestCatalogAnswers(t *testing.T) {
	for _, tc := range []struct {
		name, format, path, body, route string
		code                            int
	}{
		{name: "all products with prices", format: "USD:2", path: "/products", code: 200, route: "/products", body: `"price":"9.50 USD"`},
		{name: "one product", format: "JPY:0", path: "/products/p3", code: 200, route: "/products/{id}", body: `"price":"64 JPY"`},
		{name: "unknown product", format: "USD:2", path: "/products/p99", code: 404, route: "/products/{id}", body: "Not Found"},
		{name: "format that cannot be parsed, list", format: "EUR", path: "/products", code: 500, route: "/products", body: "Internal Server Error"},
		{name: "format that cannot be parsed, one", format: "EUR", path: "/products/p1", code: 500, route: "/products/{id}", body: "Internal Server Error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			catalog := newApp(t, "catalog", map[string]string{"PRICE_FORMAT": tc.format})
			code, body := catalog.ask(http.MethodGet, tc.path, "")
			if refused := fmt.Sprintf(`"http.request.method":"GET","http.route":%q,"http.response.status_code":%d`, tc.route, tc.code); code != 200 && !strings.Contains(catalog.log.String(), refused) {
				t.Errorf("the log lacks %s:\n%s", refused, catalog.log)
			}
			if code != tc.code || !strings.Contains(body, tc.body) {
				t.Errorf("GET %s = %d %s, want %d with %s", tc.path, code, body, tc.code, tc.body)
			}
			if n := catalog.count(t, "http_server_request_duration_seconds", map[string]string{
				"http_request_method": "GET", "http_route": tc.route, "http_response_status_code": fmt.Sprint(tc.code), "url_scheme": "http",
			}); n != 1 {
				t.Errorf("the request was counted %d times in\n%s", n, catalog.scrape(t))
			}
		})
	}
}

func TestMetricsCarryServiceAndRuntime(t *testing.T) {
	text := newApp(t, "cart", nil).scrape(t)
	for _, want := range []string{`service_name="cart"`, `service_namespace="shop"`, `service_instance_id="cart-0"`,
		"go_goroutines ", "process_cpu_seconds_total "} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestCheckoutTakesTheMoneyAndRecordsTheOrder(t *testing.T) {
	cart, payment := start(t, "cart", nil), start(t, "payment", nil)
	dir := t.TempDir()
	blocked := filepath.Join(dir, "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, user, body, want string
		env                    map[string]string
		code                   int
	}{
		{name: "an order", user: "ann", code: 200, want: `"cents":1900`, env: map[string]string{"DATA_DIR": dir}},
		{name: "an empty cart", code: 409, want: "Conflict", body: `{"user":"nobody"}`},
		{name: "no JSON", code: 400, want: "Bad Request", body: `user`},
		{name: "currency that payment does not take", user: "bob", code: 502, want: "Bad Gateway", env: map[string]string{"CURRENCY": "dollar"}},
		{name: "journal that cannot be written", user: "eve", code: 500, want: "Internal", env: map[string]string{"DATA_DIR": blocked}},
		{name: "payment at a wrong address", user: "joe", code: 502, want: "Bad Gateway", env: map[string]string{"PAYMENT_ADDR": "127.0.0.1:1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env := map[string]string{"CART_ADDR": cart.GRPC, "PAYMENT_ADDR": payment.GRPC}
			for key, value := range tc.env {
				env[key] = value
			}
			checkout := start(t, "checkout", env)
			if tc.user != "" {
				frontend := start(t, "frontend", map[string]string{"CART_ADDR": cart.GRPC,
					"CATALOG_URL": "http://" + start(t, "catalog", nil).HTTP})
				body := fmt.Sprintf(`{"user":%q,"product":"p1","quantity":2}`, tc.user)
				if code, answer := frontend.ask(http.MethodPost, "/cart/items", body); code != 200 {
					t.Fatalf("add to the cart: %d %s", code, answer)
				}
				tc.body = fmt.Sprintf(`{"user":%q}`, tc.user)
			}
			if code, answer := checkout.ask(http.MethodPost, "/orders", tc.body); code != tc.code || !strings.Contains(answer, tc.want) {
				t.Errorf("POST /orders = %d %s, want %d with %s", code, answer, tc.code, tc.want)
			}
		})
	}
	journal, err := os.ReadFile(filepath.Join(dir, "orders.jsonl"))
	var recorded order
	if err != nil || json.Unmarshal(journal, &recorded) != nil || recorded.User != "ann" || recorded.Transaction == "" {
		t.Errorf("journal = %q, %v", journal, err)
	}
}

func TestJournalStartsAnewWhenItIsLarge(t *testing.T) {
	dir := t.TempDir()
	checkout := &checkout{App: newApp(t, "checkout", map[string]string{"DATA_DIR": dir}).App}
	path := filepath.Join(dir, "orders.jsonl")
	if err := os.WriteFile(path, make([]byte, maxJournal+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkout.record(order{ID: "o1"}); err != nil {
		t.Fatal(err)
	}
	if now, err := os.Stat(path); err != nil || now.Size() > 1000 {
		t.Errorf("journal after rotation: %v, %v", now, err)
	}
	if old, err := os.Stat(path + ".1"); err != nil || old.Size() != maxJournal+1 {
		t.Errorf("older journal: %v, %v", old, err)
	}
}

func TestFrontendPassesOnWhatCallersDidWrong(t *testing.T) {
	catalog, cart := start(t, "catalog", nil), start(t, "cart", nil)
	frontend := start(t, "frontend", map[string]string{"CATALOG_URL": "http://" + catalog.HTTP, "CART_ADDR": cart.GRPC,
		"CHECKOUT_URL": "http://127.0.0.1:1"})
	for _, tc := range []struct {
		name, method, path, body string
		code                     int
	}{
		{"home", "GET", "/products", "", 200},
		{"unknown product", "GET", "/products/none", "", 404},
		{"product with a slash", "GET", "/products/a%2Fb", "", 404},
		{"no quantity", "POST", "/cart/items", `{"user":"u","product":"p1"}`, 400},
		{"broken JSON", "POST", "/cart/items", `{`, 400},
		{"checkout is away", "POST", "/checkout", `{"user":"u"}`, 502},
		{"unknown path", "GET", "/nothing", "", 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if code, body := frontend.ask(tc.method, tc.path, tc.body); code != tc.code {
				t.Errorf("%s %s = %d %s, want %d", tc.method, tc.path, code, body, tc.code)
			}
		})
	}
}

func TestPaymentRefusesWhatItCannotCharge(t *testing.T) {
	p := payment{App: newApp(t, "payment", nil).App}
	for _, tc := range []struct {
		name string
		in   *shoppb.ChargeRequest
		want codes.Code
	}{
		{"good", &shoppb.ChargeRequest{OrderId: "o", AmountCents: 1, Currency: "USD"}, codes.OK},
		{"no amount", &shoppb.ChargeRequest{OrderId: "o", Currency: "USD"}, codes.InvalidArgument},
		{"no order", &shoppb.ChargeRequest{AmountCents: 1, Currency: "USD"}, codes.InvalidArgument},
		{"strange currency", &shoppb.ChargeRequest{OrderId: "o", AmountCents: 1, Currency: "XXX"}, codes.FailedPrecondition},
	} {
		if _, err := p.Charge(t.Context(), tc.in); status.Code(err) != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestCartForgetsTheOldestAndStaysSmall(t *testing.T) {
	c := &cart{App: newApp(t, "cart", nil).App, items: map[string][]*shoppb.Item{}}
	add := func(user string) error {
		_, err := c.AddItem(t.Context(), &shoppb.AddItemRequest{UserId: user,
			Item: &shoppb.Item{ProductId: "p1", Quantity: 1, UnitCents: 1}})
		return err
	}
	for i := range maxCarts + 1 {
		if err := add(fmt.Sprint("u", i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.items) != maxCarts || c.items["u0"] != nil || c.items["u1"] == nil {
		t.Errorf("%d carts kept, u0 %v, u1 %v", len(c.items), c.items["u0"], c.items["u1"])
	}
	for range maxCartItems - 1 {
		if err := add("u1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := add("u1"); status.Code(err) != codes.InvalidArgument {
		t.Errorf("an overfull cart answers %v", err)
	}
}

func TestCustomerWithoutACartDoesNotBuy(t *testing.T) {
	for _, tc := range []struct {
		name     string
		cartCode int
		want     []string
	}{
		{"all is well", 200, []string{"GET /products", "GET /products/p1", "POST /cart/items", "POST /checkout"}},
		{"the cart fails", 500, []string{"GET /products", "GET /products/p1", "POST /cart/items"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var mu sync.Mutex
			var got []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, r.Method+" "+r.URL.Path)
				if r.URL.Path == "/cart/items" {
					w.WriteHeader(tc.cartCode)
				}
				fmt.Fprint(w, "{}")
			}))
			defer server.Close()
			a := newApp(t, "load", map[string]string{"FRONTEND_URL": server.URL, "LOAD_RPS": "1000"})
			customers(a.App).session(t.Context(), "p1")
			if !slices.Equal(got, tc.want) {
				t.Errorf("requests = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestBadEnvironmentIsRefusedWithItsName(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"LOG_LEVEL":  {"LOG_LEVEL": "loud"},
		"DRAIN":      {"DRAIN": "soon"},
		"LOAD_RPS":   {"LOAD_RPS": "NaN"},
		"LOAD_USERS": {"LOAD_USERS": "0"},
		"ADMIN_ADDR": {"ADMIN_ADDR": "0.0.0.0:9465"}, // reachable from outside
	} {
		_, err := New(t.Context(), Options{Service: "load", Getenv: func(key string) string { return env[key] }})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(t.Context(), Options{Service: "bank", Getenv: os.Getenv}); err == nil || !strings.Contains(err.Error(), `"checkout"`) {
		t.Errorf("an unknown service: %v", err)
	}
}
