package level_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/belaydev/belay/internal/judge/level"
)

// TestReadingsThatNeverMove: each instance stands still at a level of its own. Their variance is zero, and no rounding
// may make a number of it that is none.
func TestReadingsThatNeverMove(t *testing.T) {
	compared := 0
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 3))
		stands := make([]float64, 2+r.IntN(4))
		for i := range stands {
			stands[i] = r.Float64()
		}
		l := level.New(level.Settings{Direction: level.Either, SmallestChange: 0.1, First: 0.45})
		for at := -600.0; at < 0; at++ {
			for i, v := range stands {
				l.Remember(at, string(rune('a'+i)), v)
			}
		}
		for at := range 60 {
			for i, v := range stands {
				l.Take(float64(at), level.Baseline, string(rune('a'+i)), v)
			}
			l.Take(float64(at), level.Candidate, "new", 3*stands[0])
			l.Step(float64(at), 0)
		}
		if e, w := l.LogE(), l.Wealth(); math.IsNaN(e) || math.IsNaN(w) {
			t.Fatalf("seed %d: evidence %v, wealth %v", seed, e, w)
		}
		if l.Compared() {
			compared++
		}
	}
	if compared < 25 {
		t.Errorf("%d of 50 are compared", compared)
	}
}

// TestAnIdleTimeSaysNothingOfTheScale: what was learned while all values were zero does not hide a change of small ones.
func TestAnIdleTimeSaysNothingOfTheScale(t *testing.T) {
	idle := level.New(level.Settings{SmallestChange: 0.1, First: 0.45})
	for at := -3600.0; at < 0; at += 30 {
		idle.Remember(at, "a", 0)
		idle.Remember(at, "b", 0)
	}
	l := level.New(level.Settings{SmallestChange: 0.1, Margin: 1.2, First: 0.45})
	levels, scale := idle.Export()
	l.Import(levels, scale, 1)
	r := rand.New(rand.NewPCG(1, 3))
	noisy := func(v float64) float64 { return v * math.Exp(0.3*r.NormFloat64()) }
	for at := -1800.0; at < 0; at += 10 {
		l.Remember(at, "a", noisy(0.002))
		l.Remember(at, "b", noisy(0.002))
	}
	for at := range 300 {
		for i, names := range [2][2]string{{"c", "d"}, {"a", "b"}} {
			for _, name := range names {
				l.Take(float64(10*at), level.Side(i), name, noisy([2]float64{0.02, 0.002}[i]))
			}
		}
		l.Step(float64(10*at), 0)
	}
	if l.LogE() < math.Log(100) {
		t.Errorf("ten times as much is not seen: evidence %v, by the scale %+v", l.LogE(), scale)
	}
}

// TestAChangeTooSmallIsNoEvidence: what does not matter counts as no more than what is left of the bet.
func TestAChangeTooSmallIsNoEvidence(t *testing.T) {
	l := level.New(level.Settings{SmallestChange: 0.1, First: 0.45})
	r := rand.New(rand.NewPCG(2, 3))
	noisy := func(v float64) float64 { return v * math.Exp(0.05*r.NormFloat64()) }
	for at := -1800.0; at < 0; at += 10 {
		l.Remember(at, "a", noisy(1))
		l.Remember(at, "b", noisy(1))
	}
	for at := range 300 {
		l.Take(float64(at), level.Baseline, "a", noisy(1))
		l.Take(float64(at), level.Baseline, "b", noisy(1))
		l.Take(float64(at), level.Candidate, "c", noisy(1))
		l.Step(float64(at), 0)
	}
	if e, w := l.LogE(), l.Wealth(); w >= 0 || e > w {
		t.Errorf("evidence %v, while %v is left of the bet", e, w)
	}
}

// TestQuietReadings: memory hardly moves, and instances differ by much more than it does. That hides no threefold.
func TestQuietReadings(t *testing.T) {
	for _, c := range []struct {
		noise, margin, factor float64
		called                bool
	}{
		{0.01, 1.2, 3, true},
		{0.02, 0, 3, true},
		{0.05, 1.5, 3, true},
		{0.3, 1.2, 3, true},
		{0.01, 1.5, 1.1, false},
		{0.05, 1.5, 1, false},
	} {
		r := rand.New(rand.NewPCG(4, 3))
		noisy := func(v float64) float64 { return v * math.Exp(c.noise*r.NormFloat64()) }
		l := level.New(level.Settings{SmallestChange: 0.1, Margin: c.margin, First: 0.45})
		for at := -1800.0; at < 0; at += 10 {
			for _, name := range []string{"a", "b", "c", "d"} {
				l.Remember(at, name, noisy(1))
			}
		}
		for at := range 60 {
			for _, name := range []string{"a", "b", "c", "d"} {
				l.Take(float64(10*at), level.Baseline, name, noisy(1))
				l.Take(float64(10*at), level.Candidate, "new "+name, noisy(c.factor))
			}
			l.Step(float64(10*at), 0)
		}
		if called := l.LogE() >= math.Log(100); called != c.called {
			t.Errorf("%+v: evidence %v", c, l.LogE())
		}
	}
}
