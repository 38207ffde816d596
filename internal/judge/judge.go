// Package judge turns what was observed of a deployment into evidence and a verdict. It is pure: ticks in, a decision
// card out; no clock, no I/O, no logging, no goroutines. The same ticks give the same card, so the whole state can be
// rebuilt by replaying them, and every decision can be replayed later.
//
// Four ways to judge work at once: limits that must hold for a time (thresholds), limits that act in one tick (hard
// stops), health checks, and the comparison of the candidate with what it replaces by tests that stay valid however
// often one looks (package stats). Acting on a verdict is not its business: package watch does that.
package judge

import (
	"cmp"
	"math"
	"slices"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/checks"
	"github.com/belaydev/belay/internal/judge/phrase"
	"github.com/belaydev/belay/internal/judge/silence"
	"github.com/belaydev/belay/internal/judge/stats"
)

// When a fault is thought to begin: with the deployment, or at any later second.
const (
	onsetFirst = 0.45 // share of the bet on the beginning
	onsetEvery = 1.0  // seconds
)

// lateSignals is the share of the false-rollback rate that is kept for signals that appear later.
const lateSignals = 0.02

// Who or what decided, as a card says it.
const (
	byHardStop   = "hard stop"
	byHealth     = "health"
	byComparison = "comparison"
	byThreshold  = "threshold"
)

// Judge is the state of judging one deployment. It is not safe for concurrent use.
type Judge struct {
	policy  Policy
	line    string // the policy in one line
	signals []*signal
	byName  map[string]*signal // look-ups only
	onset   stats.Onset
	health  checks.Health
	sources checks.Sources
	routing silence.Watch
	last    float64 // time of the newest tick; -Inf before the first
	start   float64 // first sign of the candidate; NaN before it
	weighed bool    // the false-rollback rate was shared out
	told    bool    // what was learned before the watch was taken in
	ruling  *ruling // set once the release is called regressed, and kept
	card    *belay.Card
	reached belay.Verdict // by the newest card
	decided float64       // when it was reached
}

// ruling is why a release is called regressed.
type ruling struct {
	by       string
	reason   string
	culprits []string
	first    float64 // first bad moment
}

// New begins judging by a valid policy.
func New(p Policy) *Judge {
	asked := p.Signals
	p = p.Filled()
	j := &Judge{
		policy: p, line: p.String(), byName: map[string]*signal{}, last: math.Inf(-1), start: math.NaN(),
		onset: stats.Onset{First: onsetFirst, Every: onsetEvery, Horizon: p.Deadline, Tail: true},
	}
	for i, s := range p.Signals {
		sig := newSignal(asked[i], &j.policy)
		j.signals = append(j.signals, sig)
		j.byName[s.Name] = sig
	}
	return j
}

// Observe takes the newest tick and returns the card. A tick with a negative time is history from before the
// deployment, whatever served then. Ticks must come in order; one that is not newer than the last changes nothing, so
// that replaying and going on cannot count anything twice.
func (j *Judge) Observe(tick belay.Tick) belay.Card {
	j.Take(tick)
	return j.Card()
}

// Take takes the newest tick, as Observe does, without making a card of it.
func (j *Judge) Take(tick belay.Tick) {
	if math.IsNaN(tick.T) || tick.T <= j.last {
		return
	}
	j.last, j.card = tick.T, nil
	if tick.Learned != nil && !j.told { // an observation that was opened anew may bring it again
		j.recall(tick.Learned)
		j.told = true
	}
	for i := range tick.Samples {
		m := &tick.Samples[i]
		if s := j.byName[m.Signal]; s != nil {
			at := tick.T
			if m.T < 0 { // history that came with the first tick of the watch
				at = m.T
			}
			s.take(at, m)
			if at < 0 {
				continue
			}
			if math.IsNaN(j.start) && tick.T >= 0 && m.Arm != belay.ArmBaseline {
				j.start = tick.T
			}
		}
	}
	if tick.T < 0 {
		return
	}
	j.weigh()
	j.listen(tick)
	fresh := j.onset.Due(tick.T)
	for _, s := range j.signals {
		s.step(tick.T, fresh)
	}
	j.health.Take(tick.T, j.policy.MinHealthTime, tick.Health)
	if math.IsNaN(j.start) && j.health.Known {
		j.start = tick.T
	}
	j.sources.Take(tick.T, tick.Sources)
	if j.ruling == nil {
		j.ruling = j.rule()
	}
	for _, s := range j.signals {
		s.record(tick.T)
	}
}

