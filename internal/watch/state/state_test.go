package state_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/watch/state"
)

// story drives one deployment through time and keeps what was commanded.
type story struct {
	t    *testing.T
	d    belay.Deployment
	p    state.Policy
	now  time.Time
	cmds []state.Command // of the last input, records left out
}

func begin(t *testing.T, edit func(*belay.Deployment, *state.Policy)) *story {
	t.Helper()
	s := &story{t: t, p: state.Default(), now: time.Unix(1_800_000_000, 0).UTC()}
	s.p.Steps, s.p.StepTime, s.p.HealthFirst = []int{10, 100}, 30*time.Second, true
	s.d = belay.Deployment{
		ID: "d-1", Ref: belay.Ref{Service: "shop", Environment: "production"}, State: belay.StatePending, Actor: "ci", CreatedAt: s.now,
		Release: belay.Release{Version: "2"}, Previous: belay.Release{Version: "1"}, Slot: "green", PreviousSlot: "blue",
	}
	if edit != nil {
		edit(&s.d, &s.p)
	}
	return s.give(state.Accepted{Now: s.now})
}

func (s *story) give(in state.Input) *story {
	var cmds []state.Command
	s.d, cmds = state.Next(s.d, in, s.p)
	s.cmds = nil
	for _, c := range cmds {
		if _, ok := c.(state.Record); !ok {
			s.cmds = append(s.cmds, c)
		}
	}
	return s
}

func (s *story) after(d time.Duration) *story { s.now = s.now.Add(d); return s }

func (s *story) look(v belay.Verdict, h belay.HealthState) *story {
	return s.give(state.Looked{Card: belay.Card{Verdict: v, Reason: "5xx", Health: []belay.HealthStatus{{Arm: belay.ArmCandidate, State: h}}}, Now: s.now})
}

func (s *story) healthy() *story { return s.look(belay.VerdictHealthy, belay.HealthHealthy) }

func (s *story) deployed() *story { return s.give(state.DeployEnded{Now: s.now}) }

func (s *story) traffic() *story {
	return s.give(state.TrafficSet{Weight: s.d.Weight, Now: s.now})
}

func (s *story) ask(a belay.Act) *story {
	return s.give(state.Asked{Act: a, Actor: "user:ann", Now: s.now})
}

// want checks the state and what the last input led to: "weight 10", "revert deadline", "stable 2 verified".
func (s *story) want(st belay.State, cmds ...string) *story {
	s.t.Helper()
	var got []string
	for _, c := range s.cmds {
		switch c := c.(type) {
		case state.RunDeploy:
			got = append(got, fmt.Sprintf("deploy drain=%v", c.Drain))
		case state.SetWeight:
			got = append(got, fmt.Sprintf("weight %d", c.Percent))
		case state.Revert:
			got = append(got, "revert "+c.Trigger+" by "+c.Actor)
		case state.MarkStable:
			got = append(got, fmt.Sprintf("stable %s verified=%v", c.Stable.Release, c.Stable.Verified))
		case state.Quarantine:
			got = append(got, "quarantine "+c.Quarantine.Key)
		}
	}
	if s.d.State != st || strings.Join(got, "; ") != strings.Join(cmds, "; ") {
		s.t.Fatalf("state %s (%s), commands %q; want %s, %q", s.d.State, s.d.Reason, got, st, cmds)
	}
	return s
}

func TestStaged(t *testing.T) {
	s := begin(t, nil).want(belay.StateDeploying, "deploy drain=true")
	s.after(time.Minute).deployed().want(belay.StateWatching) // no traffic before its health is proven
	s.after(time.Second).look(belay.VerdictInsufficient, belay.HealthUnhealthy).want(belay.StateWatching)
	s.after(time.Second).look(belay.VerdictInsufficient, belay.HealthHealthy).want(belay.StateWatching, "weight 10")
	s.traffic().want(belay.StateWatching)
	s.after(29 * time.Second).healthy().want(belay.StateWatching)
	s.after(2*time.Second).look(belay.VerdictInsufficient, belay.HealthHealthy).want(belay.StateWatching)
	s.after(time.Second).look(belay.VerdictBlind, belay.HealthHealthy).want(belay.StateWatching)
	s.after(time.Second).healthy().want(belay.StateWatching, "weight 100")
	s.after(time.Second).healthy().want(belay.StateWatching, "weight 100") // not confirmed: asked for again
	s.traffic().after(time.Second).healthy().want(belay.StateBaking)
	s.after(30*time.Minute - time.Second).healthy().want(belay.StateBaking)
	s.after(time.Second).look(belay.VerdictBlind, belay.HealthHealthy).want(belay.StateBaking) // blind is waited out
	s.after(time.Second).look(belay.VerdictInsufficient, belay.HealthHealthy).want(belay.StateSucceeded, "stable 2 verified=true")
}

