package stream

import "github.com/belaydev/belay"

// Reading is one value of a recorded series, at a time in seconds from the deployment.
type Reading struct{ T, Value float64 }

// Replay is a source that plays a recorded series as a deployment with nothing beside it: what was before is the
// baseline's, what came after the candidate's.
type Replay struct {
	readings []Reading
	sample   [1]belay.Sample
	tick     belay.Tick
}

// NewReplay plays the readings, which are in order of time.
func NewReplay(readings []Reading) *Replay {
	r := &Replay{readings: readings}
	r.sample[0] = belay.Sample{Signal: KPI, Kind: belay.KindGauge, Instance: "all"}
	return r
}

// Next returns the next tick.
func (r *Replay) Next() (*belay.Tick, bool) {
	if len(r.readings) == 0 {
		return nil, false
	}
	at := r.readings[0]
	r.readings = r.readings[1:]
	m := &r.sample[0]
	m.T, m.Value, m.Arm = at.T, at.Value, belay.ArmBaseline
	if at.T >= 0 {
		m.Arm = belay.ArmCandidate
	}
	r.tick.T, r.tick.Samples = at.T, r.sample[:]
	return &r.tick, true
}
