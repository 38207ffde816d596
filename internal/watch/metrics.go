package watch

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
)

type metrics struct {
	deployments *prometheus.CounterVec
	verdicts    *prometheus.CounterVec
	active      prometheus.Gauge
	detection   prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		deployments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belay_deployments_total", Help: "Deployments that ended, by final state.",
		}, []string{"state"}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belay_verdicts_total", Help: "Verdicts reached, counted when the verdict of a deployment changes.",
		}, []string{"verdict"}),
		active: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belay_watch_active", Help: "Deployments that are not in a final state.",
		}),
		detection: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "belay_detection_seconds", Help: "Time from the first bad moment of a release to the verdict regressed.",
			Buckets: []float64{.25, .5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800},
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.deployments, m.verdicts, m.active, m.detection} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// count takes note of one step of the state machine.
func (m *metrics) count(before, after belay.Deployment) {
	if after.State != before.State && after.State.Final() {
		m.deployments.WithLabelValues(string(after.State)).Inc()
	}
	if after.Card == nil {
		return
	}
	v := after.Card.Verdict
	if v != belay.VerdictNone && (before.Card == nil || before.Card.Verdict != v) {
		m.verdicts.WithLabelValues(string(v)).Inc()
		if v == belay.VerdictRegressed && after.Card.FirstBad != nil {
			m.detection.Observe(after.Card.T - *after.Card.FirstBad)
		}
	}
}
