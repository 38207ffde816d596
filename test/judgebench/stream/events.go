package stream

import (
	"fmt"
	"math"

	"github.com/belaydev/belay"
)

// Source hands out a deployment tick by tick: first its history, at negative times, then the watch.
type Source interface {
	// Next returns the next tick, valid until the next call; false at the end of the watch.
	Next() (*belay.Tick, bool)
}

// unit is what serves: an instance, or a whole side when nothing tells its instances apart.
type unit struct {
	label  string
	arm    belay.Arm
	weight float64   // of its side's traffic
	times  float64   // its error rate, relative to the others
	slot   int       // place of its first sample in the tick
	later  []float64 // per stratum and tick to come: bad events that will follow
}

// fleet is all that serves at one time, and the samples it fills.
type fleet struct {
	units   []unit
	samples []belay.Sample
	mix     []float64 // of one side, per stratum
}

// Events is a source of error counts.
type Events struct {
	spec      Spec
	dice      dice // of the part that is being drawn
	watch     dice // of the watch, which is the same whatever the history
	now       *fleet
	before    *fleet // nil once the watch has begun
	strata    []endpoint
	i         int // ticks made of the present part
	outage    float64
	wave, ebb float64 // phases of the swing in traffic and in errors
	post      *post
	ahead     int                           // ticks by which the events of a clump can be late
	draw      func(f *fleet, t, dt float64) // fills a fleet's samples
}

// NewEvents begins the run of that number.
func NewEvents(s Spec, run int) *Events {
	d := newDice(s.Cell, "watch", run)
	e := &Events{
		spec: s, dice: d, watch: d, strata: []endpoint{{"", 1, 1}},
		outage: 60 + d.Float64()*math.Max(0, s.Length-outageLength-60), wave: 2 * math.Pi * d.Float64(), ebb: 2 * math.Pi * d.Float64(),
	}
	e.ahead = int(backOffMax/s.Tick) + 1
	if s.Past.Length > 0 {
		e.ahead = max(e.ahead, int(backOffMax/s.Past.Tick)+1)
	}
	if s.World.Mix {
		e.strata = endpoints()
	}
	old, fresh := e.crew("old", instances), e.crew("new", s.candidates())
	e.now = e.fleet(old[:len(old)-len(fresh)], fresh)
	if s.Past.Length > 0 {
		e.before = e.fleet(old, nil)
		e.dice = newDice(s.Cell, "past", run)
	}
	e.draw, e.post = e.fill, newPost(&s, newDice(s.Cell, "post", run))
	return e
}

// crew makes instances of one release. Each differs from the others as long as it lives.
func (e *Events) crew(name string, n int) []unit {
	all := make([]unit, n)
	for i := range all {
		all[i] = unit{label: fmt.Sprintf("%s-%d", name, i), times: e.dice.effect(e.spec.World.Spread)}
	}
	return all
}

// fleet puts both sides together. Where they are counted in one place, the instances of a side share its samples, and
// are one when nothing tells them apart anyway.
func (e *Events) fleet(old, fresh []unit) *fleet {
	f := &fleet{mix: make([]float64, len(e.strata))}
	for _, side := range []struct {
		crew []unit
		arm  belay.Arm
		name string
	}{{old, belay.ArmBaseline, "old"}, {fresh, belay.ArmCandidate, "new"}} {
		crew := side.crew
		if e.spec.Pooled && e.spec.World.Spread == 0 && len(crew) > 1 {
			crew = crew[:1]
		}
		for i, u := range crew {
			u.arm, u.weight = side.arm, 1/float64(len(crew))
			u.later = make([]float64, e.ahead*len(e.strata))
			if e.spec.Pooled {
				u.label = side.name
			}
			if !e.spec.Pooled || i == 0 {
				u.slot = len(f.samples)
				for _, st := range e.strata {
					f.samples = append(f.samples, belay.Sample{
						Signal: ErrorRate, Kind: belay.KindEvents, Arm: side.arm, Instance: u.label, Stratum: st.name,
					})
				}
			} else {
				u.slot = f.units[len(f.units)-1].slot
			}
			f.units = append(f.units, u)
		}
	}
	return f
}

// Next returns the next tick.
func (e *Events) Next() (*belay.Tick, bool) { return e.post.next(e.make) }

// make fills the samples of the next tick and returns its time; false at the end.
func (e *Events) make() (float64, []belay.Sample, bool) {
	e.i++
	if e.before != nil {
		p := e.spec.Past
		if t := float64(e.i)*p.Tick - p.Length; t < 0 {
			e.draw(e.before, t, p.Tick)
			return t, e.before.samples, true
		}
		e.before, e.i, e.dice = nil, 1, e.watch
	}
	t := float64(e.i) * e.spec.Tick
	if t > e.spec.Length+1e-9 {
		return 0, nil, false
	}
	e.draw(e.now, t, e.spec.Tick)
	return t, e.now.samples, true
}

// fill draws the errors of the dt seconds up to t.
func (e *Events) fill(f *fleet, t, dt float64) {
	for i := range f.samples {
		f.samples[i].T, f.samples[i].N, f.samples[i].X = t, 0, 0
	}
	traffic := e.spec.Rate * dt
	if e.spec.Profile != nil {
		traffic *= e.spec.Profile(t)
	}
	usual := e.spec.Usual
	if a := e.spec.World.Swing; a > 0 {
		traffic *= 1 + a*math.Sin(2*math.Pi*t/swingPeriod+e.wave)
		usual *= 1 + a*math.Sin(2*math.Pi*t/swingPeriod+e.ebb)
	}
	if e.spec.World.Outage > 0 && t >= e.outage && t < e.outage+outageLength {
		usual = e.spec.World.Outage
	}
	worse := 1.0
	if t > e.spec.Onset {
		worse = e.spec.Bad / e.spec.Usual
	}
	share := 0.0
	if t > 0 {
		share = e.spec.share(t)
	}
	arm := belay.Arm("")
	for i := range f.units {
		u := &f.units[i]
		if u.arm != arm {
			arm = u.arm
			parts(arm, t, e.strata, f.mix)
		}
		flow, rate := traffic*(1-share)*u.weight, usual*u.times
		if arm == belay.ArmCandidate {
			flow, rate = traffic*share*u.weight, rate*worse
		}
		for k, st := range e.strata {
			m := &f.samples[u.slot+k]
			p := math.Min(0.95, rate*st.times)
			x := e.bad(u, k, flow*f.mix[k]*p, dt)
			m.X += x
			m.N += x + e.dice.poisson(flow*f.mix[k]*(1-p))
		}
	}
}

// bad draws the bad events of one tick: clumps, and what clumps of before left for now.
func (e *Events) bad(u *unit, stratum int, mean, dt float64) float64 {
	c := e.spec.World.Clump
	if c.Size <= 1 {
		return e.dice.poisson(mean)
	}
	later := u.later[stratum*e.ahead : (stratum+1)*e.ahead]
	x := later[0]
	copy(later, later[1:])
	later[e.ahead-1] = 0
	for range int(e.dice.poisson(mean / c.Size)) {
		size := c.Size
		if c.Law == Geometric {
			size = e.dice.geometric(c.Size)
		}
		if !c.Spread {
			x += size
			continue
		}
		x++
		at := e.dice.Float64() * dt
		for range int(size) - 1 {
			wait := backOffMin + (backOffMax-backOffMin)*e.dice.Float64()
			if k := int((at + wait) / dt); k == 0 {
				x++
			} else {
				later[k-1]++
			}
		}
	}
	return x
}
