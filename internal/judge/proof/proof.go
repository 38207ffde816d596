// Package proof collects what speaks for a release side by side with another: evidence that its bad events are not
// more frequent by a factor that would do harm, and how likely each factor is.
package proof

import (
	"math"

	"github.com/belaydev/belay/internal/judge/stats"
)

// Passing holds the ratios, relative to the harm limit, over which the bet for healthy is spread.
func Passing() []float64 { return []float64{0.25, 0.375, 0.5, 0.6} }

// effectGrid holds the ratios between the sides that an interval is made of.
func effectGrid() []float64 {
	return []float64{0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.5, 3, 4, 5, 6, 8, 10, 13, 16, 20, 26, 34, 50, 80, 130, 200}
}

// Proof collects what speaks for a release: evidence that it does no harm, and the likelihood of each ratio between
// the sides.
type Proof struct {
	ratios []float64 // Passing times harm, harm, effectGrid
	grid   []float64
	proven *stats.Process
	like   []float64 // per effectGrid, log likelihood over the watch, tempered

	out, sum []float64 // per ratios: scratch, of this tick
	inc      []float64
	spoke    bool
	alone    bool
}

// New begins a proof that the ratio is below harm; above it, when harm is less than 1.
func New(harm float64) *Proof {
	p := &Proof{grid: effectGrid(), proven: stats.NewProcess(len(Passing()), 1)}
	for _, g := range Passing() {
		if harm < 1 {
			g = 1 / g
		}
		p.ratios = append(p.ratios, g*harm)
	}
	p.ratios = append(p.ratios, harm)
	p.ratios = append(p.ratios, p.grid...)
	p.out, p.sum = make([]float64, len(p.ratios)), make([]float64, len(p.ratios))
	p.inc, p.like = make([]float64, len(Passing())), make([]float64, len(p.grid))
	return p
}

// Begin begins a tick.
func (p *Proof) Begin() {
	clear(p.sum)
	clear(p.inc)
	p.spoke, p.alone = false, false
}

// Beside takes the counts of one stratum; counts are events without a denominator.
func (p *Proof) Beside(now stats.Counts, counts bool) {
	if counts {
		for i, r := range p.ratios {
			p.out[i] = stats.Share(now, r, 1)
		}
	} else {
		stats.Compare(now, p.ratios, 1, p.out)
	}
	for i, v := range p.out {
		p.sum[i] += v
	}
	p.spoke = true
}

// Against takes the counts of one stratum against a rate that would do harm.
func (p *Proof) Against(now stats.Counts, harmful float64) {
	for k, g := range Passing() {
		p.inc[k] += stats.OneSample(now.CN, now.CX, harmful, g)
	}
	p.alone = true
}

// LogE returns the logarithm of the evidence that no harm is done.
func (p *Proof) LogE() float64 { return p.proven.LogE() }

// Step closes the tick; phi is the size of the clumps in which bad events come.
func (p *Proof) Step(phi float64) {
	n := len(Passing())
	if p.spoke {
		for k := range n {
			p.inc[k] += p.sum[k] - p.sum[n]
		}
		for i := range p.like {
			p.like[i] += p.sum[n+1+i] / phi
		}
	}
	if p.spoke || p.alone {
		p.proven.Step(p.inc, phi)
	}
}

// Effect is how the candidate compares with the baseline.
type Effect struct {
	Ratio     float64 // the likeliest
	Low, High float64 // 95 % confidence sequence: valid at every moment of the watch
}

// IntervalChance is the chance with which an interval may ever miss the truth.
const IntervalChance = 0.05

// Effect returns the ratio of the rates: all ratios that the evidence of a mixture over the others does not speak
// against. False without any event to tell by.
func (p *Proof) Effect() (Effect, bool) {
	mix, best := stats.LogMean(p.like), 0
	for i, v := range p.like {
		if v > p.like[best] {
			best = i
		}
	}
	if p.like[best] == 0 && p.like[0] == 0 && p.like[len(p.like)-1] == 0 {
		return Effect{}, false
	}
	bound := mix + math.Log(IntervalChance)
	lo, hi := best, best
	for lo > 0 && p.like[lo-1] > bound {
		lo--
	}
	for hi < len(p.like)-1 && p.like[hi+1] > bound {
		hi++
	}
	e := Effect{Ratio: p.peak(best), Low: p.cross(lo, lo-1, bound), High: p.cross(hi, hi+1, bound)}
	return e, true
}

// cross interpolates where the likelihood passes the bound between an accepted ratio and a refused one; without a
// refused one the interval is open: 0, or infinite.
func (p *Proof) cross(in, out int, bound float64) float64 {
	switch {
	case out < 0:
		return 0
	case out >= len(p.grid):
		return math.Inf(1)
	}
	at := (p.like[in] - bound) / (p.like[in] - p.like[out])
	return p.grid[in] * math.Pow(p.grid[out]/p.grid[in], at)
}

// peak is the top of the parabola through the likeliest ratio and its neighbours, on the logarithmic scale.
func (p *Proof) peak(i int) float64 {
	if i == 0 || i == len(p.grid)-1 {
		return p.grid[i]
	}
	x0, x1, x2 := math.Log(p.grid[i-1]), math.Log(p.grid[i]), math.Log(p.grid[i+1])
	y0, y1, y2 := p.like[i-1], p.like[i], p.like[i+1]
	num := (x1-x0)*(x1-x0)*(y1-y2) - (x1-x2)*(x1-x2)*(y1-y0)
	den := (x1-x0)*(y1-y2) - (x1-x2)*(y1-y0)
	if den == 0 {
		return p.grid[i]
	}
	return math.Exp(math.Min(x2, math.Max(x0, x1-num/(2*den))))
}
