package track

import (
	"fmt"
	"math"

	"github.com/belaydev/belay/test/judgebench/stream"
)

// The grid of the tracks on error rates.
const (
	usual       = 0.005
	watchLength = 3600.0
	lateOnset   = 1200.0
)

// pasts are the histories that a deployment may have: none, an hour, a day; counted by instance, or pooled in one place
// for each release.
func pasts(tick float64) map[string]stream.Spec {
	hour, day := stream.Past{Length: 3600, Tick: tick}, stream.Past{Length: 86400, Tick: math.Max(10, tick)}
	return map[string]stream.Spec{
		"none":        {},
		"none-pooled": {Pooled: true},
		"1h":          {Past: hour},
		"1h-pooled":   {Past: hour, Pooled: true},
		"24h":         {Past: day},
		"24h-pooled":  {Past: day, Pooled: true},
	}
}

func openEvents(s stream.Spec, run int) stream.Source { return stream.NewEvents(s, run) }

// base is what all cells on error rates have in common.
func (g *Grid) base(past string, rate, share float64) Cell {
	spec := pasts(g.Tick)[past]
	spec.Rate, spec.Share, spec.Tick, spec.Length = rate, share, g.Tick, watchLength
	spec.Usual, spec.Bad = usual, usual
	return Cell{Past: past, Spec: spec, Onset: math.Inf(1), open: openEvents}
}

// powerCells are track A: releases whose error rate rises.
func powerCells(g Grid) ([]Cell, error) {
	var all []Cell
	for _, past := range g.Pasts {
		for _, rate := range g.Rates {
			for _, share := range g.Shares {
				for _, onset := range g.Onsets {
					for _, bad := range g.Bads {
						c := g.base(past, rate, share)
						c.Name = fmt.Sprintf("0.5 → %.4g %%", 100*bad)
						c.Onset, c.Spec.Onset, c.Spec.Bad = onset, onset, bad
						c.Spec.Cell = fmt.Sprintf("A %g %g %g %g", rate, share, onset, bad)
						all = append(all, c)
					}
				}
			}
		}
	}
	return all, nil
}

// null is a world in which the new release is as good as the old one.
type null struct {
	name   string
	what   string // for the report
	world  stream.World
	learns bool // what an hour of history tells is not yet all
}

func nulls() []null {
	clump := func(c stream.Clump) stream.World { return stream.World{Clump: c} }
	return []null{
		{"iid", "independent errors", stream.World{}, false},
		{"outage", "20 % of errors on both sides for five minutes", stream.World{Outage: 0.2}, false},
		{"diurnal", "traffic and error rate each swing by ±80 % within an hour, in different phases", stream.World{Swing: 0.8}, false},
		{"clump5", "errors come five at once", clump(stream.Clump{Size: 5}), true},
		{"clumpgeo", "errors come in clumps of random size, geometric with a mean of three", clump(stream.Clump{Size: 3, Law: stream.Geometric}), true},
		{"retries", "each error is followed by four more on the same instance, 1 to 3 s later", clump(stream.Clump{Size: 5, Spread: true}), true},
		{"instances", "each instance has its own error rate, for good: log-normal, standard deviation 20 %", stream.World{Spread: 0.2}, true},
		{"ramp", "the candidate's share grows from 1 to 50 %", stream.World{Ramp: true}, false},
		{"mix", "three endpoints with different error rates; the candidate gets up to three times as many of the worst, by turns", stream.World{Mix: true}, false},
		{"restarts", "instances restart every ten minutes, are silent for three ticks, and lose counts", stream.World{Restarts: true}, false},
		{"gaps", "readings fail, of an instance or a side; the next one covers the gap", stream.World{Gaps: true}, false},
		{"late", "ticks arrive twice, or after the next one", stream.World{Late: true}, false},
	}
}

// Nulls explains the names of the nulls of track B, in their order.
func Nulls() (names []string, what map[string]string) {
	what = map[string]string{}
	for _, n := range nulls() {
		names = append(names, n.name)
		what[n.name] = n.what
	}
	return names, what
}

// nullCells are track B. Unless somebody asks for it, a history of one hour is left out where there is nothing to learn
// from it, and hardly any traffic where nothing is different because of it.
func nullCells(g Grid) ([]Cell, error) {
	var all []Cell
	for _, past := range g.Pasts {
		for _, n := range nulls() {
			for _, rate := range g.Rates {
				if !g.wants(n.name) || !g.whole && (past == "1h" && !n.learns || rate < 1 && n.name != "iid" && n.name != "clump5") {
					continue
				}
				c := g.base(past, rate, g.Shares[0])
				c.Name, c.Spec.World = n.name, n.world
				c.Spec.Cell = fmt.Sprintf("B %s %g %g", n.name, rate, c.Spec.Share)
				all = append(all, c)
			}
		}
	}
	return all, nil
}
