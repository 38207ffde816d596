package stats

import (
	"cmp"
	"math"
	"slices"
)

// Lattice is the set of rate ratios that a Ratio works with. What two instances of one release differ by is a ratio
// near 1, drawn from a log-normal law; what a fault does is a further factor. Both are multiples of one step on a
// logarithmic scale, so that the ratio of a faulty candidate is never nearer to the truth than that of a blameless
// one only because the set has a gap there: with much traffic that alone would be evidence.
type Lattice struct {
	Logs   []float64 // logarithms of all ratios in use, ascending
	Ratios []float64

	null   []int     // places of the blameless ratios
	weight []float64 // of these
	alt    []int     // places of blameless ratio j times effect k, at k*len(null)+j
	prior  []float64 // weights of the effects
}

// Effects are the factors by which a fault is thought to raise a rate of bad events. They are shared and must not be
// written to.
func Effects() []float64 { return []float64{1.5, 2.3, 4, 8, 16, 40} }

// What a Lattice is made of.
const (
	leastSteps  = 5   // blameless ratios on either side of 1
	mostSteps   = 16  // of these
	reach       = 3.2 // standard deviations that they cover
	leastSpread = 0.02
)

// NewLattice makes the ratios for instances whose rates differ by the standard deviation spread of their logarithm,
// and for faults that raise the rate by the factors effects, ascending.
func NewLattice(spread float64, effects []float64) *Lattice {
	spread = math.Max(spread, leastSpread)
	step := math.Log(effects[0])
	step /= math.Ceil(step / (0.68 * spread))
	steps := int(math.Max(leastSteps, math.Min(mostSteps, math.Ceil(reach*spread/step))))
	l := &Lattice{}
	var at []int // in steps
	place := func(k int) int {
		if i := slices.Index(at, k); i >= 0 {
			return i
		}
		at = append(at, k)
		return len(at) - 1
	}
	total := 0.0
	for j := -steps; j <= steps; j++ {
		z := float64(j) * step / spread
		l.null, l.weight = append(l.null, place(j)), append(l.weight, math.Exp(-z*z/2))
		total += l.weight[j+steps]
	}
	for i := range l.weight {
		l.weight[i] /= total
	}
	for _, e := range effects {
		k := int(math.Round(math.Log(e) / step))
		for j := -steps; j <= steps; j++ {
			l.alt = append(l.alt, place(k+j))
		}
		l.prior = append(l.prior, 1/float64(len(effects)))
	}
	l.sort(at, step)
	return l
}

// sort brings the ratios into ascending order and moves the places with them.
func (l *Lattice) sort(at []int, step float64) {
	order := make([]int, len(at))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(at[a], at[b]) })
	moved := make([]int, len(at))
	for i, from := range order {
		moved[from] = i
		l.Logs = append(l.Logs, float64(at[from])*step)
		l.Ratios = append(l.Ratios, math.Exp(float64(at[from])*step))
	}
	for i := range l.null {
		l.null[i] = moved[l.null[i]]
	}
	for i := range l.alt {
		l.alt[i] = moved[l.alt[i]]
	}
}

// least keeps a blameless ratio from being forgotten for good; it makes evidence smaller, never larger.
const least = 1e-120

// Ratio is the e-process against "the candidate's rate is the baseline's, but for what two instances of one release
// differ by". It is the ratio of two likelihoods: under a fault that began at one of the fresh starts, and under no
// fault, both averaged over the difference of the instances. The chance that it ever reaches 1/alpha is at most alpha
// when the difference of blameless instances follows the law of the Lattice. The more was seen of the candidate
// before a fault begins, the better that difference is known: a late fault is judged against the candidate's own
// record as much as against the baseline.
type Ratio struct {
	lat  *Lattice
	like []float64 // per blameless ratio: weight times likelihood, scaled so that they sum to one
	sum  []float64 // per effect and blameless ratio, as Lattice.alt: the running sum over starts, in the same scale
	rest float64   // weight not yet bet
	mul  []float64 // scratch
	old  bool      // e must be computed anew
	e    float64
}

// NewRatio begins a process that bets the weight first at once and keeps the rest for Start.
func (l *Lattice) NewRatio(first float64) *Ratio {
	p := &Ratio{lat: l, like: slices.Clone(l.weight), sum: make([]float64, len(l.alt)), rest: 1 - first, mul: make([]float64, len(l.Logs))}
	for i := range p.sum {
		p.sum[i] = first * l.weight[i%len(l.weight)]
	}
	p.old = true
	return p
}

// Start makes a fresh start with weight w, or what is left of it.
func (p *Ratio) Start(w float64) {
	w = math.Min(w, p.rest)
	if w <= 0 {
		return
	}
	p.rest -= w
	for k := 0; k < len(p.sum); k += len(p.like) {
		row := p.sum[k : k+len(p.like)]
		for j, l := range p.like {
			row[j] += w * l
		}
	}
	p.old = true
}

