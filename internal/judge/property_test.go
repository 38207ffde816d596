package judge

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/belaydev/belay"
)

// judged gives the ticks to a fresh judge and returns the evidence against the release after each.
func judged(p Policy, ticks []belay.Tick) []float64 {
	j := New(p)
	out := make([]float64, len(ticks))
	for i, t := range ticks {
		card := j.Observe(t)
		if len(card.Signals) > 0 {
			out[i] = card.Signals[0].EValue
		}
	}
	return out
}

// fixed is the default policy with what would be learned set by hand.
func fixed() Policy {
	p := DefaultPolicy()
	p.Signals[0].Margin, p.Signals[0].Dispersion = 1.25, 1
	return p
}

// worse is a watch of two minutes with a fault.
func worse() []belay.Tick {
	w := quiet(3)
	w.factor = always(4)
	var ticks []belay.Tick
	for i := range 120 {
		t := w.tick(float64(i))
		t.Samples = slices.Clone(t.Samples)
		ticks = append(ticks, t)
	}
	return ticks
}

// TestNamesAndOrderChangeNothing relabels instances and strata, and turns the samples of every tick around.
func TestNamesAndOrderChangeNothing(t *testing.T) {
	want := judged(fixed(), worse())
	turned := worse()
	for i := range turned {
		slices.Reverse(turned[i].Samples)
		for k := range turned[i].Samples {
			turned[i].Samples[k].Instance = "other-" + turned[i].Samples[k].Instance
		}
	}
	for i, got := range judged(fixed(), turned) {
		if math.Abs(got-want[i]) > 1e-9*want[i] {
			t.Fatalf("second %d: evidence %v, want %v", i, got, want[i])
		}
	}
}

// TestHowTicksAreCutChangesLittle splits every tick in two: what is known in the end is the same, but for when a fault
// is thought to begin.
func TestHowTicksAreCutChangesLittle(t *testing.T) {
	var split []belay.Tick
	for _, tick := range worse() {
		a, b := belay.Tick{T: tick.T - 0.5}, belay.Tick{T: tick.T}
		for i, m := range tick.Samples {
			if m.Kind != belay.KindEvents {
				continue
			}
			half := m
			half.N, half.X = math.Floor(m.N/2), math.Floor(m.X/2)
			m.N, m.X = m.N-half.N, m.X-half.X
			if i%2 == 0 {
				m, half = half, m
			}
			a.Samples, b.Samples = append(a.Samples, half), append(b.Samples, m)
		}
		if a.T < 0 {
			a.T = 0
			b.T = 0.25
		}
		split = append(split, a, b)
	}
	whole, cut := judged(fixed(), worse()), judged(fixed(), split)
	for i := 10; i < len(whole) && whole[i] < 1e6; i++ {
		if r := cut[2*i+1] / whole[i]; r < 0.4 || r > 2.5 {
			t.Errorf("second %d: evidence %v whole, %v cut", i, whole[i], cut[2*i+1])
		}
	}
}

// TestBlamelessSidesAreAlike exchanges the sides of a quiet watch with equal traffic: neither is called regressed.
func TestBlamelessSidesAreAlike(t *testing.T) {
	for seed := range uint64(20) {
		w := quiet(seed)
		w.share = always(0.5)
		a, b := New(DefaultPolicy()), New(DefaultPolicy())
		for i := range 600 {
			tick := w.tick(float64(i))
			a.Take(tick)
			other := belay.Tick{T: tick.T}
			for _, m := range tick.Samples {
				if m.Arm == belay.ArmBaseline {
					m.Arm = belay.ArmCandidate
				} else {
					m.Arm = belay.ArmBaseline
				}
				other.Samples = append(other.Samples, m)
			}
			b.Take(other)
		}
		if a.Regressed() || b.Regressed() {
			t.Errorf("seed %d: regressed %v and %v", seed, a.Regressed(), b.Regressed())
		}
	}
}

// TestNoAllocations holds the steady state to none: the judge runs every second for every deployment.
func TestNoAllocations(t *testing.T) {
	p, ticks := watchTicks(1500)
	j := New(p)
	for _, tick := range ticks[:1000] {
		j.Take(tick)
	}
	i := 1000
	if n := testing.AllocsPerRun(400, func() {
		j.Take(ticks[i])
		i++
	}); n > 0 {
		t.Errorf("%v allocations a tick", n)
	}
}

// TestLearnedIsAsGoodAsThePast gives the same hour once as history and once as what was learned from it.
func TestLearnedIsAsGoodAsThePast(t *testing.T) {
	p, ticks := watchTicks(400)
	past := make([]belay.Tick, 0, len(ticks))
	for i, tick := range ticks[:300] {
		tick.T = float64(i - 300)
		past = append(past, tick)
	}
	direct, learner := New(p), New(p)
	for _, tick := range past {
		direct.Take(tick)
		learner.Take(tick)
	}
	l := learner.Learned(belay.Learned{}, 300)
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var back belay.Learned
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again := New(p)
	for i, tick := range ticks[300:] {
		tick.T = float64(i)
		direct.Take(tick)
		if i == 0 {
			tick.Learned = &back
		}
		again.Take(tick)
	}
	a, b := direct.Card(), again.Card()
	for i := range a.Signals {
		for k, h := range a.Signals[i].Habits {
			if o := b.Signals[i].Habits[k]; math.Abs(o.Value-h.Value) > 0.02*h.Value || o.Source != h.Source {
				t.Errorf("%s: %+v from the past, %+v when learned", a.Signals[i].Signal, h, o)
			}
		}
	}
}
