package stream

import (
	"fmt"
	"math"

	"github.com/belaydev/belay"
)

// Gauge describes a cell on a gauge such as the use of CPU: all instances move together through the day, each has its
// own level for good, and each wobbles by itself, slowly.
type Gauge struct {
	Candidates, Baselines int
	Level                 float64
	Rise                  float64 // of the candidate from the onset on, relative
	Swing                 float64 // amplitude of what all share, relative
	Spread                float64 // standard deviation of the logarithm of an instance's level
	Noise                 float64 // standard deviation of the logarithm of an instance's own wobble
	Memory                float64 // seconds in which a wobble forgets itself to 37 %
}

// Gauges is a source of gauges, one reading of each instance a tick. During the history as many instances of the
// baseline serve as later of both sides.
type Gauges struct {
	spec   Spec
	gauge  Gauge
	dice   dice
	watch  dice
	levels []instance // those of the baseline first, then the candidates
	before []belay.Sample
	now    []belay.Sample
	wobble []float64
	wave   float64
	i      int
	past   bool
	tick   belay.Tick
}

// instance is the level of one instance, and of the one that it takes the place of.
type instance struct{ now, before float64 }

// NewGauges begins the run of that number.
func NewGauges(s Spec, g Gauge, run int) *Gauges {
	d := newDice(s.Cell, "watch", run)
	e := &Gauges{spec: s, gauge: g, dice: d, watch: d, wave: 2 * math.Pi * d.Float64(), past: s.Past.Length > 0}
	for i := range g.Baselines + g.Candidates {
		level := d.effect(g.Spread)
		in := instance{level, level}
		m := belay.Sample{Signal: CPU, Kind: belay.KindGauge, Arm: belay.ArmBaseline, Instance: fmt.Sprintf("old-%d", i)}
		e.before = append(e.before, m)
		if i >= g.Baselines {
			in.now = d.effect(g.Spread)
			m.Arm, m.Instance = belay.ArmCandidate, fmt.Sprintf("new-%d", i-g.Baselines)
		}
		e.now = append(e.now, m)
		e.levels = append(e.levels, in)
		e.wobble = append(e.wobble, g.Noise*d.NormFloat64())
	}
	if e.past {
		e.dice = newDice(s.Cell, "past", run)
	}
	return e
}

// Next returns the next tick.
func (e *Gauges) Next() (*belay.Tick, bool) {
	e.i++
	if e.past {
		p := e.spec.Past
		if t := float64(e.i)*p.Tick - p.Length; t < 0 {
			e.read(e.before, t, p.Tick)
			return &e.tick, true
		}
		e.past, e.i, e.dice = false, 1, e.watch
	}
	t := float64(e.i) * e.spec.Tick
	if t > e.spec.Length+1e-9 {
		return nil, false
	}
	e.read(e.now, t, e.spec.Tick)
	return &e.tick, true
}

// read draws the readings at t, dt seconds after the last ones.
func (e *Gauges) read(samples []belay.Sample, t, dt float64) {
	keep := math.Exp(-dt / e.gauge.Memory)
	shared := 1 + e.gauge.Swing*math.Sin(2*math.Pi*t/swingPeriod+e.wave)
	for i := range samples {
		m := &samples[i]
		e.wobble[i] = keep*e.wobble[i] + math.Sqrt(1-keep*keep)*e.gauge.Noise*e.dice.NormFloat64()
		level := e.levels[i].now
		if t < 0 {
			level = e.levels[i].before
		}
		if m.Arm == belay.ArmCandidate && t > e.spec.Onset {
			level *= 1 + e.gauge.Rise
		}
		m.T, m.Value = t, e.gauge.Level*shared*level*math.Exp(e.wobble[i])
	}
	e.tick.T, e.tick.Samples = t, samples
}
