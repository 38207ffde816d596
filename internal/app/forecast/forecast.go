// Package forecast says before and at the beginning of a watch what it will be able to see: from the traffic that the
// service has now, its policy and what was learned of it. It is part of the composition root; it counts what others
// observed.
package forecast

import (
	"math"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge/outlook"
)

// Window is how far back the present traffic is looked for.
const Window = 10 * time.Minute

// What is needed before anything is said.
const (
	shown    = 1800.0 // seconds of the past that a watch is shown at least, if there are so many
	enough   = 20.0   // requests of the candidate
	settling = 10.0   // seconds of its traffic
)

// What is said when nothing is known yet.
const (
	NoTraffic  = "no traffic was seen in the last 10 min, or since belay started, so nothing can be said yet; ask again when requests come in"
	NotCounted = "belay cannot count the requests of this service, so nothing can be said of error rates: health checks and limits decide"
)

// Of is the outlook of the next watch of a service in one sentence. past are samples of the Window before now, with T in
// seconds from now; known is what was learned of it.
// latest is its newest deployment, if there is one: where nothing else was counted, its watch was.
func Of(s config.Service, past []belay.Sample, known belay.LearnedStatus, latest *belay.Deployment) string {
	t, ok := traffic(past)
	if !ok && latest != nil && !latest.State.Final() {
		t, ok = watched(*latest)
	}
	if !ok {
		return NoTraffic
	}
	if t.Past >= 0.8*Window.Seconds() {
		t.Past = shown
	}
	for _, l := range known.Signals {
		if l.Signal == config.ErrorRate {
			usual(&t, l.Habits)
		}
	}
	return say(s, belay.Deployment{Ref: s.Ref(), Weight: first(s)}, t)
}

// first is the weight that a release gets first, in percent.
func first(s config.Service) int {
	if s.Rollout.Proxy != "" && len(s.Rollout.Steps) > 0 {
		return int(s.Rollout.Steps[0])
	}
	return 100
}

// Live is the outlook of a watch that has begun: from the past that its first tick brings along, or else from what the
// card counts once there is some traffic. "" while there is too little of either.
func Live(s config.Service, d belay.Deployment, tick belay.Tick, card belay.Card) string {
	var e belay.SignalEvidence
	for _, v := range card.Signals {
		if v.Signal == config.ErrorRate {
			e = v
		}
	}
	t, ok := traffic(tick.Samples)
	if !ok {
		t, ok = counted(s, d, e, card.T)
	}
	if !ok {
		return ""
	}
	usual(&t, e.Habits)
	if d.Weight == 0 || s.Rollout.Proxy == "" {
		d.Weight = first(s)
	}
	if s.Rollout.Proxy == "" && e.N > 0 && e.BaseN > 0 {
		t.Share = e.N / (e.N + e.BaseN)
		d.Weight = 0
	}
	return say(s, d, t)
}

// watched is all traffic that a watch has counted.
func watched(d belay.Deployment) (outlook.Traffic, bool) {
	if d.Card == nil || d.DeployedAt.IsZero() {
		return outlook.Traffic{}, false
	}
	for _, e := range d.Card.Signals {
		lasted := d.Card.T - d.DeployedAt.Sub(d.CreatedAt).Seconds()
		if n := e.N + e.BaseN; e.Signal == config.ErrorRate && n >= enough && lasted >= settling {
			return outlook.Traffic{PerSecond: n / lasted, ErrorRate: (e.X + e.BaseX) / n, Past: lasted}, true
		}
	}
	return outlook.Traffic{}, false
}

// counted is the traffic since the release was deployed.
func counted(s config.Service, d belay.Deployment, e belay.SignalEvidence, now float64) (outlook.Traffic, bool) {
	begun := math.Max(0, d.DeployedAt.Sub(d.CreatedAt).Seconds())
	if d.DeployedAt.IsZero() || now-begun < settling || e.N < enough {
		return outlook.Traffic{}, false
	}
	if e.BaseN > 0 { // which has been counted from the beginning
		return outlook.Traffic{PerSecond: (e.N + e.BaseN) / now, ErrorRate: e.BaseX / e.BaseN}, true
	}
	t := outlook.Traffic{PerSecond: e.N / (now - begun), ErrorRate: e.X / e.N}
	if d.Slot != "" && d.Weight > 0 && s.Rollout.Proxy != "" {
		t.PerSecond /= float64(d.Weight) / 100
	}
	return t, true
}

// usual takes over what is known of how errors come. What is only assumed is the outlook's to assume: it knows how
// much of it will still count when the watch begins.
func usual(t *outlook.Traffic, habits []belay.Habit) {
	for _, h := range habits {
		switch {
		case h.Source == belay.HabitAssumed:
		case h.Name == belay.HabitDispersion:
			t.Dispersion = h.Value
		case h.Name == belay.HabitMargin:
			t.Margin = h.Value
		case h.Name == belay.HabitSeason:
		}
	}
}

func say(s config.Service, d belay.Deployment, t outlook.Traffic) string {
	if d.Weight > 0 {
		t.Share = float64(d.Weight) / 100
	}
	t.Deadline = s.Watch.Deadline.Seconds()
	return outlook.Forecast(translate.JudgePolicy(s, d, true), t).String()
}

// traffic sums up what was seen of requests before the moment 0. Samples are of pieces of time and lie in their middle;
// only the newest say how much traffic there is now.
func traffic(past []belay.Sample) (outlook.Traffic, bool) {
	t := outlook.Traffic{}
	n, x := 0.0, 0.0
	begin, first, last := 0.0, math.Inf(1), math.Inf(-1)
	moments := map[float64]bool{}
	for _, m := range past {
		if m.Signal != config.ErrorRate || m.Kind != belay.KindEvents || m.T >= 0 {
			continue
		}
		begin = math.Min(begin, m.T)
		if m.T < -Window.Seconds() {
			continue
		}
		n, x = n+m.N, x+m.X
		first, last = math.Min(first, m.T), math.Max(last, m.T)
		moments[m.T] = true
	}
	if len(moments) < 2 || n <= 0 {
		return t, false
	}
	pieces := float64(len(moments))
	t.PerSecond = n / ((last - first) * pieces / (pieces - 1))
	t.ErrorRate, t.Past = x/n, -begin
	return t, true
}
