package enrich

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kubebot/kubebot/internal/diagnosis"
)

// TestWorkloadsOfOneNameAreKnownByTheirOwnServices runs often, for maps have another order each time.
func TestWorkloadsOfOneNameAreKnownByTheirOwnServices(t *testing.T) {
	cart := func(kind, namespace string) diagnosis.Object {
		return diagnosis.Object{APIVersion: "apps/v1", Kind: kind, Namespace: namespace, Name: "cart"}
	}
	for range 50 {
		r := reading{Telemetry: NewTelemetry()}
		r.Homes["cart-svc"], r.Homes["cart-staging"] = cart("Deployment", "shop"), cart("Deployment", "staging")
		r.Homes["cart-old"], r.Homes["cart-older"] = cart("StatefulSet", "legacy"), cart("Deployment", "legacy")
		r.Homes["mailer"] = diagnosis.Object{Name: "mail"}
		got := collect([]reading{r})
		assert.Equal(t, "cart-svc", got.serviceOf(cart("Deployment", "shop")))
		assert.Equal(t, "cart-staging", got.serviceOf(cart("Deployment", "staging")))
		assert.Equal(t, "cart-old", got.service("legacy", "cart"), "two kinds in one namespace: the first")
		assert.Equal(t, "cart-older", got.aliases[cart("Deployment", "legacy")])
		assert.Equal(t, "cart", got.service("elsewhere", "cart"))
		assert.Equal(t, "mailer", got.service("shop", "mail"), "telemetry did not say where it runs")
		assert.Equal(t, map[string]string{"cart": "cart-staging", "mail": "mailer"}, got.services("staging"))
		assert.Equal(t, "cart-old", got.services("")["cart"])
	}
}
