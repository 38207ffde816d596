package silence_test

import (
	"math"
	"testing"

	"github.com/belaydev/belay/internal/judge/silence"
)

// feed gives n ticks and returns after how many of them it became silent; 0 when it never did.
func feed(w *silence.Watch, from, n int, candidate, baseline, share float64) int {
	for i := range n {
		w.Take(float64(from+i), candidate, baseline, share)
		if _, silent := w.Silent(); silent {
			return i + 1
		}
	}
	return 0
}

func TestSilence(t *testing.T) {
	unknown := math.NaN()
	for name, c := range map[string]struct {
		before              func(w *silence.Watch)
		candidate, baseline float64
		share               float64
		within              int // 0: never
	}{
		"served, then nothing":                    {func(w *silence.Watch) { feed(w, 0, 60, 2, 18, unknown) }, 0, 18, unknown, 20},
		"never served, nobody says it should":     {func(*silence.Watch) {}, 0, 18, unknown, 0},
		"never served, though routing says so":    {func(*silence.Watch) {}, 0, 18, 0.1, 20},
		"a weight was lowered and nobody said so": {func(w *silence.Watch) { feed(w, 0, 60, 20, 20, unknown) }, 1, 40, unknown, 0},
		"gets a tenth of what it should":          {func(*silence.Watch) {}, 1, 90, 0.1, 0}, // 10 expected: ln(0.04) weighs more than what is missing
		"gets nearly nothing of what it should":   {func(*silence.Watch) {}, 0.2, 180, 0.1, 3},
		"serves as it should":                     {func(*silence.Watch) {}, 10, 90, 0.1, 0},
		"nobody gets anything":                    {func(w *silence.Watch) { feed(w, 0, 60, 2, 18, unknown) }, 0, 0, unknown, 0},
		"the baseline is gone":                    {func(w *silence.Watch) { feed(w, 0, 60, 2, 18, unknown) }, 20, 0, unknown, 0},
	} {
		w := &silence.Watch{}
		c.before(w)
		got := feed(w, 60, 600, c.candidate, c.baseline, c.share)
		if c.within == 0 && got != 0 || c.within > 0 && (got == 0 || got > c.within) {
			t.Errorf("%s: silent after %d ticks, want %d", name, got, c.within)
		}
	}
}

func TestSilenceEndsWithTheFirstRequests(t *testing.T) {
	w := &silence.Watch{}
	feed(w, 0, 60, 2, 18, math.NaN())
	if feed(w, 60, 100, 0, 18, math.NaN()) == 0 {
		t.Fatal("never silent")
	}
	if s, _ := w.Silent(); s.Since != 60 || s.Expected < 30 {
		t.Errorf("%+v: want it since 60 s, with more than 30 requests missing", s)
	}
	w.Take(200, 2, 18, math.NaN())
	if _, silent := w.Silent(); silent {
		t.Error("still silent")
	}
}