// Step multiplies in one tick: ll is its log likelihood at each ratio of the lattice, relative to any one of them,
// and divided by the dispersion phi.
func (p *Ratio) Step(ll []float64, phi float64) {
	top := math.Inf(-1)
	for _, at := range p.lat.null {
		top = math.Max(top, ll[at])
	}
	for i, v := range ll {
		p.mul[i] = math.Exp(math.Min(MaxLog/2, (v-top)/phi))
	}
	total := 0.0
	for j, at := range p.lat.null {
		p.like[j] = math.Max(p.like[j]*p.mul[at], least)
		total += p.like[j]
	}
	for j := range p.like {
		p.like[j] /= total
	}
	for i, at := range p.lat.alt {
		p.sum[i] = math.Min(most, p.sum[i]*p.mul[at]/total)
	}
	p.old = true
}

// Raise multiplies in evidence that has nothing to do with the baseline beside it: logarithms per effect.
func (p *Ratio) Raise(inc []float64, phi float64) {
	n := len(p.like)
	for k, v := range inc {
		if v == 0 {
			continue
		}
		f := math.Exp(v / phi)
		for i := k * n; i < (k+1)*n; i++ {
			p.sum[i] = math.Min(most, p.sum[i]*f)
		}
	}
	p.old = true
}

// LogE returns the logarithm of the e-value.
func (p *Ratio) LogE() float64 {
	if p.old {
		p.e, p.old = math.Min(MaxLog, math.Log(p.value(nil))), false
	}
	return p.e
}

// value is the e-value, after a further tick with the factors mul when there are any.
func (p *Ratio) value(mul []float64) float64 {
	n := len(p.like)
	e, total := 0.0, 1.0
	if mul != nil {
		total = 0
		for j, at := range p.lat.null {
			total += p.like[j] * mul[at]
		}
	}
	for k, w := range p.lat.prior {
		s := 0.0
		for i := k * n; i < (k+1)*n; i++ {
			if mul == nil {
				s += p.sum[i]
			} else {
				s += p.sum[i] * mul[p.lat.alt[i]]
			}
		}
		e += w * s
	}
	return e/total + p.rest
}

// mostSpare is the number of bad events in a tick up to which Spare is worth its cost.
const mostSpare = 15

// Spare returns the factor, 1 or more, by which the evidence may be raised after the tick with counts c and log
// likelihoods ll (relative to the ratio 1), because what would exceed limit is not needed: a process that is cut off
// at limit may be that much larger below it and is still expected not to grow. Call it before Step, and Scale after.
// It is for independent bad events that are rare. After L. Fischer and A. Ramdas, "Improving Wald's (approximate)
// sequential probability ratio test by avoiding overshoot", 2024.
func (p *Ratio) Spare(c Counts, ll []float64, limit float64) float64 {
	x := c.CX + c.BX
	if x < 1 || x > mostSpare || !c.Comparable() {
		return 1
	}
	var chance, value [mostSpare + 1]float64
	if p.at(ll, x-c.CX); p.value(p.mul) <= limit {
		return 1
	}
	rho := c.CN / (c.CN + c.BN)
	choose, mean := 1.0, 0.0
	for y := 0; y <= int(x); y++ {
		p.at(ll, float64(y)-c.CX)
		under := 0.0
		for j, at := range p.lat.null {
			under += p.like[j] * p.mul[at]
		}
		chance[y] = choose * math.Pow(rho, float64(y)) * math.Pow(1-rho, x-float64(y)) * under
		value[y] = p.value(p.mul)
		mean += chance[y] * value[y]
		choose *= (x - float64(y)) / float64(y+1)
	}
	cut := func(b float64) (m float64) {
		for y := range int(x) + 1 {
			m += chance[y] * math.Min(b*value[y], limit)
		}
		return m
	}
	lo, hi := 1.0, 2.0
	for cut(hi) < mean && hi < 64 {
		hi *= 2
	}
	for range 30 {
		if mid := (lo + hi) / 2; cut(mid) < mean {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// at fills mul with the factors of a tick that had more bad events of the candidate, and as many fewer of the
// baseline.
func (p *Ratio) at(ll []float64, more float64) {
	for i, v := range ll {
		p.mul[i] = math.Exp(math.Min(MaxLog/2, v+more*p.lat.Logs[i]))
	}
}

// Scale multiplies the evidence by the factor that Spare returned.
func (p *Ratio) Scale(b float64) {
	if b == 1 {
		return
	}
	for i := range p.sum {
		p.sum[i] = math.Min(most, p.sum[i]*b)
	}
	p.rest *= b
	p.old = true
}
