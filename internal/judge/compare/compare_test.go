package compare

import (
	"math"
	"math/rand/v2"
	"testing"
)

func poisson(r *rand.Rand, mean float64) float64 {
	n, limit, p := 0.0, math.Exp(-mean), r.Float64()
	for p > limit {
		n++
		p *= r.Float64()
	}
	return n
}

// TestClumpsAreLearnedFromThePast draws an hour of bad events that come one by one, or five at once.
func TestClumpsAreLearnedFromThePast(t *testing.T) {
	for clump, want := range map[float64][2]float64{1: {1, 1}, 5: {5, 9}} {
		r := rand.New(rand.NewPCG(1, 2))
		c := New(Settings{Harm: 2, SmallestChange: 0.005, First: 0.5})
		for i := range 3600 {
			c.Remember(float64(i-3600), Sample{N: 200, X: clump * poisson(r, 1/clump)})
		}
		c.Take(0, Sample{N: 10})
		c.Step(0, 0)
		if c.dispersion.Size < want[0] || c.dispersion.Size > want[1] {
			t.Errorf("clumps of %v: learned %v, want %v to %v", clump, c.dispersion.Size, want[0], want[1])
		}
	}
	c := New(Settings{Harm: 2, SmallestChange: 0.005, First: 0.5})
	c.Remember(-1, Sample{N: 200, X: 3})
	c.Take(0, Sample{N: 10})
	c.Step(0, 0)
	if c.dispersion.Size != 5 {
		t.Errorf("one second of the past is no history, learned %v", c.dispersion.Size)
	}
}

// TestStrataBeyondTheLimitAreCountedTogether guards against a label that runs away.
func TestStrataBeyondTheLimitAreCountedTogether(t *testing.T) {
	c := New(Settings{Dispersion: 1, Margin: 1.25, Harm: 2, SmallestChange: 0.005})
	for i := range 500 {
		c.Take(float64(i), Sample{Stratum: string(rune(1000 + i)), N: 10, X: 1})
		c.Take(float64(i), Sample{Stratum: string(rune(1000 + i)), Side: Baseline, N: 10, X: 1})
		c.Step(float64(i), 0)
	}
	if len(c.strata) != maxStrata+1 || c.Total().CN != 5000 {
		t.Errorf("%d strata, %v events", len(c.strata), c.Total().CN)
	}
	total := 0.0
	for _, st := range c.strata {
		total += st.weight
	}
	if total > 1 {
		t.Errorf("the weights of the strata sum to %v", total)
	}
}

// TestThePastIsNotExceededByItself checks the rates that a lone candidate is judged against.
func TestThePastIsNotExceededByItself(t *testing.T) {
	blameless, harmful := Limits(10000, 50, 0.005, 2)
	if blameless < 0.01 || blameless > 0.02 || harmful < 0.008 || harmful > 0.02 {
		t.Errorf("0.5 %% before: blameless to %v, harmful from %v", blameless, harmful)
	}
	h := history{}
	for i := range 600 {
		x := 0.0
		if i >= 60 && i < 120 {
			x = 5
		}
		h.add(float64(i), 100, x)
	}
	if ref := h.reference(0.005, 2); ref.bad < 0.08 {
		t.Errorf("a minute of 5 %% errors is normal here, blameless only to %v", ref.bad)
	}
}
