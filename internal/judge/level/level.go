// Package level compares values that are no counts (CPU, memory, queue length) of a candidate's instances with those of
// the baseline's instances at the same moments. The unit is the instance, not the reading: what two instances of one
// release differ by is learned from the past, and readings that follow each other are not taken for independent. It
// knows no policies and no texts.
package level

import (
	"math"

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
	between  float64 // standard deviation by which blameless sides differ
	last, at float64 // difference in the tick before, and its time
	has      bool
	ll       []float64
	sumD     float64 // of the differences
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
	clip          = 2.5  // standard deviations beyond which a reading is no more telling
	beyond        = 5.5  // spreads that a reading may be away before it is clipped: what instances differ by does not explain as much
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
		l.begin()
	}
	for _, p := range []*stats.Ratio{l.up, l.down} {
		if p != nil {
			p.Start(fresh)
		}
	}
	if both && warm {
		l.sumD, l.nD = l.sumD+mine-base, l.nD+1
		l.recent += (mine - base - l.recent) / math.Min(l.nD, recentTicks)
		l.compare(t, mine-base)
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

// begin makes the tests once the noise is known, from instances that served beside each other: before the deployment,
// or as the baseline. How the difference itself moves says nothing: a change would be part of it.
func (l *Level) begin() {
	mine, base := float64(max(1, len(l.readings[Candidate]))), float64(max(1, len(l.readings[Baseline])))
	if !l.noise.fit(&l.scale) {
		return
	}
	spread := assumedSpread
	switch {
	case l.Margin > 1:
		spread = math.Log(l.Margin) / 2
	case l.noise.spreadKnown:
		spread = l.noise.spread
	}
	l.between = math.Max(leastSpreads, spread*math.Sqrt(1/mine+1/base))
	l.lat = stats.NewLattice(l.between, l.effects())
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
func (l *Level) compare(t, d float64) {
	before, since, had := l.last, t-l.at, l.has
	l.last, l.at, l.has = d, t, true
	if l.lat == nil || !had {
		return
	}
	mine, base := float64(max(1, len(l.readings[Candidate]))), float64(max(1, len(l.readings[Baseline])))
	r := l.noise.related(since)
	sd := math.Max(l.noise.sd*math.Sqrt((1/mine+1/base)*(1-r*r)), beyond/clip*(1-r)*l.between)
	e := math.Max(-clip*sd, math.Min(clip*sd, d-r*before))
	for k, p := range []*stats.Ratio{l.up, l.down} {
		v := e
		if k == 1 {
			v = -e
		}
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

// LogE returns the logarithm of the evidence against the candidate; none while the difference does not matter, and no
// more than what is left of the bet: 1 in place of less would be a second bet.
func (l *Level) LogE() float64 {
	if !l.matters() {
		return math.Min(0, l.Wealth())
	}
	return l.Wealth()
}

// Wealth returns the logarithm of the evidence whether or not the difference matters: what is left of the bet.
func (l *Level) Wealth() float64 {
	switch {
	case l.up == nil && l.down == nil:
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
	r := l.noise.related((l.at - l.first) / l.nD)
	sd := l.noise.sd * math.Sqrt((1/mine+1/base)*(1+r)/(1-r))
	mean := l.sumD / l.nD
	g := 1 / 60.0 // best after about a minute of ticks
	radius := sd * math.Sqrt(2*(l.nD*g+1)/(l.nD*l.nD*g)*math.Log(math.Sqrt(l.nD*g+1)/0.05))
	return math.Exp(mean), math.Exp(mean - radius), math.Exp(mean + radius), true
}
