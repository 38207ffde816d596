package state_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/watch/state"
)

func TestChart(t *testing.T) {
	const path = "../../../docs/states.md"
	want := state.Chart()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/states.md is not what the table says; run: make generate")
	}
}

type arc struct {
	from belay.State
	on   string
	to   belay.State
}

// TestEveryTransition walks at random: what is reached must be in the table, and all of the table must be reached.
func TestEveryTransition(t *testing.T) {
	want := map[arc]bool{}
	for _, x := range state.Transitions() {
		k := arc{x.From, x.On, x.To}
		if want[k] {
			t.Errorf("listed twice: %v", k)
		}
		want[k] = true
	}
	reached := map[arc]bool{}
	for seed := range uint64(12_000) {
		walk(t, seed, reached)
		if t.Failed() {
			return
		}
	}
	for k := range want {
		if !reached[k] {
			t.Errorf("in the table but never reached: %v", k)
		}
	}
	for k := range reached {
		if !want[k] {
			t.Errorf("reached but not in the table: %v", k)
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { walk(t, seed, map[arc]bool{}) })
}

// walk feeds one deployment with random inputs and holds every step to the rules.
func walk(t *testing.T, seed uint64, reached map[arc]bool) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	now := time.Unix(1_800_000_000, 0).UTC()
	d, p := randomDeployment(r, now), randomPolicy(r)
	var halted time.Duration
	reverts, late := 0, 0
	for range 80 {
		if d.State.Final() {
			if late++; late > 4 {
				return
			}
		}
		in := randomInput(r, d, now)
		if _, ok := in.(state.Restarted); ok && d.State == belay.StateRollingBack {
			reverts = 0 // what was outstanding died with the process
		}
		next, cmds := state.Next(d, in, p)
		if next.State != d.State {
			reached[arc{d.State, state.Kind(in), next.State}] = true
		}
		for _, c := range cmds {
			if _, ok := c.(state.Revert); ok {
				reverts++
			}
		}
		rules(t, d, next, in, cmds)
		if reverts > 1 {
			t.Errorf("%d reverts are outstanding", reverts)
		}
		if t.Failed() {
			t.Fatalf("seed %d: %s --%s %+v--> %s", seed, d.State, state.Kind(in), in, next.State)
		}
		d = next
		wait := time.Duration(r.IntN(120)) * time.Second
		if stopped(d.State) {
			halted += wait
		}
		now = now.Add(wait)
		if !stopped(d.State) && d.PausedFor.D() != halted {
			t.Fatalf("seed %d: paused for %s, measured %s", seed, d.PausedFor, halted)
		}
	}
}

func stopped(s belay.State) bool { return s == belay.StatePaused || s == belay.StateHeld }

func rules(t *testing.T, d, next belay.Deployment, in state.Input, cmds []state.Command) {
	t.Helper()
	changed := next.State != d.State
	states, acts := 0, 0
	for _, c := range cmds {
		switch c := c.(type) {
		case state.Record:
			if c.Event.Kind == belay.EventState {
				states++
				if c.Event.State != next.State || c.Event.Message == "" {
					t.Errorf("the event says %s %q, the state is %s", c.Event.State, c.Event.Message, next.State)
				}
			}
		case state.SetWeight:
			acts++
			if c.Percent != next.Weight || c.Percent <= 0 || c.Percent > 100 {
				t.Errorf("weight %d is set, %d is wanted", c.Percent, next.Weight)
			}
			if next.Slot == "" || stopped(next.State) || next.State == belay.StateRollingBack {
				t.Errorf("traffic is moved in state %s, slot %q", next.State, next.Slot)
			}
		case state.RunDeploy, state.Revert, state.MarkStable, state.Quarantine:
			acts++
		}
	}
	want := 0
	if changed {
		want = 1
	}
	if states != want {
		t.Errorf("%d state events for a change: %v", states, changed)
	}
	if d.State.Final() && (changed || acts > 0) {
		t.Error("a final state was left or acted upon")
	}
	if next.State.Final() == next.EndedAt.IsZero() {
		t.Errorf("ended at %v in state %s", next.EndedAt, next.State)
	}
	if stopped(next.State) == next.PausedAt.IsZero() || stopped(next.State) == (next.Before == "") {
		t.Errorf("paused at %v, before %q in state %s", next.PausedAt, next.Before, next.State)
	}
	if next.StepPaused > next.PausedFor || next.StepPaused < 0 {
		t.Errorf("step paused %s of %s", next.StepPaused, next.PausedFor)
	}
	if next.Weight > d.Weight && next.Slot != "" {
		if stopped(next.State) || next.State == belay.StateRollingBack {
			t.Errorf("the weight rose in %s", next.State)
		}
		if l, ok := in.(state.Looked); ok && l.Card.Verdict == belay.VerdictBlind && next.State != belay.StateBaking {
			t.Error("the weight rose while blind, and no policy said promote")
		}
	}
	if l, ok := in.(state.Looked); ok && l.Card.Verdict == belay.VerdictRegressed && !d.State.Final() && next.Promoted == "" &&
		d.State != belay.StateDeploying && d.State != belay.StatePending && next.State != belay.StateRollingBack && next.State != belay.StateHeld {
		t.Errorf("regressed in %s led to %s", d.State, next.State)
	}
}

