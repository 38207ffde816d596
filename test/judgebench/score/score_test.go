package score_test

import (
	"math"
	"testing"

	"github.com/belaydev/belay/test/judgebench/score"
)

func TestIntervalIsExact(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{
		{0, 100, 0, 0.03622},
		{1, 100, 0.000253, 0.05446},
		{10, 1000, 0.004805, 0.01831},
		{50, 100, 0.39832, 0.60168},
		{100, 100, 0.96378, 1},
	} {
		low, high := score.Interval(c.k, c.n)
		if math.Abs(low-c.low) > 2e-5 || math.Abs(high-c.high) > 2e-5 {
			t.Errorf("%d of %d: got %.6f to %.6f, want %.6f to %.6f", c.k, c.n, low, high, c.low, c.high)
		}
	}
}

func TestMissesCountAsNeverAndHarmToTheEnd(t *testing.T) {
	never := math.Inf(1)
	s := score.Of([]score.Outcome{
		{Decided: true, At: 110, Bad: 4, Healthy: never},
		{Decided: true, At: 120, Bad: 6, Healthy: never},
		{Decided: true, At: 50, Healthy: never}, // before the fault
		{Bad: 50, Healthy: never},
		{Bad: 60, Healthy: 30},
	}, 100, 1000)
	if s.Early != 1 || s.Found != 2 || s.Undecided != 1 {
		t.Errorf("early %d, found %d, undecided %d", s.Early, s.Found, s.Undecided)
	}
	if s.Median != 20 || !math.IsInf(s.P90, 1) {
		t.Errorf("median %v, p90 %v", s.Median, s.P90)
	}
	if s.Bad != 30 || s.Mean != (10+20+900+900)/4.0 {
		t.Errorf("bad %v, mean delay %v", s.Bad, s.Mean)
	}
	if s.Rate() != 0.5 {
		t.Errorf("rate %v", s.Rate())
	}
}