// Regressed tells whether the release was called regressed. It stays that.
func (j *Judge) Regressed() bool { return j.ruling != nil }

// listen follows whether requests reach the candidate, by the first signal that counts them.
func (j *Judge) listen(tick belay.Tick) {
	share := math.NaN()
	if tick.Share != nil {
		share = *tick.Share
	}
	for _, s := range j.signals {
		if s.cmp != nil && s.Kind != belay.KindCount && s.newest == tick.T { // a reading that is missing is no silence yet
			now := s.cmp.Now()
			j.routing.Take(tick.T, now.CN, now.BN, share)
			return
		}
	}
}

// weigh shares the false-rollback rate out, once the candidate begins to show in what is compared: among the signals
// that are there by then, so that one that never comes costs nothing, with a little kept for those that come later.
func (j *Judge) weigh() {
	if j.weighed {
		return
	}
	there, absent, shows := 0.0, 0.0, false
	for _, s := range j.signals {
		switch {
		case !s.Compare:
		case s.seen:
			there += s.Weight
		default:
			absent += s.Weight
		}
		shows = shows || s.Compare && s.newest >= 0
	}
	kept := lateSignals
	if absent == 0 {
		kept = 0
	}
	for _, s := range j.signals {
		if s.seen {
			s.weigh((1 - kept) * s.Weight / there)
		} else {
			s.weigh(kept * s.Weight / absent)
		}
	}
	j.weighed = shows
}

// Card returns the card of the newest tick.
func (j *Judge) Card() belay.Card {
	switch {
	case j.card != nil:
	case j.last < 0:
		j.card = &belay.Card{Reason: "nothing observed yet", Policy: j.line}
		if !math.IsInf(j.last, -1) {
			j.card.T = j.last
		}
	default:
		card := j.decide()
		if card.Verdict != j.reached {
			j.reached, j.decided = card.Verdict, j.last
		}
		if card.Verdict != belay.VerdictNone {
			at := j.decided
			card.DecidedAt = &at
		}
		j.card = &card
	}
	return *j.card
}

// Detailed returns the card of the newest tick with the trail of each signal.
func (j *Judge) Detailed() belay.Card {
	card := j.Card()
	card.Signals = slices.Clone(card.Signals)
	for i, s := range j.signals {
		if i < len(card.Signals) {
			card.Signals[i].Trail = s.trail.Points()
		}
	}
	return card
}

// Require makes a signal needed for healthy from now on. Whether a release has metrics at all is known only once
// they could be read; that comes with a tick, so that a replay of the same ticks requires at the same moment.
func (j *Judge) Require(signal string) {
	if s := j.byName[signal]; s != nil {
		s.Required = true
	}
}

