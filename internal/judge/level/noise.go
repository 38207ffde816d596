package level

import (
	"math"
	"slices"
)

// noise learns how instances of one release differ, and how their readings move.
type noise struct {
	at      float64
	open    bool
	now     []reading
	pending [][]reading // until the scale is chosen
	members []member

	sd, r       float64 // of one instance's readings around its own level; correlation of one reading with the next
	spread      float64
	spreadKnown bool
}

// member is one instance: sums of its deviations from the mean of all at the same moment.
type member struct {
	name                   string
	n, sum, squares, cross float64
	pairs                  float64
	last                   float64
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
		q.pending = append(q.pending, slices.Clone(q.now))
	} else {
		q.flush(s)
		q.learn(q.now, s)
	}
	q.now = q.now[:0]
}

func (q *noise) flush(s *scale) {
	for _, tick := range q.pending {
		q.learn(tick, s)
	}
	q.pending = nil
}

// learn takes the readings of one tick.
func (q *noise) learn(tick []reading, s *scale) {
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
			m.cross, m.pairs = m.cross+d*m.last, m.pairs+1
		}
		m.last, m.has = d, true
	}
}

// What the past must hold.
const (
	leastTicks   = 30
	spreadTicks  = 60
	spreadOf     = 3    // instances
	mostRelated  = 0.98 // correlation of one reading with the next
	leastNoise   = 0.01 // nobody's readings are quieter, in logarithms
	oneSided     = 1.28
	leastSpreads = 0.02
)

// fit computes what is known; false when it is too little.
func (q *noise) fit(s *scale) bool {
	q.flush(s)
	m, n := 0.0, 0.0
	variance, related, pairs := 0.0, 0.0, 0.0
	var levels []float64
	for i := range q.members {
		b := &q.members[i]
		if b.n < leastTicks {
			continue
		}
		mean := b.sum / b.n
		v := b.squares/b.n - mean*mean
		variance += v
		if b.pairs > 0 {
			related += b.cross/b.pairs - mean*mean
			pairs += b.pairs
		}
		levels = append(levels, mean)
		m, n = m+1, n+b.n
	}
	if m < 2 {
		return false
	}
	q.r = 0
	if variance > 0 {
		q.r = related / variance
	}
	q.settleNoise(variance/m*m/(m-1), pairs)
	if m >= spreadOf && n/m >= spreadTicks {
		between := 0.0
		for _, a := range levels {
			between += a * a // their mean is zero
		}
		between = math.Max(0, between/(m-1)-q.sd*q.sd*(1+q.r)/(1-q.r)/(n/m))
		q.spread = math.Max(leastSpreads, math.Sqrt(between*(1+oneSided*math.Sqrt(2/(m-1)))))
		q.spreadKnown = true
	}
	return true
}

// fitTo learns the noise from differences of the sides, whose variance is that of one instance times parts.
func (q *noise) fitTo(d []float64, parts float64) {
	mean := 0.0
	for _, v := range d {
		mean += v / float64(len(d))
	}
	variance, related := 0.0, 0.0
	for i, v := range d {
		variance += (v - mean) * (v - mean)
		if i > 0 {
			related += (v - mean) * (d[i-1] - mean)
		}
	}
	q.r = 0
	if variance > 0 {
		q.r = related / variance
	}
	q.settleNoise(1.5*variance/float64(len(d)-1)/parts, float64(len(d)))
}

// settleNoise takes the variance and makes the correlation a cautious one: a short sample shows less than there is.
func (q *noise) settleNoise(variance, pairs float64) {
	q.sd = math.Max(leastNoise, math.Sqrt(variance))
	q.r = math.Min(mostRelated, math.Max(0, q.r+oneSided/math.Sqrt(math.Max(1, pairs))))
}