func randomDeployment(r *rand.Rand, now time.Time) belay.Deployment {
	d := belay.Deployment{
		ID: "d-1", Ref: belay.Ref{Service: "shop", Environment: "production"}, State: belay.StatePending, Actor: "ci",
		Release: belay.Release{Version: "2"}, CreatedAt: now, Weight: 100, Serving: 100,
	}
	if r.IntN(4) > 0 {
		d.Previous = belay.Release{Version: "1"}
	}
	if r.IntN(2) == 0 {
		d.Slot, d.Weight, d.Serving = "green", 0, 0
		if r.IntN(4) > 0 {
			d.PreviousSlot = "blue"
		}
	}
	switch r.IntN(8) {
	case 0:
		d.Registered, d.DeployedAt = true, now
	case 1, 2:
		d.Registered = true
	case 3:
		d.Reverts, d.Reason = "d-0", "a person wants it back"
	}
	return d
}

func randomPolicy(r *rand.Rand) state.Policy {
	f := func() state.Fallback {
		return []state.Fallback{state.Rollback, state.Hold, state.Promote, ""}[r.IntN(4)]
	}
	sec := func(n int) time.Duration { return time.Duration(r.IntN(n)) * time.Second }
	return state.Policy{
		StartDeadline: sec(300), Deadline: sec(600), MinTime: sec(60), StepTime: sec(60), Bake: sec(3) * 100,
		Steps:        [][]int{nil, {100}, {10, 50, 100}, {25}}[r.IntN(4)],
		AutoRollback: r.IntN(3) > 0, HealthFirst: r.IntN(2) == 0,
		OnTimeout: state.OnTimeout{NeverHealthy: f(), Insufficient: f(), Blind: f()},
	}
}

func randomInput(r *rand.Rand, d belay.Deployment, now time.Time) state.Input {
	var err error
	if r.IntN(3) == 0 {
		err = errors.New("no route to host")
	}
	if d.State == belay.StatePending && r.IntN(2) == 0 {
		return state.Accepted{Now: now}
	}
	switch r.IntN(30) {
	case 0:
		return state.Accepted{Now: now}
	case 1, 2:
		return state.DeployEnded{Err: err, Untouched: err != nil && r.IntN(2) == 0, Now: now}
	case 3, 4, 5:
		acts := []belay.Act{belay.ActPause, belay.ActResume, belay.ActPromote, belay.ActAbort, belay.ActDeployed, belay.ActFailed, "dance"}
		in := state.Asked{Act: acts[r.IntN(len(acts))], Actor: "user:ann", Now: now}
		if r.IntN(4) == 0 {
			in.To = belay.Release{Version: "0"}
		}
		return in
	case 6:
		if r.IntN(3) == 0 {
			return state.Superseded{By: "d-2", Now: now}
		}
	case 7, 8, 9, 10, 11:
		w := d.Weight
		if r.IntN(5) == 0 {
			w = 50
		}
		return state.TrafficSet{Weight: w, Err: err, Now: now}
	case 12, 13:
		s := []belay.RollbackState{belay.RollbackRunning, belay.RollbackVerified, belay.RollbackUnverified, belay.RollbackFailed, belay.RollbackAborted}
		return state.RollbackEnded{Rollback: belay.Rollback{ID: []string{d.Rollback, "r-9"}[r.IntN(2)], State: s[r.IntN(len(s))]}, Now: now}
	case 14:
		return state.RollbackRefused{Err: errors.New("nothing to roll back to"), Now: now}
	case 15:
		return state.Restarted{Now: now}
	}
	return state.Looked{Card: randomCard(r), Now: now}
}

func randomCard(r *rand.Rand) belay.Card {
	v := []belay.Verdict{
		belay.VerdictNone, belay.VerdictHealthy, belay.VerdictHealthy, belay.VerdictHealthy, belay.VerdictHealthy,
		belay.VerdictInsufficient, belay.VerdictInsufficient, belay.VerdictBlind, belay.VerdictBlind, belay.VerdictRegressed,
	}
	c := belay.Card{Verdict: v[r.IntN(len(v))], DecidedBy: []string{"health", "comparison"}[r.IntN(2)], Reason: "so it is"}
	h := []belay.HealthState{belay.HealthUnknown, belay.HealthHealthy, belay.HealthUnhealthy}
	for range r.IntN(3) {
		c.Health = append(c.Health, belay.HealthStatus{Arm: []belay.Arm{belay.ArmCandidate, belay.ArmBaseline}[r.IntN(2)], State: h[r.IntN(3)]})
	}
	return c
}
