package service

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"
)

// config is what the environment says. Addresses of dependencies, the price format and the currency are used as they
// are when a request needs them: a wrong one fails requests, not the start.
type config struct {
	httpAddr, grpcAddr, metricsAddr, adminAddr string

	catalogURL, checkoutURL, frontendURL string // base URLs without a slash at the end
	cartAddr, paymentAddr                string // gRPC targets

	tlsDir        string        // of the payment, holds tls.crt and tls.key; plain without them
	connectionAge time.Duration // at which the payment ends a connection that is not plain
	paymentCA     string        // of the checkout, the authority of the payment's certificate; plain without it

	priceFormat string // of the catalog, see price.ParseFormat
	currency    string // of the checkout, ISO 4217
	dataDir     string // of the checkout, holds its journal of orders

	loadRate  float64 // requests per second of the load, in all
	loadUsers int     // sessions of the load at one time

	drain    time.Duration // from "not ready" to the end of listening
	logLevel slog.Level
	instance string
}

// readConfig reads the variables that README.md lists.
func readConfig(getenv func(string) string) (config, error) {
	env := func(key, fallback string) string {
		if value := getenv(key); value != "" {
			return value
		}
		return fallback
	}
	c := config{
		httpAddr:    env("HTTP_ADDR", ":8080"),
		grpcAddr:    env("GRPC_ADDR", ":9090"),
		metricsAddr: env("METRICS_ADDR", ":9464"),
		adminAddr:   env("ADMIN_ADDR", "127.0.0.1:9465"),
		catalogURL:  env("CATALOG_URL", "http://catalog:8080"),
		checkoutURL: env("CHECKOUT_URL", "http://checkout:8080"),
		frontendURL: env("FRONTEND_URL", "http://frontend:8080"),
		cartAddr:    env("CART_ADDR", "cart:9090"),
		paymentAddr: env("PAYMENT_ADDR", "payment:9090"),
		priceFormat: env("PRICE_FORMAT", "USD:2"),
		currency:    env("CURRENCY", "USD"),
		dataDir:     getenv("DATA_DIR"),
		instance:    getenv("HOSTNAME"),
		tlsDir:      env("TLS_DIR", "/etc/shop/tls"),
		paymentCA:   env("PAYMENT_CA", "/etc/shop/payment-ca/ca.crt"),
	}
	if err := c.logLevel.UnmarshalText([]byte(env("LOG_LEVEL", "INFO"))); err != nil {
		return config{}, fmt.Errorf("read LOG_LEVEL: %w", err)
	}
	var err error
	if c.drain, err = time.ParseDuration(env("DRAIN", "3s")); err != nil {
		return config{}, fmt.Errorf("read DRAIN: %w", err)
	}
	if c.connectionAge, err = time.ParseDuration(env("CONNECTION_AGE", "30s")); err != nil || c.connectionAge <= 0 {
		return config{}, fmt.Errorf("read CONNECTION_AGE %q: want a time above 0", getenv("CONNECTION_AGE"))
	}
	if c.loadRate, err = strconv.ParseFloat(env("LOAD_RPS", "5"), 64); err != nil || !(c.loadRate > 0 && c.loadRate <= 1000) {
		return config{}, fmt.Errorf("read LOAD_RPS %q: want a number above 0, at most 1000", getenv("LOAD_RPS"))
	}
	if c.loadUsers, err = strconv.Atoi(env("LOAD_USERS", "4")); err != nil || c.loadUsers < 1 || c.loadUsers > 100 {
		return config{}, fmt.Errorf("read LOAD_USERS %q: want a number from 1 to 100", getenv("LOAD_USERS"))
	}
	host, _, err := net.SplitHostPort(c.adminAddr)
	if err != nil {
		return config{}, fmt.Errorf("read ADMIN_ADDR: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return config{}, fmt.Errorf("read ADMIN_ADDR %q: want a loopback address", c.adminAddr)
	}
	return c, nil
}
