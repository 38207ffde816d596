package judge

import (
	"math"

	"github.com/belaydev/belay"
)

// weekOld is the time, in seconds, after which what was learned counts half.
const weekOld = 7 * 24 * 3600

// Learned returns what the judge has learned of the service, from what it was told of the time before the deployment
// and from the baseline. A judge that is shown nothing but the past is a way to learn; until is when that ended.
func (j *Judge) Learned(before belay.Learned, seconds float64) belay.Learned {
	out := belay.Learned{Until: before.Until, Seconds: before.Seconds*keep(seconds) + seconds}
	for _, s := range j.signals {
		l := belay.LearnedSignal{Signal: s.Name, Kind: s.Kind}
		switch {
		case s.cmp != nil:
			s.cmp.Export(&l)
		case s.values != nil:
			l.Levels, l.Scale = s.values.Export()
		default:
			continue
		}
		out.Signals = append(out.Signals, l)
	}
	return out
}

// Relearn adds what was learned before, faded by the seconds that have passed since. It comes before anything else
// that the judge is shown.
func (j *Judge) Relearn(l belay.Learned, seconds float64) { j.imprint(&l, keep(seconds)) }

func keep(seconds float64) float64 { return math.Exp2(-seconds / weekOld) }

// recall takes in what a watch knows from before.
func (j *Judge) recall(l *belay.Learned) { j.imprint(l, 1) }

func (j *Judge) imprint(l *belay.Learned, keep float64) {
	for i := range l.Signals {
		was := &l.Signals[i]
		s := j.byName[was.Signal]
		if s == nil || s.Kind != "" && s.Kind != was.Kind {
			continue
		}
		if s.Kind == "" {
			s.settle(was.Kind)
		}
		switch {
		case s.cmp != nil:
			s.cmp.Import(was, keep)
		case s.values != nil:
			s.values.Import(was.Levels, was.Scale, keep)
		}
	}
}
