package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// logE runs ticks through E-share without onset mixture.
func logE(t *testing.T, ticks []Counts, psi0, phi float64) float64 {
	t.Helper()
	p := NewProcess(len(Grid()), 1)
	out := make([]float64, len(Grid()))
	for _, c := range ticks {
		for i, g := range Grid() {
			out[i] = Share(c, g*psi0, psi0)
		}
		p.Step(out, phi)
	}
	return p.LogE()
}

func repeat(c Counts, n int) []Counts {
	all := make([]Counts, n)
	for i := range all {
		all[i] = c
	}
	return all
}

func near(t *testing.T, name string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: got %.10f, want %.10f", name, got, want)
	}
}

func TestShareReproducesThePublishedVectors(t *testing.T) {
	first := Counts{CN: 100, BN: 900, CX: 5, BX: 5}
	for _, v := range []struct {
		name      string
		ticks     []Counts
		psi0, phi float64
		want      float64
	}{
		{"one tick", []Counts{first}, 1, 1, 4.006140678},
		{"margin", []Counts{first}, 1.25, 1, 3.144102218},
		{"tempered", []Counts{first}, 1, 5, 0.612000073},
		{"ten quiet ticks", repeat(Counts{CN: 100, BN: 900, CX: 1, BX: 9}, 10), 1, 1, -2.375249659},
		{"changing share", []Counts{
			{CN: 100, BN: 900, CX: 2, BX: 4}, {CN: 200, BN: 800, CX: 6, BX: 5}, {CN: 50, BN: 950, CX: 0, BX: 3},
		}, 1, 1, 2.539556918},
		{"exact is better", []Counts{{CN: 100, BN: 900, CX: 65, BX: 450}}, 1, 1, -0.397445},
	} {
		tolerance := 5e-10
		if v.name == "exact is better" {
			tolerance = 5e-7
		}
		near(t, v.name, logE(t, v.ticks, v.psi0, v.phi), v.want, tolerance)
	}
	for i, want := range []float64{1.6599, 3.5832, 5.6292, 7.7363, 9.8786} {
		c := Counts{CN: 100, BN: 900, CX: float64(i + 1)}
		near(t, "zero baseline errors", logE(t, []Counts{c}, 1, 1), want, 5e-5)
	}
}

func TestOddsReproducesThePublishedVectors(t *testing.T) {
	for _, v := range []struct {
		c    Counts
		want float64
	}{
		{Counts{CN: 100, BN: 900, CX: 5, BX: 5}, 4.097532386},
		{Counts{CN: 100, BN: 900, CX: 65, BX: 450}, 2.097964093},
	} {
		out := make([]float64, len(Grid()))
		Odds(v.c, Grid(), 1, out)
		near(t, "odds", LogMean(out), v.want, 1e-9) // exact fractions give 4.09753238519 for the first
	}
}

func TestOnsetReproducesThePublishedVector(t *testing.T) {
	run := func(onset *Onset, first float64) float64 {
		p := NewProcess(len(Grid()), first)
		out := make([]float64, len(Grid()))
		ticks := append(repeat(Counts{CN: 100, BN: 900, CX: 1, BX: 9}, 24), repeat(Counts{CN: 100, BN: 900, CX: 5, BX: 9}, 3)...)
		for i, c := range ticks {
			p.Start(onset.Due(float64(i)))
			for k, g := range Grid() {
				out[k] = Share(c, g, 1)
			}
			p.Step(out, 1)
		}
		return p.LogE()
	}
	near(t, "with onset mixture", run(&Onset{First: 0.5, Every: 12, Horizon: 720}, 0.5), 3.461373609, 5e-10)
	near(t, "without", run(&Onset{}, 1), 0.046262552, 5e-10)
}

// pmf is the noncentral hypergeometric law, summed naively.
func pmf(nc, nb, x int, psi float64) []float64 {
	lo, hi := max(0, x-nb), min(nc, x)
	p := make([]float64, hi+1)
	sum := 0.0
	for j := lo; j <= hi; j++ {
		p[j] = math.Exp(logChoose(float64(nc), float64(j)) + logChoose(float64(nb), float64(x-j)) + float64(j)*math.Log(psi) -
			logChoose(float64(nc+nb), float64(x)))
		sum += p[j]
	}
	for j := range p {
		p[j] /= sum
	}
	return p
}