func TestRegressedIsTakenBackFromEverywhere(t *testing.T) {
	back := []string{"quarantine 2", "revert regressed by belay"}
	regress := func(s *story) *story { return s.look(belay.VerdictRegressed, belay.HealthHealthy) }
	regress(begin(t, nil)).want(belay.StateRollingBack, back...)
	regress(begin(t, nil).deployed()).want(belay.StateRollingBack, back...)
	regress(begin(t, nil).deployed().ask(belay.ActPause)).want(belay.StateRollingBack, back...)
	held := begin(t, nil).deployed().after(10*time.Minute).look(belay.VerdictBlind, belay.HealthUnknown).want(belay.StateHeld)
	regress(held).want(belay.StateRollingBack, back...)
	baking := begin(t, nil).deployed().healthy().traffic().after(time.Minute).healthy().traffic().healthy().want(belay.StateBaking)
	regress(baking).want(belay.StateRollingBack, back...)

	s := regress(begin(t, func(_ *belay.Deployment, p *state.Policy) { p.AutoRollback = false }).deployed())
	s.want(belay.StateHeld).ask(belay.ActAbort).want(belay.StateRollingBack, "quarantine 2", "revert user:ann by user:ann")

	// The stable release, deployed once more, is what there is to go back to: it must not be forbidden.
	regress(begin(t, func(d *belay.Deployment, _ *state.Policy) { d.Previous = d.Release }).deployed()).
		want(belay.StateRollingBack, "revert regressed by belay")

	// A service replaced in place is down for a moment while it is deployed: that is no regression.
	s = begin(t, nil)
	s.give(state.Looked{Card: belay.Card{Verdict: belay.VerdictRegressed, DecidedBy: "health"}, Now: s.now}).want(belay.StateDeploying)
}

func TestDeadlines(t *testing.T) {
	never := func(edit func(*belay.Deployment, *state.Policy)) *story {
		s := begin(t, edit).deployed().after(5*time.Minute - time.Second)
		s.look(belay.VerdictNone, belay.HealthUnhealthy).want(belay.StateWatching)
		return s.after(time.Second).look(belay.VerdictNone, belay.HealthUnhealthy)
	}
	never(nil).want(belay.StateRollingBack, "quarantine 2", "revert deadline by belay")
	never(func(_ *belay.Deployment, p *state.Policy) { p.OnTimeout.NeverHealthy = state.Hold }).want(belay.StateHeld)
	never(func(_ *belay.Deployment, p *state.Policy) { p.AutoRollback = false }).want(belay.StateHeld)

	late := func(v belay.Verdict, edit func(*belay.Deployment, *state.Policy)) *story {
		s := begin(t, edit).deployed().look(belay.VerdictNone, belay.HealthHealthy).traffic()
		s.after(10*time.Minute-time.Second).look(v, belay.HealthHealthy).want(belay.StateWatching)
		return s.after(time.Second).look(v, belay.HealthHealthy)
	}
	late(belay.VerdictInsufficient, nil).want(belay.StateHeld)
	late(belay.VerdictBlind, nil).want(belay.StateHeld)
	late(belay.VerdictBlind, func(_ *belay.Deployment, p *state.Policy) { p.OnTimeout.Blind = state.Rollback }).
		want(belay.StateRollingBack, "quarantine 2", "revert deadline by belay")
	promoted := late(belay.VerdictInsufficient, func(_ *belay.Deployment, p *state.Policy) { p.OnTimeout.Insufficient = state.Promote })
	promoted.want(belay.StateBaking, "weight 100").traffic().after(30*time.Minute).
		look(belay.VerdictInsufficient, belay.HealthHealthy).want(belay.StateSucceeded, "stable 2 verified=false")
}

// A bake at a weight that never came about must not pass for one.
func TestBakeWithoutTraffic(t *testing.T) {
	s := begin(t, func(_ *belay.Deployment, p *state.Policy) { p.OnTimeout.Insufficient = state.Promote })
	s.deployed().look(belay.VerdictNone, belay.HealthHealthy).traffic().after(10*time.Minute).look(belay.VerdictInsufficient, belay.HealthHealthy)
	s.want(belay.StateBaking, "weight 100")
	s.after(40*time.Minute-time.Second).healthy().want(belay.StateBaking, "weight 100")
	s.after(time.Second).healthy().want(belay.StateHeld)
}

