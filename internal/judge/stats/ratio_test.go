package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// poissonDraw draws a small count.
func poissonDraw(r *rand.Rand, mean float64) float64 {
	n, limit, p := 0.0, math.Exp(-mean), r.Float64()
	for p > limit {
		n++
		p *= r.Float64()
	}
	return n
}

// binomialDraw draws how many of n fall where the share q of them does.
func binomialDraw(r *rand.Rand, n, q float64) float64 {
	x := 0.0
	for range int(n) {
		if r.Float64() < q {
			x++
		}
	}
	return x
}

// run gives a Ratio n ticks of a candidate that gets the share 0.1 of the traffic and whose rate is ratio times that
// of the baseline, and returns the evidence at the end and the largest one.
func run(r *rand.Rand, lat *Lattice, ratio func(tick int) float64, ticks int, spare bool) (last, most float64) {
	p := lat.NewRatio(0.5)
	ll := make([]float64, len(lat.Logs))
	const limit = 100
	for i := range ticks {
		p.Start(0.5 / float64(ticks))
		x := poissonDraw(r, 0.8)
		theta := 0.1 * ratio(i) / (0.1*ratio(i) + 0.9)
		xc := binomialDraw(r, x, theta)
		c := Counts{CN: 100, BN: 900, CX: xc, BX: x - xc}
		if x > 0 {
			for k, v := range lat.Ratios {
				ll[k] = Share(c, v, 1)
			}
			b := 1.0
			if spare {
				b = p.Spare(c, ll, limit)
			}
			p.Step(ll, 1)
			p.Scale(b)
		}
		most = math.Max(most, p.LogE())
	}
	return p.LogE(), most
}

// TestRatioIsASupermartingale draws blameless candidates whose instance effect follows the law of the lattice: the mean
// of the evidence is at most one, and the chance that it ever reaches 100 at most one in a hundred.
func TestRatioIsASupermartingale(t *testing.T) {
	const spread, runs = 0.15, 4000
	lat := NewLattice(spread, Effects())
	for _, spare := range []bool{false, true} {
		r := rand.New(rand.NewPCG(3, 4))
		mean, crossed := 0.0, 0.0
		for range runs {
			effect := math.Exp(spread * r.NormFloat64())
			last, most := run(r, lat, func(int) float64 { return effect }, 400, spare)
			if spare {
				last = math.Min(last, math.Log(100)) // with what is spared, the process is one that is cut off
			}
			mean += math.Exp(last) / runs
			if most >= math.Log(100) {
				crossed++
			}
		}
		t.Logf("spare %v: mean of the evidence %.3f, ever at 100: %.2f %%", spare, mean, 100*crossed/runs)
		if mean > 1.25 {
			t.Errorf("spare %v: the mean of the evidence is %v", spare, mean)
		}
		if LowerLimit(runs, crossed, 0.01) > 0.01 {
			t.Errorf("spare %v: %v of %d blameless candidates reached 100", spare, crossed, runs)
		}
	}
}

// TestRatioFinds is the other side: a fault is found, and one that begins late too.
func TestRatioFinds(t *testing.T) {
	lat := NewLattice(0.1, Effects())
	for name, ratio := range map[string]func(int) float64{
		"at once": func(int) float64 { return 6 },
		"late":    func(i int) float64 { return map[bool]float64{true: 6, false: 1}[i >= 300] },
	} {
		r := rand.New(rand.NewPCG(5, 6))
		found := 0
		for range 200 {
			if _, most := run(r, lat, ratio, 400, true); most >= math.Log(100) {
				found++
			}
		}
		if found < 190 {
			t.Errorf("%s: found %d of 200", name, found)
		}
	}
}

