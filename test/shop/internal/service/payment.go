package service

import (
	"context"
	"crypto/rand"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubebot/kubebot/test/shop/shoppb"
)

var currencies = map[string]bool{"USD": true, "EUR": true, "GBP": true, "JPY": true}

type payment struct {
	shoppb.UnimplementedPaymentServer
	*App
}

func newPayment(a *App) (part, error) {
	options, err := serverCredentials(a.config.tlsDir, a.config.connectionAge)
	if err != nil {
		return part{}, err
	}
	return part{server: options, rpc: func(r grpc.ServiceRegistrar) { shoppb.RegisterPaymentServer(r, payment{App: a}) }}, nil
}

// Charge implements shoppb.PaymentServer.
func (p payment) Charge(ctx context.Context, in *shoppb.ChargeRequest) (*shoppb.ChargeReply, error) {
	if in.GetOrderId() == "" || in.GetAmountCents() < 1 {
		return nil, status.Error(codes.InvalidArgument, "order and amount must be set")
	}
	if !currencies[in.GetCurrency()] {
		return nil, status.Errorf(codes.FailedPrecondition, "currency %q is not supported", in.GetCurrency())
	}
	p.telemetry.Log.InfoContext(ctx, "Card charged", "order", in.GetOrderId(), "cents", in.GetAmountCents())
	return &shoppb.ChargeReply{TransactionId: rand.Text()}, nil
}
