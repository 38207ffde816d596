package level

import (
	"math"
	"slices"

	"github.com/belaydev/belay/internal/judge/stats"
)

// noise learns how instances of one release differ, and how their readings move.
type noise struct {
	at      float64
	open    bool
	now     []reading
	pending []waiting // until the scale is chosen
	members []member

	sd          float64 // of one instance's readings around its own level
	memory      float64 // seconds in which what a reading says of the next ones falls to 37 %
	spread      float64
	spreadKnown bool
}

// waiting is a tick that waits for the scale to be chosen.
type waiting struct {
	at       float64
	readings []reading
}

// member is one instance: sums of its deviations from the mean of all at the same moment.
type member struct {
	name                   string
	n, sum, squares, cross float64
	pairs, spacing         float64 // readings with one before them; seconds between them, summed
	last, at               float64
	has                    bool
}

func (q *noise) add(t float64, name string, v float64, s *scale) {
	if q.open && t != q.at {
		q.close(s)
	}
	q.at, q.open = t, true
	if len(q.now) < maxInstances {
		q.now = append(q.now, reading{name, v})
	}
}

func (q *noise) close(s *scale) {
	q.open = false
	if !s.settled && len(q.pending) < firstTicks {
		q.pending = append(q.pending, waiting{q.at, slices.Clone(q.now)})
	} else {
		q.flush(s)
		q.learn(q.at, q.now, s)
	}
	q.now = q.now[:0]
}

func (q *noise) flush(s *scale) {
	for _, tick := range q.pending {
		q.learn(tick.at, tick.readings, s)
	}
	q.pending = nil
}

// learn takes the readings of one tick.
func (q *noise) learn(at float64, tick []reading, s *scale) {
	if len(tick) < 2 {
		return
	}
	mean := 0.0
	for i := range tick {
		tick[i].value = s.of(tick[i].value)
		mean += tick[i].value
	}
	mean /= float64(len(tick))
	for _, r := range tick {
		i := slices.IndexFunc(q.members, func(m member) bool { return m.name == r.name })
		if i < 0 {
			if len(q.members) >= maxInstances {
				continue
			}
			i, q.members = len(q.members), append(q.members, member{name: r.name})
		}
		m := &q.members[i]
		d := r.value - mean
		m.n, m.sum, m.squares = m.n+1, m.sum+d, m.squares+d*d
		if m.has {
			m.cross, m.pairs, m.spacing = m.cross+d*m.last, m.pairs+1, m.spacing+at-m.at
		}
		m.last, m.at, m.has = d, at, true
	}
}

// What must have been seen.
const (
	leastTicks   = 30
	leastFresh   = 20   // readings that are as good as independent
	spreadOf     = 4    // instances
	mostRelated  = 0.98 // correlation of one reading with the next
	leastNoise   = 0.01 // nobody's readings are quieter, in logarithms
	oneSided     = 1.28
	leastSpreads = 0.02
)

// fit computes what is known; false when it is too little.
func (q *noise) fit(s *scale) bool {
	q.flush(s)
	m, n := 0.0, 0.0
	variance, related, pairs, spacing := 0.0, 0.0, 0.0, 0.0
	var levels []float64
	for i := range q.members {
		b := &q.members[i]
		if b.n < leastTicks || b.pairs == 0 {
			continue
		}
		mean := b.sum / b.n
		variance += math.Max(0, b.squares/b.n-mean*mean) // rounding may make it less
		related += b.cross/b.pairs - mean*mean
		pairs, spacing = pairs+b.pairs, spacing+b.spacing
		levels = append(levels, mean)
		m, n = m+1, n+b.n
	}
	if m < 2 || spacing <= 0 {
		return false
	}
	r := 0.0
	if variance > 0 {
		r = related / variance
	}
	// A short time shows less of it than there is.
	r = math.Min(mostRelated, math.Max(0, r)+oneSided/math.Sqrt(pairs))
	q.sd = math.Max(leastNoise, math.Sqrt(variance/(m-1)))
	q.memory = -spacing / pairs / math.Log(r)
	fresh := spacing / m / (2 * q.memory) // readings of an instance
	if fresh < leastFresh {
		return false
	}
	if m >= spreadOf {
		between := 0.0
		for _, a := range levels {
			between += a * a // their mean is zero
		}
		between = math.Max(0, between/(m-1)-q.sd*q.sd/math.Min(n/m, fresh))
		q.spread = math.Max(leastSpreads, math.Sqrt(between*stats.VarianceLimit(m-1)))
		q.spreadKnown = true
	}
	return true
}

// related is the correlation of two readings of an instance so many seconds apart.
func (q *noise) related(seconds float64) float64 {
	return math.Min(mostRelated, math.Exp(-seconds/q.memory))
}