func TestMeanOfTheEvidenceIsAtMostOne(t *testing.T) {
	out := make([]float64, 1)
	for _, d := range []struct{ nc, nb, x int }{{100, 900, 50}, {100, 900, 500}, {30, 30, 3}, {5, 500, 2}, {400, 100, 250}, {300, 900, 700}} {
		for _, null := range []float64{1, 1.25} {
			for _, psi := range Grid() {
				odds, share := 0.0, 0.0
				for j, p := range pmf(d.nc, d.nb, d.x, null) {
					c := Counts{CN: float64(d.nc), BN: float64(d.nb), CX: float64(j), BX: float64(d.x - j)}
					if p == 0 {
						continue
					}
					Odds(c, []float64{psi * null}, null, out)
					odds += p * math.Exp(out[0])
					share += p * math.Exp(Share(c, psi, 1))
				}
				near(t, "mean of E-odds", odds, 1, 1e-8)
				if null == 1 && share > 1+1e-9 {
					t.Errorf("mean of E-share with %v at ratio %v is %v", d, psi, share)
				}
			}
		}
	}
}

func TestOddsAgreesOnBothSidesOfTheSmallSupport(t *testing.T) {
	var k [4000]float64
	for _, c := range []Counts{{CN: 50, BN: 70, CX: 30, BX: 20}, {CN: 61, BN: 2000, CX: 20, BX: 300}, {CN: 2000, BN: 3000, CX: 900, BX: 1000}} {
		law := newTable(c.CN, c.BN, c.CX+c.BX)
		for _, psi := range []float64{0.5, 1, 1.001, 1.3} {
			cs := law.coefficients(k[:])
			sum := func(p float64) float64 { // relative to the middle term, against overflow
				s, mid := 0.0, float64(len(cs)/2)
				for i, v := range cs {
					s += v * math.Exp((float64(i)-mid)*math.Log(p))
				}
				return math.Log(s) + mid*math.Log(p)
			}
			a := sum(psi) - sum(1) + law.lo*math.Log(psi)
			b := law.logSum(psi) - law.logSum(1)
			near(t, "two ways", a, b, 1e-8*math.Max(1, math.Abs(a)))
		}
	}
}

func TestSplittingATickChangesNothing(t *testing.T) {
	whole := Counts{CN: 200, BN: 1800, CX: 7, BX: 12}
	parts := []Counts{{CN: 50, BN: 450, CX: 7, BX: 2}, {CN: 150, BN: 1350, CX: 0, BX: 10}}
	near(t, "split", logE(t, parts, 1.25, 2), logE(t, []Counts{whole}, 1.25, 2), 1e-12)
	near(t, "one sample", OneSample(30, 2, 0.01, 3)+OneSample(70, 1, 0.01, 3), OneSample(100, 3, 0.01, 3), 1e-12)
}

func TestMoreBadEventsAreMoreEvidence(t *testing.T) {
	out := make([]float64, len(Grid()))
	for _, total := range []float64{10, 60, 400} {
		last := math.Inf(-1)
		for x := 0.0; x <= math.Min(total, 100); x++ {
			p := NewProcess(len(Grid()), 0.5)
			Compare(Counts{CN: 100, BN: 900, CX: x, BX: total - x}, Grid(), 1, out)
			p.Step(out, 1)
			if p.LogE() < last {
				t.Fatalf("%v of %v bad events: evidence fell from %v to %v", x, total, last, p.LogE())
			}
			last = p.LogE()
		}
	}
}

func poisson(r *rand.Rand, mean float64) float64 {
	n, limit, p := 0.0, math.Exp(-mean), r.Float64()
	for p > limit {
		n++
		p *= r.Float64()
	}
	return n
}

