package habit_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/belaydev/belay/internal/judge/habit"
)

func poisson(r *rand.Rand, mean float64) float64 {
	n, limit, p := 0.0, math.Exp(-mean), r.Float64()
	for p > limit {
		n++
		p *= r.Float64()
	}
	return n
}

// world is a service of which bad events come in clumps, from instances that differ.
type world struct {
	instances int
	rate      float64 // bad events a second and instance
	clump     float64
	later     int // seconds over which the events of a clump spread
	spread    float64
	shared    bool // every bad event of a minute is doubled on all instances, every fifth minute
	seconds   int
}

func (w world) learn(seed uint64) *habit.Learner {
	r := rand.New(rand.NewPCG(seed, 5))
	effect := make([]float64, w.instances)
	for i := range effect {
		effect[i] = math.Exp(w.spread * r.NormFloat64())
	}
	due := make([][]float64, w.seconds+w.later+1)
	for i := range due {
		due[i] = make([]float64, w.instances)
	}
	l := &habit.Learner{}
	for t := range w.seconds {
		for i := range w.instances {
			rate := w.rate * effect[i]
			if w.shared && t/60%5 == 0 {
				rate *= 10
			}
			for range int(poisson(r, rate/w.clump)) {
				for range int(w.clump) {
					due[t+r.IntN(w.later+1)][i]++
				}
			}
			l.Add(float64(t), fmt.Sprint(i), 100, due[t][i])
		}
	}
	return l
}

func TestDispersion(t *testing.T) {
	for name, c := range map[string]struct {
		w         world
		low, high float64
	}{
		"one by one":                         {world{instances: 4, rate: 0.1, clump: 1, seconds: 3600}, 1, 1.05},
		"one by one, one instance":           {world{instances: 1, rate: 0.3, clump: 1, seconds: 3600}, 1, 1.05},
		"clumps of five":                     {world{instances: 4, rate: 0.1, clump: 5, seconds: 3600}, 5, 10},
		"clumps of five, one instance":       {world{instances: 1, rate: 0.3, clump: 5, seconds: 3600}, 5, 13},
		"retries over three seconds":         {world{instances: 4, rate: 0.1, clump: 5, later: 3, seconds: 3600}, 3.5, 10},
		"instances that differ are no clump": {world{instances: 6, rate: 1, clump: 1, spread: 0.4, seconds: 3600}, 1, 1.05},
		"a shared outage is no clump":        {world{instances: 6, rate: 0.3, clump: 1, shared: true, seconds: 3600}, 1, 1.05},
		"nothing bad was ever seen":          {world{instances: 2, seconds: 3600, clump: 1}, 5, 5},
		"three bad events":                   {world{instances: 1, rate: 0.001, clump: 1, seconds: 3600}, 2.5, 5},
	} {
		outside := 0
		for seed := range uint64(20) {
			if d := c.w.learn(seed).Dispersion(5, nil); d.Size < c.low || d.Size > c.high {
				outside++
				t.Logf("%s: %+v", name, d)
			}
		}
		if outside > 2 {
			t.Errorf("%s: %d of 20 are not in %v to %v", name, outside, c.low, c.high)
		}
	}
}

func TestSpread(t *testing.T) {
	for name, c := range map[string]struct {
		w         world
		low, high float64
	}{
		"alike":             {world{instances: 10, rate: 0.5, clump: 1, seconds: 3600}, 0, 0.06},
		"alike, in clumps":  {world{instances: 10, rate: 0.5, clump: 5, seconds: 3600}, 0, 0.13},
		"20 % apart":        {world{instances: 10, rate: 0.5, clump: 1, spread: 0.2, seconds: 3600}, 0.17, 0.5},
		"20 %, three only":  {world{instances: 3, rate: 0.5, clump: 1, spread: 0.2, seconds: 3600}, 0.1, 2},
		"alike, few events": {world{instances: 10, rate: 0.01, clump: 1, seconds: 3600}, 0.01, 0.35},
	} {
		outside := 0
		for seed := range uint64(20) {
			l := c.w.learn(seed)
			s := l.Spread(l.Dispersion(5, nil).Shown)
			if !s.Known || s.Sigma < c.low || s.Sigma > c.high {
				outside++
				t.Logf("%s: %+v", name, s)
			}
		}
		if outside > 3 {
			t.Errorf("%s: %d of 20 are not in %v to %v", name, outside, c.low, c.high)
		}
	}
	if s := (world{instances: 2, rate: 1, clump: 1, seconds: 600}).learn(1).Spread(1); s.Known || s.Or(0.2) != 0.2 {
		t.Errorf("two instances say nothing of how instances differ: %+v", s)
	}
}

func TestSpeeds(t *testing.T) {
	le := []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64}
	for name, c := range map[string]struct {
		spread, low, high float64
	}{"alike": {0, 0, 0.02}, "5 % apart": {0.05, 0.035, 0.15}} {
		outside := 0
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, 6))
			s := &habit.Speeds{}
			for i := range 10 {
				speed := 0.05 * math.Exp(c.spread*r.NormFloat64())
				count := make([]float64, len(le))
				for range 4000 {
					v := speed * math.Exp(0.6*r.NormFloat64())
					for k, b := range le {
						if v <= b {
							count[k]++
						}
					}
				}
				s.Add(fmt.Sprint(i), le, count, 4000)
			}
			if got := s.Spread(); !got.Known || got.Sigma < c.low || got.Sigma > c.high {
				outside++
				t.Logf("%s: %+v", name, got)
			}
		}
		if outside > 3 {
			t.Errorf("%s: %d of 20 are not in %v to %v", name, outside, c.low, c.high)
		}
	}
}

// TestWhatWasLearnedCanBeCarriedOn splits an hour in two and carries the sums over.
func TestWhatWasLearnedCanBeCarriedOn(t *testing.T) {
	w := world{instances: 4, rate: 0.1, clump: 5, seconds: 3600}
	whole := w.learn(3)
	bad, clumps := whole.Export()
	again := &habit.Learner{}
	again.Import(bad, clumps, 1)
	if a, b := whole.Dispersion(5, nil), again.Dispersion(5, nil); a != b {
		t.Errorf("before %+v, after %+v", a, b)
	}
	half := &habit.Learner{}
	half.Import(bad, clumps, 0.5)
	if a, b := whole.Dispersion(5, nil), half.Dispersion(5, nil); math.Abs(b.Events-a.Events/2) > 1 || b.Seen > a.Seen*0.51 {
		t.Errorf("half of %+v is %+v", a, b)
	}
}