// What takes the place of a baking release goes back to it only if it is proven and serves.
func TestSupersededWhileBaking(t *testing.T) {
	over := func(s *story) *story { return s.give(state.Superseded{By: "d-2", Now: s.now}) }
	served := func() *story {
		return begin(t, nil).deployed().healthy().traffic().after(time.Minute).healthy().traffic().healthy().want(belay.StateBaking)
	}
	over(served()).want(belay.StateSuperseded, "stable 2 verified=true")
	over(served().ask(belay.ActPause)).want(belay.StateSuperseded, "stable 2 verified=true")
	promoted := begin(t, nil).deployed().healthy().ask(belay.ActPromote).want(belay.StateBaking, "weight 100")
	over(promoted).want(belay.StateSuperseded) // full traffic was never confirmed
	unproven := begin(t, func(_ *belay.Deployment, p *state.Policy) { p.OnTimeout.Insufficient = state.Promote })
	unproven.deployed().look(belay.VerdictNone, belay.HealthHealthy).traffic().after(10*time.Minute).look(belay.VerdictInsufficient, belay.HealthHealthy)
	over(unproven.traffic().want(belay.StateBaking)).want(belay.StateSuperseded)
	over(begin(t, nil).deployed().healthy()).want(belay.StateSuperseded)
}

func TestPauseStopsTheClock(t *testing.T) {
	s := begin(t, nil).deployed().look(belay.VerdictNone, belay.HealthHealthy).traffic().after(9 * time.Minute)
	s.ask(belay.ActPause).want(belay.StatePaused).after(2*time.Hour).look(belay.VerdictInsufficient, belay.HealthHealthy).want(belay.StatePaused)
	s.healthy().want(belay.StatePaused) // no step up either
	s.ask(belay.ActResume).want(belay.StateWatching)
	s.after(time.Minute-time.Second).look(belay.VerdictInsufficient, belay.HealthHealthy).want(belay.StateWatching)
	s.after(time.Second).look(belay.VerdictInsufficient, belay.HealthHealthy).want(belay.StateHeld)
	if s.d.PausedFor.D() != 2*time.Hour {
		t.Errorf("paused for %s", s.d.PausedFor)
	}
	// After a hold the deadline starts over.
	s.after(time.Hour).ask(belay.ActResume).after(9*time.Minute).look(belay.VerdictInsufficient, belay.HealthHealthy).want(belay.StateWatching)
}

// A weight that is confirmed during a pause begins its step then; what was paused before is not taken off it.
func TestTrafficSetWhilePaused(t *testing.T) {
	s := begin(t, nil).deployed().look(belay.VerdictNone, belay.HealthHealthy).want(belay.StateWatching, "weight 10").ask(belay.ActPause)
	s.after(time.Hour).traffic().after(time.Hour).ask(belay.ActResume)
	s.after(29 * time.Second).healthy().want(belay.StateWatching)
	s.after(time.Second).healthy().want(belay.StateWatching, "weight 100")
	if s.d.PausedFor.D() != 2*time.Hour {
		t.Errorf("paused for %s", s.d.PausedFor)
	}
}

func TestMinTime(t *testing.T) {
	s := begin(t, func(d *belay.Deployment, p *state.Policy) {
		d.Slot, d.PreviousSlot, d.Weight, d.Serving = "", "", 100, 100
		p.MinTime = time.Minute
	})
	s.after(time.Hour).deployed().after(30 * time.Second).healthy().want(belay.StateWatching)
	s.ask(belay.ActPause).after(time.Hour).ask(belay.ActResume)
	s.after(29 * time.Second).healthy().want(belay.StateWatching)
	s.after(time.Second).healthy().want(belay.StateBaking)
}

func TestPromote(t *testing.T) {
	s := begin(t, nil).deployed().ask(belay.ActPromote).want(belay.StateBaking, "weight 100")
	s.look(belay.VerdictRegressed, belay.HealthUnhealthy).want(belay.StateBaking, "weight 100") // the person decided
	s.traffic().want(belay.StateSucceeded, "stable 2 verified=false")
	begin(t, func(d *belay.Deployment, _ *state.Policy) {
		d.Slot, d.PreviousSlot, d.Weight, d.Serving = "", "", 100, 100
	}).
		deployed().healthy().ask(belay.ActPromote).want(belay.StateSucceeded, "stable 2 verified=true")
}

