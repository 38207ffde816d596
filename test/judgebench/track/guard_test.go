package track_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/belaydev/belay/test/judgebench/track"
)

// What the judge must not fall below. Streams and judge are deterministic, so these hold exactly or not at all; they
// are to be tightened as the judge gets better, and never loosened without a reason in writing.
const (
	guardRuns = 12 // of each cell

	// False rollbacks, of guardRuns on each null, and on all of them together.
	mostFalse    = 1
	mostFalseAll = 2

	// Mean bad answers until a fault is found, and the share of faults found.
	mostBad2, mostBad5, mostBad10 = 19.0, 8.5, 7.0
	mostBad50At20                 = 5.2
	leastFound                    = 1.0

	// A fault that begins after 20 minutes: bad answers against one at the beginning.
	mostLate = 1.75
)

// play measures the cells of one track without rivals.
func play(t *testing.T, name string, g track.Grid) []*track.Result {
	t.Helper()
	g.Tick, g.Runs = 1, guardRuns
	for _, tr := range track.All() {
		if tr.Name != name {
			continue
		}
		cells, err := tr.Cells(g)
		if err != nil {
			t.Fatal(err)
		}
		var all []*track.Result
		for i := range cells {
			cells[i].Prepare(nil, nil)
			r, err := cells[i].Measure(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		return all
	}
	t.Fatalf("there is no track %s", name)
	return nil
}

func TestGoodReleasesAreKept(t *testing.T) {
	all := 0
	for _, c := range []struct {
		nulls []string
		rate  float64
		past  string
	}{
		{[]string{"iid", "outage", "diurnal", "ramp", "mix"}, 20, "none"},
		{[]string{"outage", "ramp", "gaps", "late"}, 200, "none"},
		{[]string{"clump5", "clumpgeo", "retries", "instances"}, 200, "1h"},
		{[]string{"clump5"}, 20, "1h"},
	} {
		for _, r := range play(t, "B", track.Grid{Names: c.nulls, Rates: []float64{c.rate}, Pasts: []string{c.past}}) {
			s := r.Scores[0]
			t.Logf("%s at %g/s, history %s: %d of %d taken back %v", r.Name, c.rate, c.past, s.Early, s.Runs, s.By)
			if all += s.Early; s.Early > mostFalse {
				t.Errorf("%s at %g/s, history %s: %d of %d good releases taken back, at most %d are borne", r.Name, c.rate, c.past, s.Early, s.Runs, mostFalse)
			}
		}
	}
	if all > mostFalseAll {
		t.Errorf("%d good releases taken back on all nulls, at most %d are borne", all, mostFalseAll)
	}
}

func TestBadReleasesAreFound(t *testing.T) {
	most := map[float64]float64{0.02: mostBad2, 0.05: mostBad5, 0.1: mostBad10}
	type place struct{ rate, bad float64 }
	soon := map[place]float64{}
	for _, onset := range []float64{0, 1200} {
		for _, rate := range []float64{20, 200} {
			bads := []float64{0.02, 0.05, 0.1}
			if onset == 0 && rate == 20 {
				bads = append(bads, 0.5)
			}
			for _, r := range play(t, "A", track.Grid{Rates: []float64{rate}, Shares: []float64{0.1}, Onsets: []float64{onset}, Bads: bads}) {
				s, bound := r.Scores[0], most[r.Spec.Bad]
				if r.Spec.Bad == 0.5 {
					bound = mostBad50At20
				}
				key := place{rate, r.Spec.Bad}
				if onset == 0 {
					soon[key] = s.Bad
				} else {
					bound = mostLate * soon[key]
				}
				t.Logf("%s at %g/s from %g s on: %.1f bad answers, limit %.1f", r.Name, rate, onset, s.Bad, r.BadLimit(true))
				if s.Rate() < leastFound || s.Bad > bound {
					t.Errorf("%s at %g/s from %g s on: found %.0f %%, %.1f bad answers, at most %.1f are borne", r.Name, rate, onset, 100*s.Rate(), s.Bad, bound)
				}
			}
		}
	}
}

func TestSlowReleasesAreFound(t *testing.T) {
	for _, c := range []struct {
		past string
		most map[string]float64 // seconds, median
	}{
		{"none", map[string]float64{"x2": 20, "+25%": 35, "1%+1s": 100}},
		{"1h", map[string]float64{"+10%": 66}},
	} {
		for _, r := range play(t, "C", track.Grid{Names: slices.Sorted(maps.Keys(c.most)), Rates: []float64{200}, Pasts: []string{c.past}}) {
			s := r.Scores[0]
			t.Logf("%s, %s, history %s: median %.0f s", r.Name, r.Form, c.past, s.Median)
			if s.Median > c.most[r.Name] {
				t.Errorf("%s, %s, history %s: found after %.0f s, at most %.0f are borne", r.Name, r.Form, c.past, s.Median, c.most[r.Name])
			}
		}
	}
}