// TestFalseAlarmsStayBelowAlpha looks after every tick of many quiet watches with all that is hard for fixed-share
// tests: a ramp of the share, a shared outage, and bad events that are common for a while.
func TestFalseAlarmsStayBelowAlpha(t *testing.T) {
	const runs, alpha = 1500, 0.05
	r := rand.New(rand.NewPCG(7, 9))
	out := make([]float64, len(Grid()))
	alarms, mean := 0, 0.0
	for range runs {
		p, onset := NewProcess(len(Grid()), 0.5), Onset{Every: 12, Horizon: 120}
		alarm := false
		for tick := range 120 {
			rate, share := 0.005, 0.01+0.49*float64(tick)/120
			if tick > 60 && tick < 80 {
				rate = 0.1
			}
			n := 100 * (1 + 0.8*math.Sin(float64(tick)/20))
			c := Counts{CN: poisson(r, n*share), BN: poisson(r, n*(1-share))}
			for range int(c.CN) {
				if r.Float64() < rate {
					c.CX++
				}
			}
			for range int(c.BN) {
				if r.Float64() < rate {
					c.BX++
				}
			}
			p.Start(onset.Due(float64(tick)))
			Compare(c, Grid(), 1, out)
			p.Step(out, 1)
			alarm = alarm || p.LogE() >= -math.Log(alpha)
		}
		mean += math.Exp(p.LogE()) / runs
		if alarm {
			alarms++
		}
	}
	if limit := alpha*runs + 2*math.Sqrt(alpha*runs); float64(alarms) > limit {
		t.Errorf("%d false alarms in %d watches, want at most %.0f", alarms, runs, limit)
	}
	if mean > 1.3 {
		t.Errorf("mean evidence of quiet watches is %.2f, want at most 1", mean)
	}
}

func TestLimitsOfARate(t *testing.T) {
	near(t, "rule of three", UpperLimit(300, 0, 0.05), 1-math.Pow(0.05, 1.0/300), 1e-9)
	near(t, "tail", TailAbove(20, 5, 0.05), 0.002573939, 1e-8)
	near(t, "tail of one", TailAbove(10, 1, 0.1), 1-math.Pow(0.9, 10), 1e-12)
	near(t, "lower", TailAbove(500, 20, LowerLimit(500, 20, 0.01)), 0.01, 1e-9)
	near(t, "upper", 1-TailAbove(500, 21, UpperLimit(500, 20, 0.01)), 0.01, 1e-9)
	if UpperLimit(0, 0, 0.01) != 1 || LowerLimit(0, 0, 0.01) != 0 || UpperLimit(5, 5, 0.01) != 1 {
		t.Error("limits without data must be the whole range")
	}
}

func TestInformationLimitsReproduceThePublishedTable(t *testing.T) {
	bad := func(pc, margin float64) float64 { return math.Log(100) / TwoSample(pc, 0.005, 0.1, margin) * 0.1 * pc }
	near(t, "1 %", bad(0.01, 1), 27.1, 0.1)
	near(t, "2 %", bad(0.02, 1), 8.5, 0.1)
	near(t, "1 %, margin", bad(0.01, 1.25), 56.0, 0.1)
	near(t, "5 %, margin", bad(0.05, 1.25), 5.0, 0.1)
	near(t, "known rate", math.Log(100)/KL(0.02, 0.005), 359, 1)
}

func TestHistogram(t *testing.T) {
	var h Histogram
	h.Add([]float64{0.1, 0.5, 1}, []float64{50, 90, 100}, 110, 0)
	near(t, "median", h.Quantile(0.5), 0.1+0.4*5/40, 1e-9)
	near(t, "open bucket", h.Quantile(0.99), 1, 0)
	h.Add([]float64{0.25, 0.5}, []float64{5, 10}, 10, 0)
	if len(h.LE) != 4 || h.N != 120 || h.Count[1] != 55 || h.Count[2] != 100 || h.Count[3] != 110 {
		t.Errorf("merged histogram is %+v", h)
	}
	above, ok := Above([]float64{0.1, 0.5, 1}, []float64{50, 90, 100}, 110, 0.3)
	if near(t, "above", above, 40, 1e-9); !ok {
		t.Error("0.3 is within the bounds")
	}
	if _, ok := Above([]float64{0.1}, []float64{50}, 110, 0.3); ok {
		t.Error("0.3 is above all bounds: nothing can be said")
	}
	if !math.IsNaN((&Histogram{}).Quantile(0.5)) {
		t.Error("a quantile of nothing")
	}
}

func TestProofOfALowRateNeedsFewRequests(t *testing.T) {
	m, want := NewMixture(0.01), math.Log(20)
	more := m.More(want, 0)
	if more < 300 || more > 450 {
		t.Errorf("%v requests without an error to exclude 1 %%, want 300 to 450", more)
	}
	m.Step(more, 0)
	if m.LogE() < want {
		t.Errorf("after the promised %v requests evidence is %v, want %v", more, m.LogE(), want)
	}
	if !math.IsInf(NewMixture(0.01).More(want, 0.02), 1) {
		t.Error("a rate above the limit can never be proven below it")
	}
}