// TestSpareIsNeverLess compares the same tick with and without: what is spared raises evidence, and the mean over what
// could have happened, cut off at the limit, stays the same.
func TestSpareIsNeverLess(t *testing.T) {
	lat := NewLattice(0.1, Effects())
	p := lat.NewRatio(1)
	ll := make([]float64, len(lat.Logs))
	tick := func(xc, xb float64) Counts {
		c := Counts{CN: 10, BN: 90, CX: xc, BX: xb}
		for k, v := range lat.Ratios {
			ll[k] = Share(c, v, 1)
		}
		return c
	}
	for range 2 {
		c := tick(1, 0)
		b := p.Spare(c, ll, 100)
		if b < 1 {
			t.Fatalf("spare %v", b)
		}
		p.Step(ll, 1)
		p.Scale(b)
	}
	before := math.Exp(p.LogE())
	const limit = 100
	mean := 0.0
	for _, xc := range []float64{0, 1} {
		c := tick(xc, 1-xc)
		q := lat.NewRatio(1)
		copy(q.like, p.like)
		copy(q.sum, p.sum)
		q.rest, q.old = p.rest, true
		b := q.Spare(c, ll, limit)
		under := 0.0 // the chance of this outcome under no fault
		for j, at := range lat.null {
			under += p.like[j] * math.Exp(ll[at])
		}
		chance := under * map[float64]float64{0: 0.9, 1: 0.1}[xc]
		q.Step(ll, 1)
		q.Scale(b)
		mean += chance * math.Min(limit, math.Exp(q.LogE()))
	}
	if mean > before*(1+1e-9) {
		t.Errorf("the mean after a tick is %v, before it %v", mean, before)
	}
}

// TestLatticeIsOneLattice checks that effects times instance differences lie on the same steps, so that the true ratio
// is as near to a blameless one as to a faulty one.
func TestLatticeIsOneLattice(t *testing.T) {
	for _, spread := range []float64{0.01, 0.05, 0.1, 0.2, 0.5} {
		l := NewLattice(spread, Effects())
		step := l.Logs[l.null[1]] - l.Logs[l.null[0]]
		sum := 0.0
		for _, w := range l.weight {
			sum += w
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Errorf("spread %v: weights sum to %v", spread, sum)
		}
		for _, v := range l.Logs {
			if k := v / step; math.Abs(k-math.Round(k)) > 1e-9 {
				t.Errorf("spread %v: %v is not a multiple of %v", spread, v, step)
			}
		}
		if reach := l.Logs[l.null[len(l.null)-1]]; spread >= leastSpread && reach < 2.5*spread {
			t.Errorf("spread %v: blameless ratios reach to %v only", spread, reach)
		}
	}
}

// TestStretchIsExact checks that the mean of the likelihood ratio is one when both sides are alike, summed over all
// that could have happened to the bad ones of a small table.
func TestStretchIsExact(t *testing.T) {
	h := &Histogram{}
	h.Add([]float64{1, 2, 4}, []float64{400, 800, 950}, 1000, 0)
	s := NewStretch(h, []float64{1, 2}, []float64{1.05, 1.3, 1.4}, 0)
	// Six values of the candidate and six of the baseline; 7 above 1, 3 of those above 2.
	mean := make([]float64, len(s.Factors))
	for c1 := 1.0; c1 <= 6; c1++ {
		p1 := pmf(6, 6, 7, 1)[int(c1)]
		for c2 := math.Max(0, c1+3-7); c2 <= math.Min(c1, 3); c2++ {
			p2 := pmf(int(c1), int(7-c1), 3, 1)[int(c2)]
			out, scratch := make([]float64, len(s.Factors)), make([]float64, len(s.Factors))
			s.Add(Counts{CN: 6, BN: 6}, []Counts{{CX: c1, BX: 7 - c1}, {CX: c2, BX: 3 - c2}}, out, scratch)
			for k, v := range out {
				mean[k] += p1 * p2 * math.Exp(v)
			}
		}
	}
	for k, m := range mean {
		if math.Abs(m-1) > 1e-9 {
			t.Errorf("factor %v: the mean of the likelihood ratio is %v", s.Factors[k], m)
		}
	}
}

func TestVarianceLimit(t *testing.T) {
	for free, want := range map[float64]float64{2: 2 / 0.2107, 4: 4 / 1.0636, 9: 9 / 4.1682, 30: 30 / 20.599} {
		if got := VarianceLimit(free); math.Abs(got/want-1) > 0.08 {
			t.Errorf("%v degrees of freedom: %v, want %v", free, got, want)
		}
	}
}
