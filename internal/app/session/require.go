package session

import (
	"strings"

	"github.com/belaydev/belay"
)

// Judge is a judge that can be told, while it judges, that a signal is needed for healthy.
type Judge interface {
	Observe(t belay.Tick) belay.Card
	Require(signal string)
}

// Requiring is j that needs signal for healthy from the first tick on in which a target could be scraped: an
// application with metrics and no requests is not proven, one without metrics has health checks alone. What was learned
// before the watch counts once, also when the observation is opened anew before a tick could be
// stored. It depends on the ticks and nothing else, so that a replay after a restart comes to the same verdict.
func Requiring(j Judge, signal string) interface {
	Observe(t belay.Tick) belay.Card
} {
	return &requiring{Judge: j, signal: signal}
}

type requiring struct {
	Judge
	signal string
	done   bool
	told   bool
}

// Observe judges one more tick.
func (r *requiring) Observe(t belay.Tick) belay.Card {
	if !r.done {
		for _, s := range t.Sources {
			r.done = r.done || s.OK && strings.HasPrefix(s.Source, scraped)
		}
		if r.done {
			r.Require(r.signal)
		}
	}
	if r.told {
		t.Learned = nil
	}
	r.told = r.told || t.Learned != nil
	return r.Judge.Observe(t)
}
