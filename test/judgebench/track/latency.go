package track

import (
	"fmt"

	"github.com/belaydev/belay/test/judgebench/limit"
	"github.com/belaydev/belay/test/judgebench/stream"
)

// What response times are like in track C: log-normal, with a median of 100 ms.
func ordinary() stream.Mixture {
	return stream.Mixture{{Weight: 1, Median: 0.1, Sigma: 0.6}}
}

// cached is a service two thirds of whose requests find what they need in a cache.
func cached(hits float64) stream.Mixture {
	return stream.Mixture{{Weight: hits, Median: 0.02, Sigma: 0.4}, {Weight: 1 - hits, Median: 0.2, Sigma: 0.4}}
}

// tail is ordinary, but for a share of requests that take a second more.
func tail(share float64) stream.Mixture {
	m := ordinary()
	late := m[0]
	m[0].Weight, late.Weight, late.Delay = 1-share, share, 1
	return append(m, late)
}

// slowdown is a change of response times; without one it is a null.
type slowdown struct {
	name       string
	usual, bad stream.Mixture
	world      stream.World
}

func slowdowns() []slowdown {
	o := ordinary()
	return []slowdown{
		{"none", o, o, stream.World{}},
		{"none-load", o, o, stream.World{Swing: 0.3}},
		{"none-uneven", o, o, stream.World{Spread: 0.03}},
		{"none-cache", cached(0.7), cached(0.7), stream.World{}},
		{"+5%", o, o.Scaled(1.05), stream.World{}},
		{"+10%", o, o.Scaled(1.1), stream.World{}},
		{"+25%", o, o.Scaled(1.25), stream.World{}},
		{"x2", o, o.Scaled(2), stream.World{}},
		{"1%+1s", o, tail(0.01), stream.World{}},
		{"5%+1s", o, tail(0.05), stream.World{}},
		{"cache-50%", cached(0.7), cached(0.5), stream.World{}},
	}
}

func buckets() map[string][]float64 {
	return map[string][]float64{"classic": stream.ClassicBounds(), "fine": stream.FineBounds(), "native": stream.NativeBounds()}
}

// latencyCells are track C.
func latencyCells(g Grid) ([]Cell, error) {
	var all []Cell
	for _, layout := range []string{"classic", "fine", "native"} {
		for _, past := range g.Pasts {
			for _, s := range slowdowns() {
				if !g.wants(s.name) {
					continue
				}
				for _, rate := range g.Rates {
					c := g.base(past, rate, g.Shares[0])
					l := stream.Latency{Bounds: buckets()[layout], Usual: s.usual, Bad: s.bad}
					c.Name, c.Form, c.Spec.World = s.name, layout, s.world
					c.Spec.Usual, c.Spec.Bad = 0, 0 // nothing fails
					if s.name[0] != 'n' {
						c.Onset = 0
						c.least = limit.Distributions(l.Bad.Classes(l.Bounds), l.Usual.Classes(l.Bounds), c.Spec.Share, Alpha) / rate
					}
					c.Spec.Cell = fmt.Sprintf("C %s %s %g %g", layout, s.name, rate, c.Spec.Share)
					c.open = func(s stream.Spec, run int) stream.Source { return stream.NewLatencies(s, l, run) }
					all = append(all, c)
				}
			}
		}
	}
	return all, nil
}

// gaugeCells are track E.
func gaugeCells(g Grid) ([]Cell, error) {
	var all []Cell
	for _, sides := range [][2]int{{3, 3}, {1, 10}} {
		for _, past := range g.Pasts {
			for _, rise := range []float64{0, 0.1, 0.3, 1} {
				name := "none"
				if rise > 0 {
					name = fmt.Sprintf("+%.0f%%", 100*rise)
				}
				name = fmt.Sprintf("%s %dv%d", name, sides[0], sides[1])
				if !g.wants(name) {
					continue
				}
				c := g.base(past, 0, 0)
				g := stream.Gauge{
					Candidates: sides[0], Baselines: sides[1], Level: 0.4, Rise: rise, Swing: 0.4, Spread: 0.08, Noise: 0.1, Memory: 30,
				}
				c.Name, c.Spec.Cell = name, "E "+name
				c.Spec.Usual, c.Spec.Bad = 0, 0
				if rise > 0 {
					c.Onset = 0
				}
				c.open = func(s stream.Spec, run int) stream.Source { return stream.NewGauges(s, g, run) }
				c.edit = gaugePolicy
				all = append(all, c)
			}
		}
	}
	return all, nil
}
