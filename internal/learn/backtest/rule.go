package backtest

import (
	"math"

	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/stream"
	"github.com/belaydev/belay/internal/learn/backtest/usual"
)

// Rule is one way to decide about deployments: a policy of the judge, or what another product does.
type Rule struct {
	Name  string // short, for a column: "current"
	What  string // in a sentence
	begin func(c *Case) player
}

// player watches one case.
type player interface {
	take(t *stream.Tick)
	// done tells whether nothing that comes can change the result.
	done() bool
	// result is asked once, after the last tick.
	result(c *Case) Result
}

// Watch says how long a watch lasts and what it does when nothing is proven, in seconds. A zero means no such
// deadline: then only what the judge calls regressed is taken back.
type Watch struct {
	StartDeadline float64 // the health checks must have passed once by then
	Deadline      float64 // each step of the traffic must be proven by then
	MinTime       float64 // the least before a release counts as proven at full traffic
	Bake          float64 // watched after it was proven
	OnTimeout     OnTimeout
}

// OnTimeout says what is done at a deadline, by what was missing: "rollback", "hold" or "promote"; "" holds.
type OnTimeout struct{ NeverHealthy, Insufficient, Blind string }

// What is done at a deadline.
const (
	DoRollback = "rollback"
	DoHold     = "hold"
	DoPromote  = "promote"
)

// Judged is the rule of a policy. of gives the policy for a case: it names the releases in texts, and an error says why
// the policy has nothing to say of the case.
func Judged(name, what string, of func(c *Case) (judge.Policy, Watch, error)) Rule {
	return Rule{Name: name, What: what, begin: func(c *Case) player {
		p, w, err := of(c)
		if err == nil {
			err = p.Validate()
		}
		if err != nil {
			return mute{err.Error()}
		}
		return newJudged(p, w, c)
	}}
}

// mute stands for a rule that cannot be applied to a case.
type mute struct{ why string }

func (mute) take(*stream.Tick)     {}
func (mute) done() bool            { return true }
func (m mute) result(*Case) Result { return Result{Fate: FateNone, Reason: m.why} }

// Usual returns the rules of other products that can be named, with the values of their documented examples.
func Usual() []Rule {
	const minute, look = 60, 600
	ruled := func(name, what string, needsBaseline bool, begin func() usual.Rule) Rule {
		return Rule{Name: name, What: what, begin: func(*Case) player {
			return &ruledBy{rule: begin(), needsBaseline: needsBaseline, at: math.NaN()}
		}}
	}
	return []Rule{
		ruled("argo", "Argo Rollouts: success rate of at least 95 % in each minute, failureLimit 3", false, func() usual.Rule { return usual.NewArgo(0.95, 3, minute) }),
		ruled("argo99", "Argo Rollouts: success rate of at least 99 % in each minute, failureLimit 3", false, func() usual.Rule { return usual.NewArgo(0.99, 3, minute) }),
		ruled("flagger", "Flagger: request-success-rate of at least 99 % in each minute, threshold 5", false, func() usual.Rule { return usual.NewFlagger(0.99, 5, minute) }),
		ruled("flagger1", "Flagger: request-success-rate of at least 99 % in each minute, threshold 1, which is its default", false, func() usual.Rule { return usual.NewFlagger(0.99, 1, minute) }),
		ruled("kayenta", "Kayenta: error rate of the canary against the baseline, a value a minute, a look each ten minutes and at the end, marginal score 75", true, func() usual.Rule { return usual.NewKayenta(look) }),
	}
}

// ruledBy watches by a usual rule, on the share of failed requests.
type ruledBy struct {
	rule          usual.Rule
	needsBaseline bool
	counted       bool    // requests were, at some time
	baseline      bool    // it served at some time
	at            float64 // acted; NaN before
	last          float64 // newest moment
}

func (r *ruledBy) take(t *stream.Tick) {
	if t.T <= 0 || !math.IsNaN(r.at) {
		return
	}
	var candidate, baseline usual.Counts
	for i := range t.Samples {
		m := &t.Samples[i]
		switch {
		case m.Signal != errorRate || m.T < 0:
		case old(m):
			baseline.N, baseline.X = baseline.N+m.N, baseline.X+m.X
		default:
			candidate.N, candidate.X = candidate.N+m.N, candidate.X+m.X
		}
	}
	r.last = t.T
	r.counted = r.counted || candidate.N+baseline.N > 0
	r.baseline = r.baseline || baseline.N > 0
	if r.rule.Observe(t.T, candidate, baseline) {
		r.at = t.T
	}
}

func (r *ruledBy) done() bool { return false } // whether there is a baseline may show late

func (r *ruledBy) result(c *Case) Result {
	switch {
	case !r.counted:
		return Result{Fate: FateNone, Reason: "no requests were counted in the record"}
	case r.needsBaseline && !r.baseline:
		return Result{Fate: FateNone, Reason: "it needs the old release beside the new one"}
	case !math.IsNaN(r.at):
		at := r.at
		return Result{Fate: FateTakenBack, T: &at, By: "its rule"}
	case c.Actual.Fate == FateTakenBack:
		return Result{Fate: FateUndecided, Reason: "it had not acted when the release was really taken back"}
	}
	if ending, ok := r.rule.(interface{ Last() bool }); ok && ending.Last() {
		at := r.last
		return Result{Fate: FateTakenBack, T: &at, By: "its last look"}
	}
	return Result{Fate: FateKept}
}
