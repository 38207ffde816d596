package state

import (
	"fmt"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// Next returns the deployment after in, and what is to be done because of it, in order. Inputs that come late or
// out of place change nothing; they never panic. Every change of state comes with exactly one Record of an
// EventState.
func Next(d belay.Deployment, in Input, p Policy) (belay.Deployment, []Command) {
	m := &machine{d: d, p: p, now: in.when()}
	switch d.State {
	case belay.StatePending:
		m.pending(in)
	case belay.StateDeploying:
		m.deploying(in)
	case belay.StateWatching, belay.StateBaking, belay.StatePaused, belay.StateHeld:
		m.watched(in)
	case belay.StateRollingBack:
		m.rollingBack(in)
	case belay.StateSucceeded, belay.StateRolledBack, belay.StateUnverified, belay.StateRollbackFailed,
		belay.StateSuperseded, belay.StateDeployFailed, belay.StateRefused:
		m.ignore(in)
	}
	m.d.Until = until(m.d, p)
	return m.d, m.cmds
}

// RollbackID is the id of the one rollback that a deployment can have: made from its own id, so that asking for
// it again after a crash finds the rollback that was begun.
func RollbackID(deployment string) string { return "r-" + strings.TrimPrefix(deployment, "d-") }

// machine is one application of Next.
type machine struct {
	d    belay.Deployment
	p    Policy
	now  time.Time
	cmds []Command
}

func (m *machine) do(c Command) { m.cmds = append(m.cmds, c) }

func (m *machine) record(kind belay.EventKind, actor, format string, args ...any) {
	m.do(Record{belay.Event{
		Time: m.now, Ref: m.d.Ref, Deployment: m.d.ID, Rollback: m.d.Rollback, Actor: actor, Kind: kind,
		Message: fmt.Sprintf(format, args...),
	}})
}

func halted(s belay.State) bool { return s == belay.StatePaused || s == belay.StateHeld }

// to changes the state. The clock stops in paused and held, so it is here that it is stopped and set going.
func (m *machine) to(next belay.State, actor, format string, args ...any) {
	switch was, will := halted(m.d.State), halted(next); {
	case will && !was:
		m.d.Before, m.d.PausedAt = m.d.State, m.now
	case was && !will:
		m.d.PausedFor += belay.Duration(since(m.now, m.d.PausedAt))
		m.d.StepPaused += belay.Duration(since(m.now, later(m.d.PausedAt, m.d.StepAt)))
		m.d.Before, m.d.PausedAt = "", time.Time{}
	}
	m.d.State, m.d.Reason = next, fmt.Sprintf(format, args...)
	if next.Final() {
		m.d.EndedAt = m.now
	}
	m.record(belay.EventState, actor, "%s", m.d.Reason)
	r := m.cmds[len(m.cmds)-1].(Record)
	r.Event.State = next
	m.cmds[len(m.cmds)-1] = r
}

func (m *machine) ignore(in Input) {
	if _, ok := in.(Looked); ok {
		return // a look that was under way is neither news nor an error
	}
	m.record(belay.EventEvidence, belayActor, "ignored %q: the deployment is %s", in.kind(), m.d.State)
}

const belayActor = "belay"

func (m *machine) pending(in Input) {
	switch in := in.(type) {
	case Accepted:
		m.begin()
	case Superseded:
		m.superseded(in)
	case Asked:
		if !m.asked(in) {
			return
		}
		m.to(belay.StateRefused, in.Actor, "aborted by %s before anything was deployed%s", in.Actor, because(in.Reason))
	case Restarted: // nothing was begun: Accepted will come
	case DeployEnded, Looked, TrafficSet, RollbackEnded, RollbackRefused:
		m.ignore(in)
	}
}

func (m *machine) begin() {
	switch {
	case m.d.Reverts != "":
		m.takeBack(m.d.Actor, m.d.Reason)
	case m.d.Registered && !m.d.DeployedAt.IsZero():
		m.watch("registered as deployed by %s", m.d.Actor)
	case m.d.Registered:
		m.to(belay.StateDeploying, belayActor, "%s deploys %s and will tell of its end", m.d.Actor, m.d.Release)
	default:
		m.to(belay.StateDeploying, belayActor, "the deploy command brings %s", m.d.Release)
		m.do(RunDeploy{Drain: m.d.Slot != ""})
	}
}

func (m *machine) deploying(in Input) {
	switch in := in.(type) {
	case DeployEnded:
		if in.Err == nil {
			m.watch("%s is deployed", m.d.Release)
			return
		}
		m.deployFailed(belayActor, fmt.Sprintf("the deploy command failed: %v", in.Err), in.Untouched)
	case Looked:
		m.foresee(in)
		m.lookedWhileDeploying(in.Card)
	case Asked:
		if !m.asked(in) {
			return
		}
		switch in.Act {
		case belay.ActDeployed:
			m.watch("%s reports that %s is deployed", in.Actor, m.d.Release)
		case belay.ActFailed:
			m.deployFailed(in.Actor, fmt.Sprintf("%s reports that its deploy failed%s", in.Actor, because(in.Reason)), false)
		case belay.ActAbort:
			m.abort(in)
		case belay.ActPause, belay.ActResume, belay.ActPromote: // not permitted here
		}
	case Superseded:
		m.superseded(in)
	case Restarted:
		if !m.d.Registered {
			m.watch("belay was restarted while the deploy command ran, so its end is unknown; judged by what is seen")
		}
	case Accepted, TrafficSet, RollbackEnded, RollbackRefused:
		m.ignore(in)
	}
}

// lookedWhileDeploying does not take failing health checks for a regression: in place of the old release, the
// new one is expected to be down for a moment. What users got from the new release counts.
func (m *machine) lookedWhileDeploying(card belay.Card) {
	m.see(card)
	switch {
	case m.p.AutoRollback && card.Verdict == belay.VerdictRegressed && card.DecidedBy != "health":
		m.takeBack(TriggerRegressed, card.Reason)
	case !m.d.Registered: // the deploy command has its own timeout
	case card.Verdict == belay.VerdictHealthy:
		m.watch("%s is seen healthy before %s reported the end of its deploy", m.d.Release, m.d.Actor)
	case m.p.Deadline > 0 && since(m.now, m.d.CreatedAt) >= m.p.Deadline:
		m.watch("%s did not report the end of its deploy within %s; judged by what is seen", m.d.Actor, belay.Duration(m.p.Deadline))
	}
}

func (m *machine) deployFailed(actor, reason string, untouched bool) {
	switch {
	case untouched:
		m.to(belay.StateDeployFailed, actor, "%s; nothing was changed", reason)
	case m.d.Previous.IsZero():
		m.to(belay.StateDeployFailed, actor, "%s; there is no previous release to go back to", reason)
	case m.p.AutoRollback:
		m.takeBack(TriggerDeployFailed, reason)
	default:
		fresh := m.d.State == belay.StateDeploying
		m.hold(reason + "; automatic rollback is off")
		if fresh { // there is no way back into deploying
			m.d.Before = belay.StateWatching
			m.startClock()
		}
	}
}

// watched handles what watching, baking, paused and held have in common.
func (m *machine) watched(in Input) {
	switch in := in.(type) {
	case Looked:
		m.foresee(in)
		m.looked(in.Card)
	case Asked:
		if m.asked(in) {
			m.actOn(in)
		}
	case Superseded:
		m.superseded(in)
	case TrafficSet:
		m.trafficSet(in)
	case Restarted:
		// An unconfirmed weight is asked for again with the next look that may move traffic.
	case Accepted, DeployEnded, RollbackEnded, RollbackRefused:
		m.ignore(in)
	}
}

func (m *machine) rollingBack(in Input) {
	switch in := in.(type) {
	case RollbackEnded:
		m.rollbackEnded(in.Rollback)
	case RollbackRefused:
		m.to(belay.StateRollbackFailed, belayActor, "it could not be taken back: %v", in.Err)
	case Restarted:
		m.do(m.revert())
	case Asked:
		m.asked(in)
	case Accepted, DeployEnded, Looked, Superseded, TrafficSet:
		m.ignore(in)
	}
}

func (m *machine) rollbackEnded(r belay.Rollback) {
	if r.ID != m.d.Rollback || !r.State.Final() {
		m.record(belay.EventEvidence, belayActor, "ignored the state %s of rollback %s: it does not end %s", r.State, r.ID, m.d.Rollback)
		return
	}
	switch r.State {
	case belay.RollbackVerified:
		m.cameBack(true)
		m.to(belay.StateRolledBack, belayActor, "%s was taken back to %s, verified%s", m.d.Release, m.d.Previous, because(m.d.Reason))
	case belay.RollbackUnverified:
		m.cameBack(false)
		m.to(belay.StateUnverified, belayActor, "%s was taken back to %s, but that could not be proven%s", m.d.Release, m.d.Previous, because(r.Reason))
	case belay.RollbackFailed:
		m.to(belay.StateRollbackFailed, belayActor, "the rollback failed%s", because(r.Reason))
	case belay.RollbackAborted:
		m.to(belay.StateRollbackFailed, belayActor, "the rollback was aborted%s", because(r.Reason))
	case belay.RollbackRunning, belay.RollbackProving:
	}
}

func (m *machine) cameBack(verified bool) {
	m.d.Weight, m.d.Serving = 0, 0
	if m.d.Reverts != "" { // the stable release itself was taken back: there is another one now
		m.do(MarkStable{belay.StableRelease{
			Ref: m.d.Ref, Release: m.d.Previous, Slot: m.d.PreviousSlot, Deployment: m.d.ID, Verified: verified, Since: m.now,
		}})
	}
}

// superseded ends the deployment for a newer one. A release that is proven and has all traffic is what users are
// on: it becomes the stable one, which the newer deployment goes back to, although its bake is cut short.
func (m *machine) superseded(in Superseded) {
	m.d.SupersededBy = in.By
	at := m.d.State
	if at == belay.StatePaused {
		at = m.d.Before
	}
	if at == belay.StateBaking && m.d.Weight == 100 && m.confirmed() && m.verified() {
		m.markStable()
		m.to(belay.StateSuperseded, belayActor, "proven healthy, its bake cut short by %s", in.By)
		return
	}
	m.to(belay.StateSuperseded, belayActor, "superseded by %s before it was proven", in.By)
}

// takeBack begins the rollback. The release is quarantined now and not at the end, so that no machine can deploy
// it again in between; not when only its deploy failed, which says nothing about the release, nor when the same
// release is what there is to go back to.
func (m *machine) takeBack(trigger, reason string) {
	m.d.Trigger, m.d.Rollback = trigger, RollbackID(m.d.ID)
	actor := m.revert().Actor
	if trigger != TriggerDeployFailed && m.d.Release.Key() != m.d.Previous.Key() {
		m.do(Quarantine{belay.Quarantine{
			Ref: m.d.Ref, Key: m.d.Release.Key(), Release: m.d.Release, Rollback: m.d.Rollback, Reason: reason, Since: m.now,
		}})
	}
	m.to(belay.StateRollingBack, actor, "%s", reason)
	m.do(m.revert())
}

// takeBackByRule is takeBack where the policy lets belay do so by itself.
func (m *machine) takeBackByRule(trigger, reason string) {
	if m.p.AutoRollback {
		m.takeBack(trigger, reason)
		return
	}
	m.hold(reason + "; automatic rollback is off")
}

func (m *machine) hold(reason string) {
	if m.d.State != belay.StateHeld {
		m.to(belay.StateHeld, belayActor, "%s: a person decides", reason)
	}
}

func (m *machine) revert() Revert {
	r := Revert{Trigger: m.d.Trigger, Reason: m.d.Reason, Actor: belayActor}
	switch m.d.Trigger {
	case TriggerRegressed, TriggerDeadline, TriggerDeployFailed:
	default:
		r.Actor = m.d.Trigger
	}
	return r
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// since is now - t, never negative: a clock that was set back must not make a wait longer than it is.
func since(now, t time.Time) time.Duration { return max(0, now.Sub(t)) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