// decide draws the verdict: regressed before blind before insufficient before healthy. Regressed stays.
func (j *Judge) decide() belay.Card {
	card := belay.Card{T: j.last, Health: j.health.Statuses(), Blind: j.sources.Dark(j.last, j.policy.BlindAfter), Policy: j.line}
	for _, silent := range []string{j.silent(), j.unrouted()} {
		if silent != "" {
			card.Blind = append(card.Blind, silent)
		}
	}
	lacks := j.lacks()
	card.Missing = slices.Concat(lacks.time, lacks.health, lacks.signals)
	for _, s := range j.signals {
		card.Signals = append(card.Signals, j.evidence(s))
	}
	switch {
	case j.ruling != nil:
		first := j.ruling.first
		card.Verdict, card.Reason, card.DecidedBy = belay.VerdictRegressed, j.ruling.reason, j.ruling.by
		card.Culprits, card.FirstBad = j.ruling.culprits, &first
		card.RuledOut = j.ruledOut()
	case len(card.Blind) > 0:
		card.Verdict, card.Reason = belay.VerdictBlind, "belay cannot see: "+phrase.And(card.Blind)
	case len(lacks.shared) > 0:
		card.Verdict, card.Reason = belay.VerdictInsufficient, phrase.And(lacks.shared)
	case len(lacks.time) > 0:
		card.Reason = "watching: " + lacks.time[0]
	case len(lacks.health) > 0:
		card.Reason = "watching: " + phrase.And(lacks.health)
	case len(lacks.signals) > 0:
		card.Verdict, card.Reason = belay.VerdictInsufficient, "not enough seen yet: "+phrase.And(lacks.signals)
	default:
		card.Verdict, card.Reason = belay.VerdictHealthy, j.praise()
	}
	return card
}

// rule looks for a reason to call the release regressed, the surest first.
func (j *Judge) rule() *ruling {
	var stopped, broken []*signal
	for _, s := range j.signals {
		if s.stopped() {
			stopped = append(stopped, s)
		}
		if s.broken(j.last) {
			broken = append(broken, s)
		}
	}
	down, _ := j.health.Down()
	guilty := j.guilty()
	switch {
	case len(stopped) > 0:
		return &ruling{byHardStop, j.stopText(stopped[0]), names(stopped), j.firstBad(stopped[0], stopped[0].stop)}
	case len(down) > 0:
		return j.blameHealth(down)
	case len(guilty) > 0:
		return &ruling{byComparison, j.compareText(guilty[0]), names(guilty), j.firstBad(guilty[0], nil)}
	case len(broken) > 0:
		return &ruling{byThreshold, j.thresholdText(broken[0]), names(broken), j.firstBad(broken[0], broken[0].limit)}
	}
	return nil
}

func names(signals []*signal) []string {
	all := make([]string, len(signals))
	for i, s := range signals {
		all[i] = s.Name
	}
	return all
}

// guilty returns the signals whose evidence together has reached the bound, strongest first. A weighted mean of
// e-values over signals is an e-value: the bound holds for all of them together. Named are those without which the
// bound would hardly have been reached.
func (j *Judge) guilty() []*signal {
	total := 0.0
	var guilty []*signal
	for _, s := range j.signals {
		total += s.weight * math.Exp(s.worth())
	}
	if total < 1/j.policy.FalseRollbackRate {
		return nil
	}
	for _, s := range j.signals {
		if s.weight > 0 && s.weight*math.Exp(s.worth()) >= 0.2*math.Min(total, 1/j.policy.FalseRollbackRate) {
			guilty = append(guilty, s)
		}
	}
	slices.SortStableFunc(guilty, func(a, b *signal) int {
		return cmp.Compare(math.Log(b.weight)+b.worth(), math.Log(a.weight)+a.worth())
	})
	return guilty
}

// lacking is what keeps the verdict from healthy, in words.
type lacking struct {
	time, health, signals []string
	shared                []string // reasons that hit both releases: no traffic will ever settle them
}

func (j *Judge) lacks() lacking {
	var l lacking
	seen := j.start
	if math.IsNaN(seen) {
		seen = 0
	}
	if left := j.policy.MinTime - (j.last - seen); left > 0 {
		l.time = []string{phrase.Seconds(left) + " more of the minimum time"}
	}
	l.health = j.health.Missing(j.last, j.policy.MinHealthTime)
	if _, shared := j.health.Down(); len(shared) > 0 {
		l.shared = append(l.shared, shared[0].Name()+" fails on both releases"+shared[0].Why()+": not the work of this one")
	}
	for _, s := range j.signals {
		if text := j.lack(s); text != "" {
			l.signals = append(l.signals, text)
		}
		if text := j.sharedText(s); text != "" {
			l.shared = append(l.shared, text)
		}
	}
	return l
}
