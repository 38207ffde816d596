// Package level compares values that are no counts (CPU, memory, queue length) of a candidate's instances with those of
// the baseline's instances at the same moments. The unit is the instance, not the reading: what two instances of one
// release differ by is learned from the past, and readings that follow each other are not taken for independent. It
// knows no policies and no texts.
package level

import (
	"math"
	"slices"

	"github.com/belaydev/belay/internal/judge/stats"
)

// Direction says which way a value gets worse.
type Direction int

// The directions.
const (
	Higher Direction = iota
	Lower
	Either
)

// Settings say how values are compared.
type Settings struct {
	Direction      Direction
	SmallestChange float64 // relative; a smaller one is nobody's business
	Margin         float64 // factor up to which instances of one release differ, persistently; 0: learned, or assumed
	First          float64 // share of the bet on a change that is there from the beginning
	Warmup         float64 // seconds of the candidate's life in which it is not compared
}

// Level is the state of one signal.
type Level struct {
	Settings
	scale    scale
	noise    noise
	first    float64 // time of the candidate's first reading
	sizes    [2]int  // instances of either side, as of the tick at work
	readings [2][]reading

	up, down *stats.Ratio // nil until the noise is known, or when it does not matter
	lat      *stats.Lattice
	last     float64 // difference in the tick before
	has      bool
	burn     []float64 // differences from which the noise is learned when the past cannot tell
	ll       []float64
	harm     [2]float64 // evidence that it is not raised, not lowered, by the harmful factor
	sumD     float64    // of the differences
	nD       float64
	recent   float64 // their mean, the newest ones most
}

type reading struct {
	name  string
	value float64
}

// What is assumed and asked for.
const (
	assumedSpread = 0.2  // standard deviation of the logarithm between two instances
	burnTicks     = 30   // ticks of the watch from which noise is learned
	clip          = 2.5  // standard deviations beyond which a reading is no more telling
	caution       = 1.25 // by which evidence is divided: the noise is an estimate
	maxInstances  = 64
	recentTicks   = 10 // over which the newest level is smoothed
	firstTicks    = 20 // that are looked at before the scale is chosen
)

// New begins a comparison.
func New(s Settings) *Level {
	return &Level{Settings: s, first: math.Inf(1)}
}

// effects are the factors by which a fault is thought to change the value, the smallest one first.
func (l *Level) effects() []float64 {
	least := (1 + l.SmallestChange) * (1 + l.SmallestChange)
	all := []float64{least}
	for _, f := range []float64{1.35, 1.6, 2, 3, 5, 10} {
		if f > 1.05*least {
			all = append(all, f)
		}
	}
	return all
}

// Remember takes a reading from before the deployment.
func (l *Level) Remember(t float64, instance string, v float64) {
	l.scale.see(v)
	l.noise.add(t, instance, v, &l.scale)
}

// Side is one of the two sides: 0 the candidate, 1 the baseline.
type Side int

// The sides.
const (
	Candidate Side = iota
	Baseline
)

// Take takes a reading of the tick at t.
func (l *Level) Take(t float64, side Side, instance string, v float64) {
	if side == Candidate {
		l.first = math.Min(l.first, t)
	}
	l.scale.see(v)
	if len(l.readings[side]) < maxInstances {
		l.readings[side] = append(l.readings[side], reading{instance, v})
	}
}

// Step closes the tick at t; fresh is the weight of the fresh starts that fall due.
func (l *Level) Step(t, fresh float64) {
	mine, base := l.mean(Candidate), l.mean(Baseline)
	both := len(l.readings[Candidate]) > 0 && len(l.readings[Baseline]) > 0
	warm := t >= l.first+l.Warmup
	if l.up == nil && l.down == nil && both && warm {
		l.begin(mine - base)
	}
	for _, p := range []*stats.Ratio{l.up, l.down} {
		if p != nil {
			p.Start(fresh)
		}
	}
	if both && warm {
		l.sumD, l.nD = l.sumD+mine-base, l.nD+1
		l.recent += (mine - base - l.recent) / math.Min(l.nD, recentTicks)
		l.compare(mine - base)
	} else if !both {
		l.has = false
	}
	// What the baseline shows in this tick may say how noisy the next ones are.
	for _, r := range l.readings[Baseline] {
		l.noise.add(t, r.name, r.value, &l.scale)
	}
	l.sizes = [2]int{max(l.sizes[0], len(l.readings[0])), max(l.sizes[1], len(l.readings[1]))}
	for side := range l.readings {
		l.readings[side] = l.readings[side][:0]
	}
}

// mean is that of the instances of a side, on the scale of the comparison.
func (l *Level) mean(side Side) float64 {
	sum := 0.0
	for _, r := range l.readings[side] {
		sum += l.scale.of(r.value)
	}
	return sum / math.Max(1, float64(len(l.readings[side])))
}

// begin makes the tests once the noise is known: from the past or the baseline's instances, or else from how the
// difference itself moves in the first ticks.
func (l *Level) begin(d float64) {
	mine, base := float64(max(1, len(l.readings[Candidate]))), float64(max(1, len(l.readings[Baseline])))
	if !l.noise.fit(&l.scale) {
		l.burn = append(l.burn, d)
		if len(l.burn) < burnTicks {
			return
		}
		l.noise.fitTo(l.burn, 1/mine+1/base)
	}
	spread := assumedSpread
	switch {
	case l.Margin > 1:
		spread = math.Log(l.Margin) / 2
	case l.noise.spreadKnown:
		spread = l.noise.spread
	}
	l.lat = stats.NewLattice(spread*math.Sqrt(1/mine+1/base), l.effects())
	l.ll = make([]float64, len(l.lat.Logs))
	if l.Direction != Lower {
		l.up = l.lat.NewRatio(l.First)
	}
	if l.Direction != Higher {
		l.down = l.lat.NewRatio(l.First)
	}
}

