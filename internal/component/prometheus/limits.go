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

// newLimits checks what the CRD's schema can't and fills in the defaults. Room is the storage's size in bytes.
func newLimits(s v1alpha1.PrometheusSpec, room int64) (l limits, err error) {
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
	if s.RetentionSize != nil {
		size = s.RetentionSize.Value()
	}
	if size <= 0 || size > room {
		return limits{}, &component.InvalidError{
			Field: field + ".retentionSize",
			Message: fmt.Sprintf("%s does not fit into the storage of %s: give a size between zero and that, or leave it out for %d%% of the storage",
				s.RetentionSize, resource.NewQuantity(room, resource.BinarySI), usableShare),
		}
	}
	l.retentionSize = monitoringv1.ByteSize(fmt.Sprintf("%dMiB", max(size>>20, 1)))
	return l, nil
}
