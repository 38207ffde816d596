package rival

import (
	"math"

	"github.com/belaydev/belay/internal/learn/backtest/usual"
)

// Gauges are the rules on gauges with a baseline beside the candidate.
func Gauges() []Entry {
	return []Entry{
		entry("over-120%", "mean of a minute more than 1.2 times that beside it, twice in a row", func(Facts) Rule {
			return &above{limit: 1.2, need: 2}
		}),
		entry("kayenta-10m", "Kayenta on the mean of each minute, a look every 10 minutes", func(Facts) Rule {
			return &meanCompared{kayenta: usual.NewKayenta(kayentaLook)}
		}),
		entry("t01-peeking", "t test of the means of minutes, p < 0.01, read every minute", func(Facts) Rule { return &welch{limit: 2.575829} }),
	}
}

// Series are the rules on a gauge that has nothing beside it but its past.
func Series() []Entry {
	return []Entry{
		entry("3-sigma", "a reading more than 3 standard deviations from the mean of the day before", func(Facts) Rule {
			return &sigmas{limit: 3}
		}).remembering(),
		entry("kayenta-past", "Kayenta against an equal time before, at the end", func(f Facts) Rule {
			return &beforeKayenta{metric: usual.Metric{}, length: f.Length}
		}).remembering(),
		entry("t01-past", "t test against an equal time before, p < 0.01, read at every reading", func(f Facts) Rule {
			return &welch{limit: 2.575829, past: f.Length}
		}).remembering(),
	}
}

// averages are the means of a minute of both sides.
type averages struct{ c, b, n, end float64 }

// take adds a tick; at the end of a minute it returns both means.
func (a *averages) take(v *View) (c, b float64, ok bool) {
	if v.T <= 0 {
		return 0, 0, false
	}
	if a.end == 0 {
		a.end = interval
	}
	a.c, a.b, a.n = a.c+v.CV, a.b+v.BV, a.n+1
	if v.T < a.end-1e-9 {
		return 0, 0, false
	}
	c, b = a.c/a.n, a.b/a.n
	*a = averages{end: a.end + interval}
	return c, b, true
}

// above acts when the candidate's mean of a minute was so many times the baseline's, so often in a row.
type above struct {
	limit       float64
	need, inRow int
	averages    averages
}

// Observe takes a tick.
func (r *above) Observe(v *View) bool {
	c, b, ok := r.averages.take(v)
	if !ok {
		return false
	}
	if c > r.limit*b {
		r.inRow++
	} else {
		r.inRow = 0
	}
	return r.inRow >= r.need
}

// meanCompared is Kayenta on the mean of each minute.
type meanCompared struct {
	kayenta  *usual.KayentaRule
	averages averages
}

// Observe takes a tick.
func (r *meanCompared) Observe(v *View) bool {
	c, b, ok := r.averages.take(v)
	return ok && r.kayenta.Value(c, b)
}

// moments are what a mean and a variance are made of.
type moments struct{ n, sum, squares float64 }

func (m *moments) add(v float64) { m.n, m.sum, m.squares = m.n+1, m.sum+v, m.squares+v*v }

func (m *moments) mean() float64 { return m.sum / m.n }

func (m *moments) variance() float64 {
	mean := m.mean()
	return math.Max(0, (m.squares-m.n*mean*mean)/(m.n-1))
}

// welch is the t test of the candidate's readings against those beside it, minute by minute, acting when they are
// higher; or against the readings of an equal time before, each in turn, acting on either. It is read at every reading,
// and takes them for independent.
type welch struct {
	limit float64
	past  float64 // seconds of the past to compare with; 0 is a baseline beside it

	averages averages
	c, b     moments
}

const welchLeast = 5 // readings on either side

// Observe takes a tick.
func (r *welch) Observe(v *View) bool {
	switch {
	case r.past == 0:
		c, b, ok := r.averages.take(v)
		if !ok {
			return false
		}
		r.c.add(c)
		r.b.add(b)
	case v.T < -r.past:
		return false
	case v.T < 0:
		r.b.add(v.BV)
		return false
	default:
		r.c.add(v.CV)
	}
	if r.c.n < welchLeast || r.b.n < welchLeast {
		return false
	}
	t := (r.c.mean() - r.b.mean()) / math.Sqrt(r.c.variance()/r.c.n+r.b.variance()/r.b.n)
	return t > r.limit || r.past > 0 && t < -r.limit
}

// sigmas acts at the first reading that is so many standard deviations away from the mean of the day before.
type sigmas struct {
	limit  float64
	before moments
}

const day = 86400.0

// Observe takes a tick.
func (r *sigmas) Observe(v *View) bool {
	if v.T < 0 {
		if v.T >= -day {
			r.before.add(v.BV)
		}
		return false
	}
	return math.Abs(v.CV-r.before.mean()) > r.limit*math.Sqrt(r.before.variance())
}

// beforeKayenta is Kayenta on the readings of the watch, with those of the same time before as its baseline, at the end.
type beforeKayenta struct {
	metric        usual.Metric
	length        float64
	before, after []float64
}

// Observe takes a tick.
func (r *beforeKayenta) Observe(v *View) bool {
	if v.T < 0 {
		if v.T >= -r.length {
			r.before = append(r.before, v.BV)
		}
		return false
	}
	r.after = append(r.after, v.CV)
	if v.T < r.length-1e-9 {
		return false
	}
	return usual.Failed(usual.Score([]usual.Result{r.metric.Classify(r.before, r.after)}), usual.Marginal)
}
