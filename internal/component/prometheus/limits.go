package prometheus

import (
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubebot/kubebot/api/v1alpha1"
	"github.com/kubebot/kubebot/internal/component"
)

// limits are the checked durations and sizes of a Prometheus.
type limits struct {
	retention, scrape, evaluation model.Duration
	retentionSize                 monitoringv1.ByteSize
}

// newLimits checks what the CRD's schema can't and fills in the defaults. Volume is the storage's size
// in bytes, room what of it is there: a volume that is being enlarged is smaller.
func newLimits(s v1alpha1.PrometheusSpec, volume, room int64) (l limits, err error) {
	if l.retention, err = component.Duration(field+".retention", s.Retention, retention); err != nil {
		return limits{}, err
	}
	if l.scrape, err = component.Duration(field+".scrapeInterval", s.ScrapeInterval, interval); err != nil {
		return limits{}, err
	}
	if l.evaluation, err = component.Duration(field+".evaluationInterval", s.EvaluationInterval, interval); err != nil {
		return limits{}, err
	}
	size := room * usableShare / 100
	given := size
	if s.RetentionSize != nil {
		given = s.RetentionSize.Value()
	}
	if given <= room {
		size = given
	}
	if given <= 0 || given > volume {
		return limits{}, &component.InvalidError{
			Field: field + ".retentionSize",
			Message: fmt.Sprintf("%s does not fit into the storage of %s: give a size between zero and that, or leave it out for %d%% of the storage",
				s.RetentionSize, resource.NewQuantity(volume, resource.BinarySI), usableShare),
		}
	}
	l.retentionSize = monitoringv1.ByteSize(fmt.Sprintf("%dMiB", max(size>>20, 1)))
	return l, nil
}
