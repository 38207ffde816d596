// Package track holds what the benchmark measures: cells, which are circumstances that a release may meet, gathered in
// tracks, and the means to play each of them often, past the judge and past the rules it is measured against.
package track

import (
	"cmp"
	"errors"
	"slices"

	"github.com/belaydev/belay/test/judgebench/rival"
)

// Grid is what a track is measured over. Lists that are empty are left to the track.
type Grid struct {
	Pasts  []string  // histories: none, 1h, 24h, each also with "-pooled": counted in one place for each release
	Rates  []float64 // requests a second of both sides
	Shares []float64 // of the candidate
	Onsets []float64 // seconds
	Bads   []float64 // error rates of the bad release
	Names  []string  // of nulls and of changes; empty is all
	Tick   float64   // seconds between looks
	Margin float64   // that the judge keeps, for the limits; 0 is DefaultMargin
	Runs   int       // of each cell
	Quick  bool      // a small part of the runs
	Data   string    // folder with recorded series; empty is none

	whole bool // all combinations, as somebody asked for some; else those that tell something
}

// wants tells whether a name was asked for.
func (g *Grid) wants(name string) bool { return len(g.Names) == 0 || slices.Contains(g.Names, name) }

// over returns g with what it leaves open taken from a track's own grid.
func (g Grid) over(own Grid) Grid {
	g.whole = len(g.Pasts) > 0 || len(g.Rates) > 0
	if len(g.Pasts) == 0 {
		g.Pasts = own.Pasts
	}
	if len(g.Rates) == 0 {
		g.Rates = own.Rates
	}
	if len(g.Shares) == 0 {
		g.Shares = own.Shares
	}
	if len(g.Onsets) == 0 {
		g.Onsets = own.Onsets
	}
	if len(g.Bads) == 0 {
		g.Bads = own.Bads
	}
	if g.Runs == 0 {
		g.Runs = own.Runs
	}
	return g
}

// ErrNoData says that a track needs recorded series and there is no folder with any.
var ErrNoData = errors.New("no folder with recorded series: name one with -data or BELAY_BENCH_DATA")

// Track is a part of the benchmark.
type Track struct {
	Name   string
	Title  string
	Rivals []rival.Entry

	own   Grid
	cells func(Grid) ([]Cell, error)
}

// How much less often a cell is played when it must be quick.
const (
	quickPart  = 200
	quickLeast = 3
)

// Cells returns the cells of the track over what was asked for. Their rules are to be set by Prepare.
func (t *Track) Cells(asked Grid) ([]Cell, error) {
	g := asked.over(t.own)
	cells, err := t.cells(g)
	for i := range cells {
		c := &cells[i]
		c.Track, c.Runs, c.Margin = t.Name, g.Runs, cmp.Or(g.Margin, DefaultMargin)
		if g.Quick {
			c.Runs = max(quickLeast, c.Runs/quickPart)
		}
		if c.most > 0 {
			c.Runs = min(c.Runs, c.most)
		}
	}
	return cells, err
}

// All returns the tracks.
func All() []Track {
	rates, nullRates := []float64{2, 20, 200, 2000}, []float64{0.2, 2, 20, 200, 2000}
	counting := slices.Concat(rival.Handwritten(), rival.Products(), rival.Textbook(), rival.AlwaysValid(), rival.Calibrated(), rival.Oracles())
	return []Track{
		{"A", "how soon a rise of the error rate is found", counting, Grid{
			Pasts: []string{"24h"}, Rates: rates, Shares: []float64{0.01, 0.1, 0.5}, Onsets: []float64{0, lateOnset},
			Bads: []float64{0.0075, 0.01, 0.02, 0.05, 0.1, 0.5}, Runs: 120,
		}, powerCells},
		{"B", "how often a good release is taken back", counting, Grid{
			Pasts: []string{"none", "1h", "24h"}, Rates: nullRates, Shares: []float64{0.1}, Runs: 400,
		}, nullCells},
		{"C", "how soon slower answers are found", rival.Latencies(), Grid{
			Pasts: []string{"none", "1h"}, Rates: []float64{20, 200}, Shares: []float64{0.1}, Runs: 200,
		}, latencyCells},
		{"D", "real arrivals", counting, Grid{
			Pasts: []string{"24h"}, Shares: []float64{0.1}, Bads: []float64{0.02, 0.05}, Runs: 200,
		}, arrivalCells},
		{"E", "gauges side by side", rival.Gauges(), Grid{Pasts: []string{"none", "1h"}, Runs: 300}, gaugeCells},
		{"G", "placebo deployments in recorded series", rival.Series(), Grid{Runs: 500}, seriesCells},
		{"S", "parameters that are wrong by half", misset(), Grid{
			Pasts: []string{"1h"}, Rates: []float64{200}, Shares: []float64{0.1}, Runs: 200,
		}, missetCells},
	}
}