// compare takes the difference of the sides in this tick. What the tick before explains of it, as readings of one
// instance follow each other, is taken out first.
func (l *Level) compare(d float64) {
	before, had := l.last, l.has
	l.last, l.has = d, true
	if l.lat == nil || !had {
		return
	}
	mine, base := float64(max(1, len(l.readings[Candidate]))), float64(max(1, len(l.readings[Baseline])))
	r := l.noise.r
	sd := l.noise.sd * math.Sqrt((1/mine+1/base)*(1-r*r))
	e := math.Max(-clip*sd, math.Min(clip*sd, d-r*before))
	harmful := math.Log(1 + 3*l.SmallestChange)
	for k, p := range []*stats.Ratio{l.up, l.down} {
		v := e
		if k == 1 {
			v = -e
		}
		l.harm[k] -= loglik(v, (1-r)*harmful, sd)
		if p == nil {
			continue
		}
		for i, mu := range l.lat.Logs {
			l.ll[i] = loglik(v, (1-r)*mu, sd)
		}
		p.Step(l.ll, caution)
	}
}

// loglik is the log likelihood of e under a normal law with mean mu, relative to mean 0. What was cut off is held to
// be where mu would have it, as far as it can have been.
func loglik(e, mu, sd float64) float64 {
	mu = math.Max(-clip*sd, math.Min(clip*sd, mu))
	return mu * (e - mu/2) / (sd * sd)
}

// LogE returns the logarithm of the evidence against the candidate.
func (l *Level) LogE() float64 {
	switch {
	case l.up == nil && l.down == nil || !l.matters():
		return 0
	case l.down == nil:
		return l.up.LogE()
	case l.up == nil:
		return l.down.LogE()
	}
	return stats.LogSum(l.up.LogE(), l.down.LogE()) - math.Ln2
}

// matters tells whether the difference over the watch is as large as the smallest change.
func (l *Level) matters() bool {
	if l.nD == 0 {
		return false
	}
	least := math.Log(1 + l.SmallestChange)
	for _, d := range []float64{l.sumD / l.nD, l.recent} {
		if l.Direction != Lower && d >= least || l.Direction != Higher && d <= -least {
			return true
		}
	}
	return false
}

// LogGood returns the logarithm of the evidence that the value is not changed for the worse by three times the
// smallest change.
func (l *Level) LogGood() float64 {
	good := math.Inf(1)
	if l.Direction != Lower {
		good = math.Min(good, l.harm[0])
	}
	if l.Direction != Higher {
		good = math.Min(good, l.harm[1])
	}
	return math.Min(stats.MaxLog, good/caution)
}

// Compared tells whether the sides are being compared: both serve, and the noise is known.
func (l *Level) Compared() bool { return l.lat != nil }

// Known tells whether the past says what instances of one release differ by. Without it the assumption is wide.
func (l *Level) Known() bool { return l.noise.spreadKnown }

// Spread is by how much instances of one release differ: the standard deviation of the logarithm.
func (l *Level) Spread() float64 { return l.noise.spread }

// Effect returns the ratio of the levels with a 95 % confidence sequence (normal mixture), or false.
func (l *Level) Effect() (ratio, low, high float64, ok bool) {
	if l.lat == nil || l.nD < 2 {
		return 0, 0, 0, false
	}
	mine, base := float64(max(1, l.sizes[0])), float64(max(1, l.sizes[1]))
	r := l.noise.r
	sd := l.noise.sd * math.Sqrt((1/mine+1/base)*(1+r)/(1-r))
	mean := l.sumD / l.nD
	g := 1 / 60.0 // best after about a minute of ticks
	radius := sd * math.Sqrt(2*(l.nD*g+1)/(l.nD*l.nD*g)*math.Log(math.Sqrt(l.nD*g+1)/0.05))
	return math.Exp(mean), math.Exp(mean - radius), math.Exp(mean + radius), true
}

// Instances are how many instances of either side were read in the fullest tick.
func (l *Level) Instances() (candidate, baseline int) { return l.sizes[0], l.sizes[1] }

// scale turns values into numbers of which differences are compared: logarithms, with a little added where values may
// be zero. Values below zero are compared as they are, in units of their usual size.
type scale struct {
	seen    float64
	low     float64
	sumAbs  float64
	offset  float64
	unit    float64
	linear  bool
	settled bool
}

func (s *scale) see(v float64) {
	if s.settled {
		return
	}
	if s.seen == 0 || v < s.low {
		s.low = v
	}
	s.seen++
	s.sumAbs += math.Abs(v)
}

// settle fixes the scale by what was seen so far.
func (s *scale) settle() {
	s.settled = true
	usual := s.sumAbs / math.Max(1, s.seen)
	if usual == 0 {
		usual = 1
	}
	s.unit = usual
	switch {
	case s.low < 0:
		s.linear = true
	case s.low < usual/50:
		s.offset = usual / 10
	}
}

func (s *scale) of(v float64) float64 {
	if !s.settled {
		s.settle()
	}
	switch {
	case s.linear:
		return v / s.unit
	case v+s.offset <= 0:
		return math.Log(s.unit / 100)
	}
	return math.Log(v + s.offset)
}

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
