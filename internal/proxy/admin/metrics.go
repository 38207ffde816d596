package admin

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// metrics shows the counters of the data plane to Prometheus. They are read when asked for: a request pays once.
type metrics struct {
	plane                                                         Plane
	requests, durations, inFlight, weight, unrouted, gen, unsaved *prometheus.Desc
}

func registerMetrics(a *api) error {
	labels := prometheus.Labels{"proxy": a.Name}
	desc := func(name, help string, vars ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, vars, labels)
	}
	m := &metrics{
		plane: a.plane,
		requests: desc("belay_proxy_requests_total", "Requests by how they ended; code_class is 1xx to 5xx, or cancelled by the client.",
			"slot", "release", "route", "code_class"),
		durations: desc("belay_proxy_request_duration_seconds", "Time to the end of the response, streams left out.", "slot", "release"),
		inFlight:  desc("belay_proxy_in_flight_requests", "Requests and streams now.", "slot"),
		weight:    desc("belay_proxy_slot_weight_percent", "Share of new requests.", "slot", "release"),
		unrouted:  desc("belay_proxy_unrouted_requests_total", "Requests answered 503 because no slot had weight."),
		gen:       desc("belay_proxy_generation", "Grows with each change of weights or slots."),
		unsaved:   desc("belay_proxy_state_unsaved", "1 while a change is active that a restart would lose."),
	}
	for _, c := range []prometheus.Collector{
		m, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := a.Registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.requests, m.durations, m.inFlight, m.weight, m.unrouted, m.gen, m.unsaved} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	s := m.plane.Snapshot()
	unsaved := 1.0
	if m.plane.Status().Saved {
		unsaved = 0
	}
	ch <- prometheus.MustNewConstMetric(m.unsaved, prometheus.GaugeValue, unsaved)
	ch <- prometheus.MustNewConstMetric(m.gen, prometheus.GaugeValue, float64(s.Generation))
	ch <- prometheus.MustNewConstMetric(m.unrouted, prometheus.CounterValue, float64(s.Unrouted))
	for _, v := range s.Slots {
		ch <- prometheus.MustNewConstMetric(m.inFlight, prometheus.GaugeValue, float64(v.InFlight), v.Name)
		ch <- prometheus.MustNewConstMetric(m.weight, prometheus.GaugeValue, float64(v.Weight), v.Name, v.Release)
	}
	type key struct{ slot, release string }
	sums := map[key]*proxyclient.Histogram{}
	for _, c := range s.Counters {
		for i, n := range c.Classes {
			if n > 0 {
				ch <- prometheus.MustNewConstMetric(m.requests, prometheus.CounterValue, float64(n), c.Slot, c.Release, c.Stratum, strconv.Itoa(i+1)+"xx")
			}
		}
		if c.Cancelled > 0 {
			ch <- prometheus.MustNewConstMetric(m.requests, prometheus.CounterValue, float64(c.Cancelled), c.Slot, c.Release, c.Stratum, "cancelled")
		}
		k := key{c.Slot, c.Release}
		if sums[k] == nil {
			sums[k] = &proxyclient.Histogram{Counts: make([]uint64, len(c.Full.Counts))}
		}
		for i, n := range c.Full.Counts {
			sums[k].Counts[i] += n
		}
		sums[k].Sum += c.Full.Sum
	}
	for k, h := range sums {
		cumulative, n := map[float64]uint64{}, uint64(0)
		for i, v := range h.Counts {
			n += v
			if i < len(s.LE) {
				cumulative[s.LE[i]] = n
			}
		}
		ch <- prometheus.MustNewConstHistogram(m.durations, n, h.Sum, cumulative, k.slot, k.release)
	}
}
