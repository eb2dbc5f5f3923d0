package service

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// grpcServer takes what else than telemetry the service's server has.
func (a *App) grpcServer(l net.Listener, own ...grpc.ServerOption) server {
	s := grpc.NewServer(append(own,
		grpc.StatsHandler(otelgrpc.NewServerHandler(a.otelgrpcOptions()...)),
		grpc.UnaryInterceptor(a.answerCall))...)
	a.part.rpc(s)
	return server{
		listener: l,
		serve: func() error {
			if err := s.Serve(l); err != nil {
				return fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
			return nil
		},
		stop: func() {
			cut := time.AfterFunc(finishTimeout, s.Stop)
			defer cut.Stop()
			s.GracefulStop()
		},
	}
}

// answerCall logs what fails; an error without a code of its own is internal.
func (a *App) answerCall(ctx context.Context, in any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	var out any
	err := a.faults.Pass(ctx)
	if err == nil {
		out, err = handler(ctx, in)
	}
	if err == nil {
		return out, nil
	}
	if _, coded := status.FromError(err); !coded {
		err = status.Error(codes.Internal, err.Error())
	}
	log := a.telemetry.Log.With("rpc.method", info.FullMethod, "rpc.response.status_code", status.Code(err).String(),
		"error", status.Convert(err).Message())
	if status.Code(err) == codes.Internal {
		log.ErrorContext(ctx, "Call failed")
	} else {
		log.WarnContext(ctx, "Call refused")
	}
	return nil, err
}

func (a *App) otelgrpcOptions() []otelgrpc.Option {
	return []otelgrpc.Option{
		otelgrpc.WithTracerProvider(a.telemetry.Tracers),
		otelgrpc.WithMeterProvider(a.telemetry.Meters),
		otelgrpc.WithPropagators(a.telemetry.Propagator),
	}
}

// grpcDependency connects when it is first used, and again within seconds when the connection was lost.
func (a *App) grpcDependency(name, target string, transport credentials.TransportCredentials) (*grpc.ClientConn, error) {
	dial := a.faults.Dialer(name)
	retry := backoff.DefaultConfig
	retry.MaxDelay = 3 * time.Second
	conn, err := grpc.NewClient(target,
		grpc.WithTransportCredentials(transport),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(a.otelgrpcOptions()...)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: callTimeout}),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dial(ctx, "tcp", address)
		}))
	if err != nil {
		return nil, fmt.Errorf("make a client of %s: %w", name, err)
	}
	return conn, nil
}

// rpcFailure turns the error of a gRPC dependency into what it means for an HTTP caller.
func rpcFailure(doing string, err error) error {
	code := http.StatusBadGateway
	if status.Code(err) == codes.InvalidArgument {
		code = http.StatusBadRequest
	}
	return &failure{code, fmt.Errorf("%s: %w", doing, err)}
}
