package rival

import (
	"math"

	"github.com/belaydev/belay/internal/learn/backtest/usual"
)

// Latencies are the rules on response times.
func Latencies() []Entry {
	return []Entry{
		entry("p99-500ms", "Flagger's request-duration: p99 of a minute at most 500 ms", func(Facts) Rule {
			return &slowest{usual.Flagger{Min: math.NaN(), Max: 0.5}, minutes{}}
		}),
		entry("kayenta-p99", "Kayenta on the p99 of each minute, a look every 10 minutes", func(Facts) Rule {
			return &compared{usual.NewKayenta(kayentaLook), minutes{}, 0.99}
		}),
		entry("kayenta-p50", "Kayenta on the median of each minute, a look every 10 minutes", func(Facts) Rule {
			return &compared{usual.NewKayenta(kayentaLook), minutes{}, 0.50}
		}),
		entry("dkw", "time-uniform DKW bands of both distributions", func(Facts) Rule { return &dkw{} }),
	}
}

// minutes adds up the histograms of a minute.
type minutes struct {
	c, b Histogram
	end  float64
}

// take adds a tick; true at the end of a minute, after which the next one begins with clear.
func (m *minutes) take(v *View) bool {
	if v.T <= 0 {
		return false
	}
	if m.end == 0 {
		m.end = interval
	}
	m.c.sum(&v.C)
	m.b.sum(&v.B)
	if v.T < m.end-1e-9 {
		return false
	}
	m.end += interval
	return true
}

func (m *minutes) clear() {
	m.c.clear()
	m.b.clear()
}

func (h *Histogram) sum(o *Histogram) {
	if len(h.LE) != len(o.LE) {
		h.LE, h.Count = o.LE, make([]float64, len(o.LE))
	}
	h.N += o.N
	for i, c := range o.Count {
		h.Count[i] += c
	}
}

// quantile interpolates within a bucket, as histogram_quantile of Prometheus does; NaN without requests.
func (h *Histogram) quantile(q float64) float64 {
	if h.N == 0 {
		return math.NaN()
	}
	rank, low, under := q*h.N, 0.0, 0.0
	for i, c := range h.Count {
		if c >= rank {
			if c == under {
				return h.LE[i]
			}
			return low + (h.LE[i]-low)*(rank-under)/(c-under)
		}
		low, under = h.LE[i], c
	}
	return low
}

// slowest is Flagger's built-in request-duration: p99 of each minute at most 500 ms, by default rolled back at the first
// that is not.
type slowest struct {
	flagger usual.Flagger
	minutes minutes
}

// Observe takes a tick.
func (r *slowest) Observe(v *View) bool {
	if !r.minutes.take(v) {
		return false
	}
	defer r.minutes.clear()
	return r.flagger.Check(r.minutes.c.quantile(0.99))
}

// compared is Kayenta on a quantile of each minute.
type compared struct {
	kayenta *usual.KayentaRule
	minutes minutes
	q       float64
}

// Observe takes a tick.
func (r *compared) Observe(v *View) bool {
	if !r.minutes.take(v) {
		return false
	}
	defer r.minutes.clear()
	return r.kayenta.Value(r.minutes.c.quantile(r.q), r.minutes.b.quantile(r.q))
}

// dkw says that the candidate is slower once the distributions of both sides are further apart, at any bound, than the
// time-uniform Dvoretzky-Kiefer-Wolfowitz bands of both are wide (Howard, Ramdas, "Sequential estimation of quantiles",
// 2022; each band misses in one of 200 watches).
type dkw struct{ c, b Histogram }

const dkwC = 9.78 // for alpha 0.005, solved with the routine of their library

// Observe takes a tick.
func (r *dkw) Observe(v *View) bool {
	if v.T <= 0 {
		return false
	}
	r.c.sum(&v.C)
	r.b.sum(&v.B)
	if r.c.N < 1 || r.b.N < 1 {
		return false
	}
	width := band(r.c.N) + band(r.b.N)
	for i := range r.c.Count {
		if r.b.Count[i]/r.b.N-r.c.Count[i]/r.c.N > width {
			return true
		}
	}
	return false
}

func band(n float64) float64 { return 0.85 * math.Sqrt((math.Log1p(math.Log(n))+dkwC)/n) }
