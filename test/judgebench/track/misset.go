package track

import (
	"fmt"
	"math"

	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/test/judgebench/rival"
	"github.com/belaydev/belay/test/judgebench/stream"
)

// misset are the judge and a rule with a parameter that was set by hand and is wrong by half, either way: the margin by
// half of what it is above 1, the dispersion by half of the size that the clumps have.
func misset() []rival.Entry {
	var all []rival.Entry
	for _, by := range []float64{0.5, 1.5} {
		for _, p := range []struct {
			name string
			edit func(rival.Facts, *judge.SignalPolicy)
		}{
			{"margin", func(_ rival.Facts, s *judge.SignalPolicy) { s.Margin = 1 + (DefaultMargin-1)*by }},
			{"dispersion", func(f rival.Facts, s *judge.SignalPolicy) { s.Dispersion = math.Max(1, f.Clump*by) }},
			{"smallest change", func(_ rival.Facts, s *judge.SignalPolicy) { s.SmallestChange = smallestChange * by }},
		} {
			e := judgeBy(func(f rival.Facts, w *judge.Policy) { p.edit(f, &w.Signals[0]) })
			e.Name = fmt.Sprintf("%s, %s ×%g", Judge, p.name, by)
			all = append(all, e)
		}
	}
	for _, e := range rival.Calibrated() {
		if e.Name != "cusum-2x" {
			continue
		}
		for _, by := range []float64{0.5, 1.5} {
			begin := e.New
			all = append(all, rival.Entry{Name: fmt.Sprintf("%s, usual rate ×%g", e.Name, by), What: e.What, Alpha: e.Alpha, New: func(f rival.Facts) rival.Rule {
				f.Usual *= by
				return begin(f)
			}})
		}
	}
	return all
}

// missetCells are track S: two nulls, and a regression.
func missetCells(g Grid) ([]Cell, error) {
	var all []Cell
	for _, past := range g.Pasts {
		for _, rate := range g.Rates {
			for _, n := range nulls() {
				if !g.wants(n.name) || n.name != "iid" && n.name != "clump5" && n.name != "instances" {
					continue
				}
				c := g.base(past, rate, g.Shares[0])
				c.Name, c.Spec.World, c.Spec.Cell = n.name, n.world, fmt.Sprintf("S %s %g", n.name, rate)
				all = append(all, c)
			}
			c := g.base(past, rate, g.Shares[0])
			c.Name, c.Onset, c.Spec.Bad, c.Spec.Cell = "0.5 → 2 %", 0, 0.02, fmt.Sprintf("S 0.02 %g", rate)
			c.Spec.World = stream.World{}
			all = append(all, c)
		}
	}
	return all, nil
}
