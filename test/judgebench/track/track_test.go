package track

import (
	"errors"
	"testing"

	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/test/judgebench/rival"
	"github.com/belaydev/belay/test/judgebench/score"
	"github.com/belaydev/belay/test/judgebench/trace"
)

// cellsOf builds a small part of a track.
func cellsOf(t *testing.T, name string, g Grid) []Cell {
	t.Helper()
	for _, tr := range All() {
		if tr.Name == name {
			cells, err := tr.Cells(g)
			if err != nil {
				t.Fatal(err)
			}
			return cells
		}
	}
	t.Fatalf("no track %s", name)
	return nil
}

func TestWhatComesOutDoesNotDependOnWhoPlaysWhich(t *testing.T) {
	measure := func() []score.Score {
		c := cellsOf(t, "A", Grid{Tick: 1, Runs: 12, Rates: []float64{200}, Shares: []float64{0.1}, Onsets: []float64{0}, Bads: []float64{0.05}, Pasts: []string{"none"}})[0]
		c.Prepare(nil, rival.Products())
		r, err := c.Measure(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r.Scores
	}
	first, again := measure(), measure()
	for i := range first {
		if first[i].Bad != again[i].Bad || first[i].Median != again[i].Median {
			t.Errorf("rule %d: %+v, then %+v", i, first[i], again[i])
		}
	}
}

func TestOverridesFollowThePolicy(t *testing.T) {
	all, err := ParseOverrides("margin=1.5,error_rate.hard_stop=0.4,min_time=30,response_time.compare=false")
	if err != nil {
		t.Fatal(err)
	}
	p := judge.DefaultPolicy()
	for _, o := range all {
		if err := o.apply(&p); err != nil {
			t.Fatal(err)
		}
	}
	if p.MinTime != 30 || p.Signals[0].Margin != 1.5 || p.Signals[1].Margin != 1.5 || *p.Signals[0].HardStop != 0.4 || p.Signals[1].HardStop != nil || p.Signals[1].Compare {
		t.Errorf("got %+v", p)
	}
	for _, bad := range []string{"margin", "colour=1", "margin=wide"} {
		if _, err := ParseOverrides(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestLimitsArePartOfTheCell(t *testing.T) {
	c := cellsOf(t, "A", Grid{Tick: 1, Rates: []float64{200}, Shares: []float64{0.1}, Onsets: []float64{0}, Bads: []float64{0.02}})[0]
	if own, other := c.BadLimit(true), c.BadLimit(false); own < 11.6 || own > 11.8 || other < 8.4 || other > 8.6 {
		t.Errorf("limits %.2f with a margin, %.2f without", own, other)
	}
	if got := c.TimeLimit(false); got < 21 || got > 22 {
		t.Errorf("%.1f s", got)
	}
}

func TestSeriesNeedAFolder(t *testing.T) {
	for _, tr := range All() {
		_, err := tr.Cells(Grid{Tick: 1})
		if needs := tr.Name == "D" || tr.Name == "G"; needs != errors.Is(err, ErrNoData) {
			t.Errorf("track %s without a folder: %v", tr.Name, err)
		}
	}
}

// A placebo has nothing labelled around it; a fault begins where a lasting anomaly does, after a clean time.
func TestPlacebosAndFaultsOfASeries(t *testing.T) {
	s := &trace.Series{Step: 60}
	for i := range 5 * 1440 {
		s.At, s.Values, s.Bad = append(s.At, float64(60*i)), append(s.Values, 1), append(s.Bad, false)
	}
	for _, anomaly := range [][2]int{{4000, 4010}, {5000, 5002}, {5030, 5040}} {
		for i := anomaly[0]; i < anomaly[1]; i++ {
			s.Bad[i] = true
		}
	}
	fine, faults := placebos(s)
	if len(faults) != 1 || faults[0].at != 4000 { // one is too short, and one comes too soon after it
		t.Errorf("faults %v", faults)
	}
	for _, p := range fine {
		for i := max(0, p.at-60); i <= min(len(s.Bad)-1, p.at+60); i++ {
			if s.Bad[i] {
				t.Fatalf("placebo at %d has an anomaly at %d", p.at, i)
			}
		}
	}
	first, last := fine[0], fine[len(fine)-1]
	if first.at != 2*1440 || last.at != 5*1440-61 {
		t.Errorf("placebos from %d to %d", first.at, last.at)
	}
	r := first.readings()
	if r[0].T != -2*86400 || r[len(r)-1].T != 3600 {
		t.Errorf("readings from %v to %v", r[0].T, r[len(r)-1].T)
	}
}
