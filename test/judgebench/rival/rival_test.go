package rival

import (
	"math"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/test/judgebench/stream"
)

// evidence is the logarithm of what e-share has after these ticks of (n_c, n_b, x_c, x_b).
func evidence(ticks ...[4]float64) float64 {
	r := newShares(0.01, ratios()...)
	for i, t := range ticks {
		r.Observe(&View{T: float64(i + 1), CN: t[0], BN: t[1], CX: t[2], BX: t[3]})
	}
	sum := 0.0
	for _, l := range r.log {
		sum += math.Exp(l)
	}
	return math.Log(sum / float64(len(r.log)))
}

// The numbers were worked out independently of this code.
func TestShareEvidence(t *testing.T) {
	ten := make([][4]float64, 10)
	for i := range ten {
		ten[i] = [4]float64{100, 900, 1, 9}
	}
	for _, c := range []struct {
		name  string
		ticks [][4]float64
		want  float64
	}{
		{"one tick", [][4]float64{{100, 900, 5, 5}}, 4.006140678},
		{"nothing wrong", ten, -2.375249659},
		{"a share that changes", [][4]float64{{100, 900, 2, 4}, {200, 800, 6, 5}, {50, 950, 0, 3}}, 2.539556918},
		{"one error, none before", [][4]float64{{100, 900, 1, 0}}, 1.6599},
		{"three errors, none before", [][4]float64{{100, 900, 3, 0}}, 5.6292},
	} {
		if got := evidence(c.ticks...); math.Abs(got-c.want) > 1e-4 {
			t.Errorf("%s: got %.6f, want %.6f", c.name, got, c.want)
		}
	}
}

// at plays one traffic, the same in every tick, and returns when the rule acts; 0 for never.
func at(e Entry, f Facts, tick View) float64 {
	r, v := e.New(f), tick
	for t := f.Tick; t <= f.Length; t += f.Tick {
		if v.T = t; r.Observe(&v) {
			return t
		}
	}
	return 0
}

func TestRulesActWhenTheirFormulasSay(t *testing.T) {
	f := Facts{Rate: 200, Share: 0.1, Usual: 0.005, Bad: 0.1, Tick: 1, Length: 3600, Alpha: 0.01}
	bad := View{CN: 20, CX: 2, BN: 180, BX: 0.9}
	good := View{CN: 20, CX: 0.1, BN: 180, BX: 0.9}
	want := map[string]float64{
		"fixed": 60, "fixed-twice": 120, "burn-rate": 60, "argo95": 240, "argo99": 240, "flagger5": 300, "flagger1": 60,
		"kayenta-10m": 600, "kayenta-end": 3600, "z01-at-end": 3600, "z01-peeking": 5, "z05-peeking": 5,
	}
	for _, list := range [][]Entry{Handwritten(), Products(), Textbook(), AlwaysValid(), Oracles()} {
		for _, e := range list {
			if e.What == "" || e.Alpha <= 0 {
				t.Errorf("%s: does not say what it is, or what it promises", e.Name)
			}
			if got := at(e, f, good); got != 0 {
				t.Errorf("%s: acts at %v s on equal rates", e.Name, got)
			}
			got := at(e, f, bad)
			if w := want[e.Name]; w != 0 && got != w || got == 0 && e.Name != "before-after" {
				t.Errorf("%s: acts at %v s on ten %% of errors, want %v", e.Name, got, w)
			}
		}
	}
}

// An oracle that knows the ratio acts as soon as the likelihood ratio of the share says so: here each tick adds
// 2 ln 20 - 2.9 ln(580/200).
func TestOracleOfTheRatio(t *testing.T) {
	f := Facts{Usual: 0.005, Bad: 0.1, Tick: 1, Length: 100, Alpha: 0.01}
	inc := 2*math.Log(20) - 2.9*math.Log((20*20+180)/200.0)
	want := math.Ceil(math.Log(100) / inc)
	if got := at(Oracles()[0], f, View{CN: 20, CX: 2, BN: 180, BX: 0.9}); got != want {
		t.Errorf("acts at %v, want %v", got, want)
	}
}

