package proxy

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// metrics shows the counters of the data plane to Prometheus. They are read when asked for: a request pays once.
type metrics struct {
	proxy                                           *Proxy
	requests, durations, inFlight, weight, unrouted *prometheus.Desc
	changes, saveErrors                             prometheus.Counter
}

func newMetrics(p *Proxy, reg *prometheus.Registry) (*metrics, error) {
	labels := prometheus.Labels{"proxy": p.opt.Name}
	desc := func(name, help string, vars ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, vars, labels)
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
	}
	m := &metrics{
		proxy: p,
		requests: desc("belay_proxy_requests_total", "Requests by how they ended; code_class is 1xx to 5xx, or cancelled by the client.",
			"slot", "release", "route", "code_class"),
		durations:  desc("belay_proxy_request_duration_seconds", "Time to the end of the response, streams left out.", "slot", "release"),
		inFlight:   desc("belay_proxy_in_flight_requests", "Requests and streams now.", "slot"),
		weight:     desc("belay_proxy_slot_weight_percent", "Share of new requests.", "slot", "release"),
		unrouted:   desc("belay_proxy_unrouted_requests_total", "Requests answered 503 because no slot had weight."),
		changes:    counter("belay_proxy_changes_total", "Changes of weights and slots."),
		saveErrors: counter("belay_proxy_save_errors_total", "Changes that are active but were not saved at once."),
	}
	for _, c := range []prometheus.Collector{
		m, m.changes, m.saveErrors, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) changed(err error) {
	m.changes.Inc()
	if err != nil {
		m.saveErrors.Inc()
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.requests, m.durations, m.inFlight, m.weight, m.unrouted} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	s := m.proxy.snapshot(0)
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
