package responder

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// apiPause is how often the addresses of the API server are read again: they change when control plane nodes do.
const apiPause = time.Minute

// followAPI keeps the addresses of the cluster's own API server until the context ends.
func (p *process) followAPI(ctx context.Context) error {
	ticker := time.NewTicker(apiPause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			p.learnAPI(ctx)
		}
	}
}

// learnAPI reads where the cluster's own API server is, so that no receiver leads there: the address of its Service, on
// every port; the address that this process uses; and its endpoints, on their ports, as they may be nodes that serve
// other things too.
func (p *process) learnAPI(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	addresses := apiAddresses(p.REST.Host, os.Getenv("KUBERNETES_SERVICE_HOST"))
	var slices discoveryv1.EndpointSliceList
	err := p.direct.List(ctx, &slices, client.InNamespace(corev1.NamespaceDefault), client.MatchingLabels{discoveryv1.LabelServiceName: "kubernetes"})
	if err != nil {
		p.Log.Error(err, "The endpoints of the API server were not read: a receiver that leads to one of them is not refused until they are")
	}
	for _, slice := range slices.Items {
		for _, port := range slice.Ports {
			for _, endpoint := range slice.Endpoints {
				for _, text := range endpoint.Addresses {
					if a, parseErr := netip.ParseAddr(text); parseErr == nil && port.Port != nil {
						addresses = append(addresses, netip.AddrPortFrom(a, uint16(*port.Port)))
					}
				}
			}
		}
	}
	if err == nil || !p.apiKnown {
		p.api.Set(addresses)
		p.apiKnown = err == nil
	}
}

// apiAddresses are those that this process was given: host is the API server's URL or host:port, service the address of
// its Service.
func apiAddresses(host, service string) []netip.AddrPort {
	var list []netip.AddrPort
	if a, err := netip.ParseAddr(service); err == nil {
		list = append(list, netip.AddrPortFrom(a, 0))
	}
	if u, err := url.Parse(host); err == nil && u.Host != "" {
		host = u.Host
		switch {
		case u.Port() != "":
		case u.Scheme == "http":
			host = net.JoinHostPort(u.Hostname(), "80")
		default:
			host = net.JoinHostPort(u.Hostname(), "443")
		}
	}
	if at, err := netip.ParseAddrPort(host); err == nil {
		list = append(list, at)
	}
	return list
}