func TestBeforeAfterComparesWithTheHistory(t *testing.T) {
	r := &zTest{limit: 2.575829, every: 60, past: true}
	for i := -600; i < 0; i++ {
		r.Observe(&View{T: float64(i), BN: 200, BX: 1})
	}
	for i := 1; i <= 60; i++ {
		// Both sides have an outage: beside it nothing is wrong, against the history it is.
		if r.Observe(&View{T: float64(i), CN: 20, CX: 2, BN: 180, BX: 18}) {
			return
		}
	}
	t.Error("an outage of everything was not taken for a regression")
}

func TestCalibratedRulesAreWrongAboutAsOftenAsTheySay(t *testing.T) {
	f := Facts{Rate: 200, Share: 0.1, Usual: 0.005, Bad: 0.005, Tick: 5, Length: 900, Alpha: 0.05}
	spec := stream.Spec{Cell: "calibrated", Rate: f.Rate, Share: f.Share, Usual: f.Usual, Bad: f.Bad, Tick: f.Tick, Length: f.Length, Pooled: true}
	for _, e := range Calibrated() {
		wrong, runs := 0, 400
		for run := range runs {
			r, source, view := e.New(f), stream.NewEvents(spec, run), NewView()
			for tick, ok := source.Next(); ok; tick, ok = source.Next() {
				view.Take(tick)
				if r.Observe(view) {
					wrong++
					break
				}
			}
		}
		if rate := float64(wrong) / float64(runs); rate < 0.02 || rate > 0.09 {
			t.Errorf("%s: wrong in %.1f %% of watches, want about 5 %%", e.Name, 100*rate)
		}
	}
}

func TestViewSumsUpAndTakesATickOnce(t *testing.T) {
	v := NewView()
	tick := belay.Tick{T: 1, Samples: []belay.Sample{
		{Kind: belay.KindEvents, Arm: belay.ArmCandidate, N: 10, X: 1},
		{Kind: belay.KindEvents, Arm: belay.ArmBaseline, N: 80, X: 2},
		{Kind: belay.KindEvents, Arm: belay.ArmBaseline, N: 90, X: 3},
		{Kind: belay.KindHistogram, Arm: belay.ArmCandidate, N: 4, LE: []float64{1, 2}, Count: []float64{1, 3}},
		{Kind: belay.KindHistogram, Arm: belay.ArmCandidate, N: 4, LE: []float64{1, 2}, Count: []float64{2, 4}},
		{Kind: belay.KindGauge, Arm: belay.ArmBaseline, Value: 1},
		{Kind: belay.KindGauge, Arm: belay.ArmBaseline, Value: 2},
	}}
	if !v.Take(&tick) || v.CN != 10 || v.CX != 1 || v.BN != 170 || v.BX != 5 || v.BV != 1.5 || !math.IsNaN(v.CV) {
		t.Errorf("got %+v", v)
	}
	if v.C.N != 8 || v.C.Count[0] != 3 || v.C.Count[1] != 7 {
		t.Errorf("histogram %+v", v.C)
	}
	if v.Take(&tick) {
		t.Error("the same tick was taken twice")
	}
	if got := v.C.quantile(0.5); math.Abs(got-1.25) > 1e-12 { // rank 4: a quarter into the second bucket
		t.Errorf("median %v", got)
	}
}

func TestBandsOfTwoDistributions(t *testing.T) {
	slow := View{C: Histogram{[]float64{1}, []float64{5}, 10}, B: Histogram{[]float64{1}, []float64{95}, 100}}
	r, acted := Latencies()[3].New(Facts{}), 0.0
	for i := 1.0; i < 1000 && acted == 0; i++ {
		if slow.T = i; r.Observe(&slow) {
			acted = i
		}
	}
	// The distance is 0.45; the bands are as wide as their formula says.
	width := func(n float64) float64 { return band(10*n) + band(100*n) }
	if acted == 0 || width(acted) >= 0.45 || width(acted-1) < 0.45 {
		t.Errorf("acts after %v ticks", acted)
	}
}
