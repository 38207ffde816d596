// Package recording makes an evidence stream of what a live watch saw.
package recording

import (
	"cmp"
	"math"
	"slices"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/stream"
)

// Recorder turns the ticks of a live watch into those of a stream, such that judging either comes to the same. What
// the judge passes over anyhow, as numbers that cannot be counted, is left out: a stream is held to stricter rules.
type Recorder struct {
	served bool                        // the watch has begun
	kinds  map[string]belay.SampleKind // of each signal
}

// New makes a Recorder for a watch that is judged by p.
func New(p judge.Policy) *Recorder {
	r := &Recorder{kinds: map[string]belay.SampleKind{}}
	for _, s := range p.Signals {
		if s.Kind != "" {
			r.kinds[s.Name] = s.Kind
		}
	}
	return r
}

// Record returns the next tick of the watch as ticks of a stream. History that comes with the first one is spread
// over the moments that it is of, so that it stands where a reader looks for it.
func (r *Recorder) Record(t stream.Tick) []stream.Tick {
	t.Samples, t.Policy = r.countable(t.Samples), nil
	if r.served || t.T < 0 || !ordered(t.Samples) {
		r.served = r.served || t.T >= 0
		return []stream.Tick{unique(t)}
	}
	r.served = true
	var past []belay.Sample
	now := t
	now.Samples = nil
	for _, m := range t.Samples {
		if m.T < 0 {
			past = append(past, m)
		} else {
			now.Samples = append(now.Samples, m)
		}
	}
	slices.SortStableFunc(past, func(a, b belay.Sample) int { return cmp.Compare(a.T, b.T) })
	var out []stream.Tick
	for _, m := range past {
		if n := len(out); n == 0 || out[n-1].T != m.T {
			out = append(out, stream.Tick{Tick: belay.Tick{T: m.T}})
		}
		last := &out[len(out)-1]
		last.Samples = append(last.Samples, m)
	}
	out = append(out, now)
	if len(out) > 1 { // it is known before the history
		out[len(out)-1].Learned, out[0].Learned = nil, t.Learned
	}
	for i := range out {
		out[i] = unique(out[i])
	}
	return out
}

// ordered tells whether the history of each signal comes in order and before the rest, so that spreading it changes
// nothing for who counts.
func ordered(samples []belay.Sample) bool {
	last := map[string]float64{}
	for _, m := range samples {
		if before, ok := last[m.Signal]; ok && m.T < math.Min(0, before) {
			return false
		}
		last[m.Signal] = m.T
	}
	return true
}

// countable keeps what the judge would count.
func (r *Recorder) countable(samples []belay.Sample) []belay.Sample {
	var out []belay.Sample
	for _, m := range samples {
		kind, known := r.kinds[m.Signal]
		if m.Signal == "" || known && kind != m.Kind || !judge.Countable(&m) {
			continue
		}
		r.kinds[m.Signal] = m.Kind
		if m.Arm != belay.ArmBaseline {
			m.Arm = belay.ArmCandidate
		}
		switch m.Kind {
		case belay.KindEvents:
			m.X = math.Min(m.X, m.N)
		case belay.KindCount:
			if m.N == 0 {
				m.X = 0
			}
		case belay.KindHistogram, belay.KindGauge:
		}
		out = append(out, m)
	}
	return out
}

// place tells readings of one moment apart.
type place struct {
	taken             float64
	signal            string
	arm               belay.Arm
	instance, stratum string
}

// unique tells two readings of one thing in one tick, as of a proxy that learns the name of a release, apart by the
// smallest difference of time that there is. The judge counts both, now as then.
func unique(t stream.Tick) stream.Tick {
	seen := map[place]bool{}
	for i := range t.Samples {
		m := &t.Samples[i]
		at := place{m.T, m.Signal, m.Arm, m.Instance, m.Stratum}
		for seen[at] {
			m.T = math.Nextafter(m.T, math.Inf(1))
			at.taken = m.T
		}
		seen[at] = true
	}
	return t
}
