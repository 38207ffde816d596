package rollback

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
)

type metrics struct {
	ended    *prometheus.CounterVec
	steps    *prometheus.CounterVec
	duration prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belay_rollbacks_total", Help: "Rollbacks that ended, by how.",
		}, []string{"state"}),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belay_rollback_steps_total", Help: "Rollback steps that ended, by driver and how.",
		}, []string{"driver", "state"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "belay_rollback_duration_seconds", Help: "From the stored plan to the end, proof included.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600},
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.ended, m.steps, m.duration} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register rollback metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) rollbackEnded(rb belay.Rollback) {
	m.ended.WithLabelValues(string(rb.State)).Inc()
	m.duration.Observe(rb.EndedAt.Sub(rb.StartedAt).Seconds())
}
