package backtest

import (
	"math"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/stream"
)

// judged watches by a policy, as a watch does: what is called regressed is taken back at any time; what is neither
// proven nor called bad by its deadline is left to the policy; what is proven is watched for a while longer.
type judged struct {
	judge    *judge.Judge
	watch    Watch
	deployed float64
	staged   bool

	share   float64 // of the traffic, as told last; NaN for all of it
	shared  bool    // it was told at some time
	step    float64 // when the present step of the traffic began
	well    bool    // every health check passed once
	proven  float64 // when; NaN before
	held    float64 // when; NaN before
	over    bool
	outcome Result
}

func newJudged(p judge.Policy, w Watch, c *Case) *judged {
	return &judged{judge: judge.New(p), watch: w, deployed: c.Deployed, staged: c.Staged, share: math.NaN(), step: c.Deployed, proven: math.NaN(), held: math.NaN()}
}

func (j *judged) done() bool { return j.over }

func (j *judged) take(t *stream.Tick) {
	if j.over {
		return
	}
	for _, signal := range t.Require {
		j.judge.Require(signal)
	}
	tick := t.Tick
	if tick.T < j.deployed {
		tick.Health = nil // it may be that of the old release, which is replaced in place
	}
	j.judge.Take(tick)
	if tick.T < 0 {
		return
	}
	j.move(tick)
	switch {
	case j.judge.Regressed():
		card := j.judge.Card()
		j.end(FateTakenBack, tick.T, card)
		j.outcome.By, j.outcome.Culprits, j.outcome.FirstBad = card.DecidedBy, card.Culprits, card.FirstBad
	case !math.IsNaN(j.proven):
		if tick.T-j.proven >= j.watch.Bake && j.watch.Bake > 0 {
			j.end(FateKept, j.proven, j.judge.Card())
		}
	case math.IsNaN(j.held):
		j.look(tick.T, j.judge.Card())
	}
}

// move follows the steps of the traffic: each has a deadline of its own.
func (j *judged) move(t belay.Tick) {
	share := math.NaN()
	if t.Share != nil {
		share, j.shared = *t.Share, true
	}
	if share != j.share && !(math.IsNaN(share) && math.IsNaN(j.share)) {
		j.share, j.step = share, max(t.T, j.deployed)
	}
}

// look decides about a release that is not proven yet.
func (j *judged) look(t float64, card belay.Card) {
	checks, passed, unknown := 0, 0, 0
	for _, h := range card.Health {
		if h.Arm == belay.ArmBaseline {
			continue
		}
		checks++
		switch h.State {
		case belay.HealthHealthy:
			passed++
		case belay.HealthUnknown:
			unknown++
		case belay.HealthUnhealthy:
		}
	}
	j.well = j.well || checks > 0 && passed == checks
	blind := card.Verdict == belay.VerdictBlind
	onStep := t - j.step
	switch full := math.IsNaN(j.share) && (j.shared || !j.staged); {
	case card.Verdict == belay.VerdictHealthy && full && t-j.deployed >= j.watch.MinTime:
		j.proven = t
	case card.Verdict == belay.VerdictHealthy:
		j.step = t // it would have got more traffic
	case checks > 0 && !j.well && (unknown < checks || !blind):
		if j.watch.StartDeadline > 0 && onStep >= j.watch.StartDeadline {
			j.timeOut(j.watch.OnTimeout.NeverHealthy, t, card, "its health checks never passed")
		}
	case j.watch.Deadline <= 0 || onStep < j.watch.Deadline:
	case blind:
		j.timeOut(j.watch.OnTimeout.Blind, t, card, "the monitoring was down")
	default:
		j.timeOut(j.watch.OnTimeout.Insufficient, t, card, "too little was seen to prove anything")
	}
}

func (j *judged) timeOut(do string, t float64, card belay.Card, why string) {
	switch do {
	case DoRollback:
		j.end(FateTakenBack, t, card)
		j.outcome.By, j.outcome.Reason = "deadline", why
	case DoPromote:
		j.proven = t
	default:
		j.held = t
		j.outcome.Reason = why
	}
}

func (j *judged) end(f Fate, t float64, card belay.Card) {
	j.over = true
	j.outcome = Result{Fate: f, T: &t, Verdict: card.Verdict, Reason: card.Reason}
}

func (j *judged) result(c *Case) Result {
	if j.over {
		return j.outcome
	}
	card := j.judge.Card()
	r := Result{Verdict: card.Verdict, Reason: card.Reason}
	cutShort := c.Actual.Fate == FateTakenBack // a longer record might have shown more
	switch {
	case !math.IsNaN(j.held):
		r.Fate, r.T, r.By, r.Reason = FateHeld, &j.held, "deadline", j.outcome.Reason
	case !math.IsNaN(j.proven) && !cutShort:
		r.Fate, r.T = FateKept, &j.proven
	case !math.IsNaN(j.proven):
		r.Fate, r.T, r.Reason = FateUndecided, &j.proven, "proven healthy, and not watched to the end: the release was really taken back"
	default:
		r.Fate = FateUndecided
	}
	return r
}
