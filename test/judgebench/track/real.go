package track

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/test/judgebench/stream"
	"github.com/belaydev/belay/test/judgebench/trace"
)

// season is a part of the World Cup trace by how busy it was.
type season struct {
	name      string
	low, high float64 // mean requests a second over the watch
	starts    []int   // minutes at which a watch can begin
}

// arrivalCells are track D: the traffic of a real site, minute by minute, thinned at random into two sides; errors are
// put in, in clumps.
func arrivalCells(g Grid) ([]Cell, error) {
	if g.Data == "" {
		return nil, ErrNoData
	}
	minutes, err := trace.Minutes(g.Data)
	if err != nil {
		return nil, err
	}
	seasons := []season{{name: "quiet", low: 5, high: 30}, {name: "usual", low: 30, high: 300}, {name: "busy", low: 300, high: 1e9}}
	const history = 24 * 60
	watch := int(watchLength) / 60
	sum := 0.0
	for at := range minutes {
		sum += minutes[at]
		if at >= watch {
			sum -= minutes[at-watch]
		}
		if begin := at - watch + 1; begin >= history {
			mean := sum / watchLength
			for i := range seasons {
				if mean >= seasons[i].low && mean < seasons[i].high {
					seasons[i].starts = append(seasons[i].starts, begin)
				}
			}
		}
	}
	var all []Cell
	for _, past := range g.Pasts {
		for _, s := range seasons {
			for _, bad := range append([]float64{usual}, g.Bads...) {
				c := g.base(past, math.Sqrt(s.low*math.Min(s.high, 3000)), g.Shares[0])
				c.Name = s.name + " none"
				if bad > usual {
					c.Name, c.Onset, c.Spec.Bad = fmt.Sprintf("%s → %g%%", s.name, 100*bad), 0, bad
				}
				c.Spec.World.Clump = stream.Clump{Size: 2, Law: stream.Geometric, Spread: true}
				c.Spec.Cell = fmt.Sprintf("D %s %g", s.name, bad)
				c.open = func(spec stream.Spec, run int) stream.Source {
					begin := s.starts[rand.New(rand.NewPCG(uint64(run), 98)).IntN(len(s.starts))]
					spec.Profile = func(t float64) float64 {
						// The tick at t covers the time before it.
						return minutes[begin+int(math.Ceil(t/60))-1] / 60 / spec.Rate
					}
					return stream.NewEvents(spec, run)
				}
				all = append(all, c)
			}
		}
	}
	return all, nil
}

// Lengths of watches on recorded series, and of the history before them, in steps of a minute and of an hour.
type horizon struct{ watch, most, least float64 }

func horizonOf(step float64) horizon {
	if step >= 3600 {
		return horizon{watch: 24 * 3600, most: 21 * 86400, least: 7 * 86400}
	}
	return horizon{watch: 3600, most: 7 * 86400, least: 2 * 86400}
}

// pretended is a deployment that never was: a moment in a recorded series.
type pretended struct {
	series *trace.Series
	at     int
}

// readings are the history and the watch, in seconds from the first reading of the watch.
func (p pretended) readings() []stream.Reading {
	h := horizonOf(p.series.Step)
	var all []stream.Reading
	for i, t := range p.series.At {
		t -= p.series.At[p.at]
		if t >= -h.most && t <= h.watch {
			all = append(all, stream.Reading{T: t, Value: p.series.Values[i]})
		}
	}
	return all
}

// placebos are the moments at which nothing was wrong from a watch before to a watch after; faults are those at which a
// labelled anomaly begins, of at least three readings, after a watch without one.
func placebos(s *trace.Series) (fine, faults []pretended) {
	h := horizonOf(s.Step)
	clean := func(from, to float64) bool {
		first, _ := slices.BinarySearch(s.At, from)
		last, _ := slices.BinarySearch(s.At, to)
		return !slices.Contains(s.Bad[first:last], true)
	}
	for i, t := range s.At {
		if t < h.least || t+h.watch > s.At[len(s.At)-1] || !clean(t-h.watch, t) {
			continue
		}
		switch {
		case clean(t, t+h.watch+1):
			fine = append(fine, pretended{s, i})
		case i+2 < len(s.At) && s.Bad[i] && s.Bad[i+1] && s.Bad[i+2]:
			faults = append(faults, pretended{s, i})
		}
	}
	return fine, faults
}

const placebosEach = 50 // moments without fault that are taken from a series, at most

// seriesCells are track G, a cell for each kind of series and for whether there is something to find.
func seriesCells(g Grid) ([]Cell, error) {
	if g.Data == "" {
		return nil, ErrNoData
	}
	labelled, err := trace.Labelled(g.Data)
	if err != nil {
		return nil, err
	}
	fine, faults, kinds := map[string][]pretended{}, map[string][]pretended{}, []string{}
	for i := range labelled {
		s := &labelled[i]
		f, b := placebos(s)
		rng := rand.New(rand.NewPCG(uint64(i), 7))
		rng.Shuffle(len(f), func(a, b int) { f[a], f[b] = f[b], f[a] })
		fine[s.Kind] = append(fine[s.Kind], f[:min(len(f), placebosEach)]...)
		faults[s.Kind] = append(faults[s.Kind], b...)
		if !slices.Contains(kinds, s.Kind) {
			kinds = append(kinds, s.Kind)
		}
	}
	var all []Cell
	for _, kind := range kinds {
		for _, what := range []struct {
			name  string
			onset float64
			list  []pretended
		}{{"none", math.Inf(1), fine[kind]}, {"anomaly", -1e-9, faults[kind]}} {
			if len(what.list) == 0 || !g.wants(kind) {
				continue
			}
			step := what.list[0].series.Step
			c := g.base("own", 0, 0)
			c.Name, c.Onset, c.most = kind+" "+what.name, what.onset, len(what.list)
			c.Spec.Cell, c.Spec.Tick, c.Spec.Length = "G "+kind, step, horizonOf(step).watch
			c.Spec.Usual, c.Spec.Bad = 0, 0
			c.open = func(_ stream.Spec, run int) stream.Source { return stream.NewReplay(what.list[run].readings()) }
			c.edit = func(p *judge.Policy) { seriesPolicy(p, step) }
			all = append(all, c)
		}
	}
	return all, nil
}

// seriesPolicy judges one recorded series by comparison alone. Readings that come once an hour are not silence.
func seriesPolicy(p *judge.Policy, step float64) {
	p.Signals = []judge.SignalPolicy{{Name: stream.KPI, Kind: "gauge", Direction: judge.Either, Compare: true}}
	p.StaleAfter = 3 * step
}

// gaugePolicy judges the use of CPU by comparison alone.
func gaugePolicy(p *judge.Policy) {
	p.Signals = []judge.SignalPolicy{{Name: stream.CPU, Kind: "gauge", Direction: judge.HigherIsWorse, Compare: true}}
}
