package stats

import "math"

// MaxLog caps evidence: e^690 is still a float64, so that a card can always be written as JSON.
const MaxLog = 690

// Grid is the set of ratios over which a comparison of rare events spreads its bets. It is shared and must not be
// written to.
func Grid() []float64 {
	return []float64{1.25, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 200}
}

// FineGrid is the set of ratios for the boundaries of a histogram, where small odds ratios are already of interest.
func FineGrid() []float64 {
	return []float64{1.1, 1.2, 1.35, 1.5, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128}
}

// Onset spreads the bet on when a fault begins: the share First on the beginning of the watch, the rest evenly over
// fresh starts every Every seconds until Horizon. What a watch that lasts longer still needs is kept back: a tenth of
// the rest, given out ever more thinly, so that there is no end at which a late fault would go unseen.
type Onset struct {
	First   float64
	Every   float64 // seconds
	Horizon float64 // seconds
	Tail    bool    // keep a tenth back for the time after Horizon

	given float64
}

// tailShare is the part of the late bet that is kept for the time after the horizon.
const tailShare = 0.1

// Due returns the weight of the fresh starts that fall due between the last call and t, seconds since the watch began.
func (o *Onset) Due(t float64) float64 {
	if o.Every <= 0 || o.Horizon <= o.Every {
		return 0
	}
	all := o.until(math.Floor(t / o.Every))
	due := all - o.given
	o.given = math.Max(o.given, all)
	return math.Max(0, due)
}

// until is the weight of the first n fresh starts.
func (o *Onset) until(n float64) float64 {
	late, last := 1-o.First, math.Ceil(o.Horizon/o.Every)-1 // the last one before the horizon
	even := late
	if o.Tail {
		even *= 1 - tailShare
	}
	w := even * math.Max(0, math.Min(n, last)) * o.Every / o.Horizon
	if o.Tail && n > last { // the weights fall as 1/j - 1/(j+1), so that all of them together are the tail
		w += late * tailShare * (1 - (last+1)/(n+1))
	}
	return w
}

// Process is an e-process over a set of alternatives with the onset mixture: each alternative holds the sum of the
// likelihood ratios of its fresh starts, and what is not yet bet is kept in hand. The zero Process is not usable.
type Process struct {
	sum   []float64 // per alternative, the running weighted sum
	prior []float64 // weights of the alternatives; nil when all are equal
	rest  float64   // weight not yet bet
}

// most is where a sum is cut off: far above any limit, far below overflow.
const most = 1e290

// NewProcess makes a process over n alternatives of equal weight that bets the weight first at once and keeps the
// rest for Start.
func NewProcess(n int, first float64) *Process {
	p := &Process{sum: make([]float64, n), rest: 1 - first}
	for i := range p.sum {
		p.sum[i] = first
	}
	return p
}

// NewWeighted makes a process whose alternatives have the weights prior, which sum to one and are not copied.
func NewWeighted(prior []float64, first float64) *Process {
	p := NewProcess(len(prior), first)
	p.prior = prior
	return p
}

// Start makes a fresh start with weight w, or what is left of it.
func (p *Process) Start(w float64) {
	w = math.Min(w, p.rest)
	if w <= 0 {
		return
	}
	p.rest -= w
	for i := range p.sum {
		p.sum[i] += w
	}
}

// Step multiplies in the likelihood ratios of one tick, given as logarithms and divided by the dispersion phi.
func (p *Process) Step(inc []float64, phi float64) {
	for i, v := range inc {
		if v != 0 {
			p.sum[i] = math.Min(most, p.sum[i]*math.Exp(v/phi))
		}
	}
}

// LogE returns the logarithm of the e-value.
func (p *Process) LogE() float64 {
	e := p.rest
	if p.prior == nil {
		n := float64(len(p.sum))
		for _, v := range p.sum {
			e += v / n
		}
	} else {
		for i, v := range p.sum {
			e += v * p.prior[i]
		}
	}
	return math.Min(MaxLog, math.Log(e))
}

// Best returns the alternative that holds most of the evidence.
func (p *Process) Best() int {
	best := 0
	for i, v := range p.sum {
		if v*p.weight(i) > p.sum[best]*p.weight(best) {
			best = i
		}
	}
	return best
}

func (p *Process) weight(i int) float64 {
	if p.prior == nil {
		return 1
	}
	return p.prior[i]
}

// LogMean returns the logarithm of the mean of the exponentials of l.
func LogMean(l []float64) float64 {
	top := math.Inf(-1)
	for _, v := range l {
		top = math.Max(top, v)
	}
	if math.IsInf(top, -1) {
		return top
	}
	sum := 0.0
	for _, v := range l {
		if d := v - top; d > -40 { // below that a term cannot be seen in the sum
			sum += math.Exp(d)
		}
	}
	return top + math.Log(sum/float64(len(l)))
}

func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// LogSum returns the logarithm of the sum of the exponentials of a and b.
func LogSum(a, b float64) float64 { return logAdd(a, b) }

// Mixture is an e-process against a fixed rate, weighted over alternatives below it: the evidence that a rate is
// lower than null. Alternatives are odds ratios below 1.
type Mixture struct {
	Null float64
	log  [4]float64
}

// lower and lowerWeight are the alternatives of a Mixture: most of the bet is on "far below", so that a release
// without any error is proven by as few requests as possible.
func lower() (alt, logWeight [4]float64) {
	return [4]float64{0.02, 0.15, 0.35, 0.6}, [4]float64{math.Log(0.55), math.Log(0.15), math.Log(0.15), math.Log(0.15)}
}

// NewMixture begins collecting evidence that a rate is below null.
func NewMixture(null float64) *Mixture {
	m := &Mixture{Null: null}
	_, m.log = lower()
	return m
}

// Step multiplies in n events with x bad ones.
func (m *Mixture) Step(n, x float64) {
	alt, _ := lower()
	for i, psi := range alt {
		m.log[i] += OneSample(n, x, m.Null, psi)
	}
}

// LogE returns the logarithm of the e-value.
func (m *Mixture) LogE() float64 {
	return math.Min(MaxLog, LogMean(m.log[:])+math.Log(float64(len(m.log))))
}

// More estimates how many more events at the rate p would bring the evidence to the logarithm want; +Inf when that
// rate would never do.
func (m *Mixture) More(want, p float64) float64 {
	if m.LogE() >= want {
		return 0
	}
	alt, _ := lower()
	best := math.Inf(1)
	for i, psi := range alt {
		if gain := OneSample(1, p, m.Null, psi); gain > 0 {
			best = math.Min(best, math.Max(1, (want-m.log[i])/gain))
		}
	}
	return math.Ceil(best)
}
