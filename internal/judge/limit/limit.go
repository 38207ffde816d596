// Package limit judges plain limits: a share of bad (or slow) events over sliding windows, with a time to hold or as a
// hard stop, and the value of a gauge. A limit counts as broken only when enough was seen, and it is not held against
// a release when the other side breaks it as much. It knows no signals and no texts.
package limit

import (
	"math"

	"github.com/belaydev/belay/internal/judge/stats"
)

// What a broken limit must show before it counts.
const (
	Least        = 20   // events in a window below which a share means nothing
	StopWindow   = 10.0 // seconds that a hard stop looks back
	plausible    = 0.01 // chance of such a window if the true share were at the limit
	stopChance   = 1e-5 // chance of such a window at the other side's share, below which it is clearly worse
	stopAtOnce   = 6    // clumps of bad events with which a hard stop acts in one tick
	stopClumps   = 3    // clumps of bad events with which it acts when they come in
	stopTicks    = 4    // different ticks, none of which has more than half of them
	ringCapacity = 128
)

// windows are the times, in seconds, over which a share is held against its limit: short ones find much at once, long
// ones find little in the end.
func windows() [3]float64 { return [3]float64{10, 30, 120} }

// ring keeps the counts of the newest ticks.
type ring struct {
	at   [ringCapacity]float64
	c    [ringCapacity]stats.Counts
	head int // place of the next tick
	len  int
}

func (r *ring) push(t float64, c stats.Counts) {
	r.at[r.head], r.c[r.head] = t, c
	r.head = (r.head + 1) % ringCapacity
	r.len = min(r.len+1, ringCapacity)
}

// sum adds up what came after t-window, and tells when the first bad event of the candidate in it came.
func (r *ring) sum(t, window float64) (total stats.Counts, first float64) {
	first = t
	r.each(t, window, func(at float64, c stats.Counts) {
		total.Add(c)
		if c.CX > 0 {
			first = at
		}
	})
	return total, first
}

// persists tells whether the bad events of the window are more than one client that tries again and again: many
// clumps of them, or several that come in different ticks.
func (r *ring) persists(t, window, clump float64) bool {
	ticks, most, all := 0, 0.0, 0.0
	r.each(t, window, func(_ float64, c stats.Counts) {
		if c.CX > 0 {
			ticks, all, most = ticks+1, all+c.CX, math.Max(most, c.CX)
		}
	})
	return all >= stopAtOnce*clump || all >= stopClumps*clump && ticks >= stopTicks && most <= all/2
}

// each visits the ticks after t-window, the newest first.
func (r *ring) each(t, window float64, visit func(at float64, c stats.Counts)) {
	for i := 1; i <= r.len; i++ {
		k := (r.head - i + ringCapacity) % ringCapacity
		if r.at[k] <= t-window {
			return
		}
		visit(r.at[k], r.c[k])
	}
}

// Past is what is known of the time before the deployment: events, and the share of bad ones.
type Past struct{ N, Rate float64 }

// Share is a limit on a share of events: of bad ones, or of those slower than a limit in time.
type Share struct {
	State
	Allowed float64 // share that may be bad
	ring    ring
}

// State is what the newest tick showed of a limit.
type State struct {
	Broken bool         // by the candidate, now
	Shared bool         // by the baseline, or the past, equally: not the release's doing
	Past   bool         // shared with the past, not with a baseline beside it
	Counts stats.Counts // of the window that shows it
	Window float64      // its length in seconds
	First  float64      // time of the first bad event in that window
	Since  float64      // broken and not shared since then
	Held   bool         // Since counts
}

// For tells whether the limit is broken, not shared, and has been for at least wait seconds.
func (s *State) For(t, wait float64) bool { return s.Held && t-s.Since >= wait }

// Threshold judges the newest tick as a limit with a time to hold.
func (l *Share) Threshold(t float64, now stats.Counts, past Past) {
	l.ring.push(t, now)
	l.Broken, l.Shared, l.Past = false, false, false
	recent := false
	for _, w := range windows() {
		c, first := l.ring.sum(t, w)
		if c.CN < Least {
			continue
		}
		rate := c.CX / c.CN
		if !recent && rate <= l.Allowed { // the newest window that means something is fine: whatever was is over
			break
		}
		recent = true
		if rate > l.Allowed && stats.TailAbove(c.CN, c.CX, l.Allowed) <= plausible {
			l.Broken, l.Counts, l.Window, l.First = true, c, w, first
			break
		}
	}
	if l.Broken {
		l.compare(past)
	}
	l.hold(t)
}

// compare finds whether the other side, or else the past, breaks the limit equally: over it, and the candidate is not
// clearly worse.
func (l *Share) compare(past Past) {
	if l.Counts.BN >= Least {
		base := l.Counts.BX / l.Counts.BN
		l.Shared = base > l.Allowed && !clearlyWorse(l.Counts, base, 1)
		return
	}
	l.Shared = past.N >= Least && past.Rate > l.Allowed && !clearlyWorse(l.Counts, past.Rate, 1)
	l.Past = l.Shared
}

// clearlyWorse tells whether the candidate's share is more than twice a usual one, and beyond its chance when bad
// events come in clumps.
func clearlyWorse(c stats.Counts, usual, clump float64) bool {
	return c.CX > 2*usual*c.CN && stats.TailAbove(c.CN/clump, c.CX/clump, usual) <= stopChance
}

// hold runs the clock of "for".
func (s *State) hold(t float64) {
	switch {
	case !s.Broken || s.Shared:
		s.Held = false
	case !s.Held:
		s.Held, s.Since = true, t
	}
}

// StopRule says when a hard stop acts.
type StopRule struct {
	Least float64 // events it needs
	Habit float64 // share of bad events that is usual for the service; 0 when nothing is known
	Clump float64 // size of the clumps in which bad events come
	Exact bool    // ask for the certainty of a threshold: for shares of slow events, whose limit is often small
}

// Stop judges the newest tick as a hard stop: at once, and not when the candidate is not clearly worse than the other
// side is now, or than the service usually is.
func (l *Share) Stop(t float64, now stats.Counts, rule StopRule) {
	l.ring.push(t, now)
	l.Broken, l.Shared, l.Past = false, false, false
	c, first := l.ring.sum(t, StopWindow)
	if c.CN < rule.Least || c.CX/c.CN < l.Allowed ||
		rule.Exact && stats.TailAbove(c.CN, c.CX, l.Allowed) > plausible || !clearlyWorse(c, rule.Habit, rule.Clump) {
		return
	}
	if rule.Habit > 0 && !l.ring.persists(t, StopWindow, rule.Clump) {
		return
	}
	l.Broken, l.Counts, l.Window, l.First = true, c, StopWindow, first
	if c.BN < Least { // a slow baseline: look further back
		wide, _ := l.ring.sum(t, 6*StopWindow)
		c.BN, c.BX = wide.BN, wide.BX
	}
	l.Shared = c.BN >= Least && !clearlyWorse(c, c.BX/c.BN, rule.Clump)
}