func TestDeployFailed(t *testing.T) {
	fail := func(untouched bool, edit func(*belay.Deployment, *state.Policy)) *story {
		s := begin(t, edit)
		return s.give(state.DeployEnded{Err: errors.New("exit status 1"), Untouched: untouched, Now: s.now})
	}
	fail(false, nil).want(belay.StateRollingBack, "revert deploy failed by belay")
	fail(true, nil).want(belay.StateDeployFailed)
	fail(false, func(d *belay.Deployment, _ *state.Policy) { d.Previous = belay.Release{} }).want(belay.StateDeployFailed)
	s := fail(false, func(_ *belay.Deployment, p *state.Policy) { p.AutoRollback = false }).want(belay.StateHeld)
	s.ask(belay.ActResume).want(belay.StateWatching).healthy().want(belay.StateWatching, "weight 10")
}

func TestRegistered(t *testing.T) {
	now := time.Unix(1_800_000_000, 0).UTC()
	begin(t, func(d *belay.Deployment, _ *state.Policy) { d.Registered, d.DeployedAt = true, now }).want(belay.StateWatching)
	started := func() *story {
		return begin(t, func(d *belay.Deployment, _ *state.Policy) { d.Registered = true }).want(belay.StateDeploying)
	}
	started().ask(belay.ActDeployed).want(belay.StateWatching)
	started().ask(belay.ActFailed).want(belay.StateRollingBack, "revert deploy failed by belay")
	started().healthy().want(belay.StateWatching)
	started().after(10*time.Minute).look(belay.VerdictNone, belay.HealthUnhealthy).want(belay.StateWatching)
}

func TestRestarted(t *testing.T) {
	again := func(s *story) *story { return s.give(state.Restarted{Now: s.now}) }
	s := again(begin(t, nil)).want(belay.StateWatching)
	if !strings.Contains(s.d.Reason, "unknown") {
		t.Errorf("reason %q does not say that the end is unknown", s.d.Reason)
	}
	again(begin(t, nil).ask(belay.ActAbort)).want(belay.StateRollingBack, "revert user:ann by user:ann")
	again(begin(t, nil).deployed().healthy().want(belay.StateWatching, "weight 10")).want(belay.StateWatching).
		healthy().want(belay.StateWatching, "weight 10")
}

func TestRollbackOfAService(t *testing.T) {
	s := begin(t, func(d *belay.Deployment, _ *state.Policy) {
		d.Reverts, d.Actor, d.Reason = "d-0", "user:ann", "it smells"
	})
	s.want(belay.StateRollingBack, "quarantine 2", "revert user:ann by user:ann")
	s.give(state.RollbackEnded{Rollback: belay.Rollback{ID: "r-0", State: belay.RollbackFailed}, Now: s.now}).want(belay.StateRollingBack)
	s.give(state.RollbackEnded{Rollback: belay.Rollback{ID: "r-1", State: belay.RollbackProving}, Now: s.now}).want(belay.StateRollingBack)
	s.give(state.RollbackEnded{Rollback: belay.Rollback{ID: "r-1", State: belay.RollbackVerified}, Now: s.now})
	s.want(belay.StateRolledBack, "stable 1 verified=true")
}

// TestOutlookIsToldOnce: with the first look that knows it, and not of a watch that is decided.
func TestOutlookIsToldOnce(t *testing.T) {
	const text = "at 200 requests/s: healthy can be proven in about 2 min"
	told := func(s *story, v belay.Verdict, outlook string) int {
		n := 0
		var cmds []state.Command
		s.d, cmds = state.Next(s.d, state.Looked{Card: belay.Card{Verdict: v}, Outlook: outlook, Now: s.now}, s.p)
		for _, c := range cmds {
			if r, ok := c.(state.Record); ok && strings.Contains(r.Event.Message, "what this watch can see: "+text) {
				n++
			}
		}
		return n
	}
	s := begin(t, nil)
	for i, want := range []int{0, 1, 0} {
		if got := told(s, belay.VerdictNone, []string{"", text, text}[i]); got != want {
			t.Errorf("look %d while deploying tells it %d times, want %d", i, got, want)
		}
	}
	if s.d.Outlook != text {
		t.Errorf("outlook %q", s.d.Outlook)
	}
	if s := begin(t, nil).deployed(); told(s, belay.VerdictNone, text) != 1 {
		t.Error("not told while watching")
	}
	if s := begin(t, nil).deployed(); told(s, belay.VerdictRegressed, text) != 0 {
		t.Error("told of what is regressed")
	}
}
