package state

import (
	"fmt"

	"github.com/belaydev/belay"
)

// Permits tells, with a conflict that says why not, whether a person may ask act of d now.
func Permits(d belay.Deployment, act belay.Act) error {
	ok := false
	next := "\"belay show " + d.ID + "\" tells where it stands"
	switch d.State {
	case belay.StatePending:
		ok = act == belay.ActAbort
	case belay.StateDeploying:
		reports := act == belay.ActDeployed || act == belay.ActFailed
		ok = act == belay.ActAbort || reports && d.Registered
	case belay.StateWatching, belay.StateBaking:
		reports := act == belay.ActDeployed || act == belay.ActFailed
		ok = act == belay.ActPause || act == belay.ActPromote || act == belay.ActAbort || reports && d.Registered
	case belay.StatePaused, belay.StateHeld:
		ok = act == belay.ActResume || act == belay.ActPromote || act == belay.ActAbort || act == belay.ActFailed && d.Registered
	case belay.StateRollingBack:
		next = "follow it with \"belay show " + d.ID + "\""
	case belay.StateSucceeded, belay.StateRolledBack, belay.StateUnverified, belay.StateRollbackFailed,
		belay.StateSuperseded, belay.StateDeployFailed, belay.StateRefused:
		next = fmt.Sprintf("to take the service back, run \"belay rollback %s\"", d.Service)
	}
	if ok {
		return nil
	}
	switch act {
	case belay.ActPause, belay.ActResume, belay.ActPromote, belay.ActAbort, belay.ActDeployed, belay.ActFailed:
		return belay.Errorf(belay.CodeConflict, "cannot %s %s of %s: it is %s", verb(act), d.ID, d.Ref, d.State).WithNext("%s", next)
	}
	return belay.Errorf(belay.CodeInvalid, "there is no act %q", act).WithNext("use pause, resume, promote, abort, deployed or failed")
}

func verb(act belay.Act) string {
	if act == belay.ActDeployed || act == belay.ActFailed {
		return "take the report \"" + string(act) + "\" for"
	}
	return string(act)
}

// asked records a person's word and tells whether it may be followed.
func (m *machine) asked(in Asked) bool {
	if err := Permits(m.d, in.Act); err != nil {
		m.record(belay.EventAct, in.Actor, "%s asked for %q, which was ignored: %v", in.Actor, in.Act, err)
		return false
	}
	m.record(belay.EventAct, in.Actor, "%s asked for %q%s", in.Actor, in.Act, because(in.Reason))
	return true
}

// actOn follows a permitted word in watching, baking, paused and held.
func (m *machine) actOn(in Asked) {
	switch in.Act {
	case belay.ActPause:
		m.to(belay.StatePaused, in.Actor, "paused by %s%s", in.Actor, because(in.Reason))
	case belay.ActResume:
		m.resume(in)
	case belay.ActPromote:
		m.promote(in)
	case belay.ActAbort:
		m.abort(in)
	case belay.ActFailed:
		m.deployFailed(in.Actor, fmt.Sprintf("%s reports that its deploy failed%s", in.Actor, because(in.Reason)), false)
	case belay.ActDeployed: // it was taken as deployed already; the word is on record
	}
}

// resume goes on where it was. After a hold the clock of the step starts over: the deadline that led to the hold
// would else lead there again at once.
func (m *machine) resume(in Asked) {
	held := m.d.State == belay.StateHeld
	m.to(m.d.Before, in.Actor, "resumed by %s%s", in.Actor, because(in.Reason))
	if held {
		m.d.StepAt, m.d.StepPaused = m.now, 0
	}
}

// promote gives full traffic now. With a proxy it is only done when the proxy has confirmed it; until then the
// deployment bakes, and evidence does not overrule the person.
func (m *machine) promote(in Asked) {
	m.d.Promoted = in.Actor
	m.fullWeight()
	reason := fmt.Sprintf("promoted by %s%s", in.Actor, because(in.Reason))
	switch {
	case m.d.Slot == "" || m.d.Weight == m.d.Serving:
		m.succeed(in.Actor, reason)
	case m.d.State != belay.StateBaking:
		m.to(belay.StateBaking, in.Actor, "%s; waiting for full traffic", reason)
	}
}

// Redirect makes to the release that d goes back to, unless it is zero. No slot is known to hold another release
// than the previous one.
func Redirect(d belay.Deployment, to belay.Release) belay.Deployment {
	if !to.IsZero() && to.Key() != d.Previous.Key() {
		d.Previous, d.PreviousSlot, d.PreviousTargets = to, "", nil
	}
	return d
}

func (m *machine) abort(in Asked) {
	m.d = Redirect(m.d, in.To)
	m.takeBack(in.Actor, fmt.Sprintf("aborted by %s%s", in.Actor, because(in.Reason)))
}
