package watch_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/watch"
	"github.com/belaydev/belay/internal/watch/state"
)

// in runs a story in fake time and stops its conductor at the end.
func in(t *testing.T, story func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		story(t, b)
		b.c.Stop()
	})
}

func TestGoodReleaseSucceeds(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.proxied().start()
		b.w.shows["2"] = always(belay.VerdictHealthy)
		id := b.deploy("2")
		d := b.end(id)
		if got := b.m.states(id); got != "pending deploying watching baking succeeded" {
			t.Errorf("went through %s", got)
		}
		if got := strings.Join(b.w.moves, " "); got != "green=0 green=10 green=50 green=100" {
			t.Errorf("traffic: %s", got)
		}
		if s := b.m.stable[shop]; s.Release != v("2") || s.Slot != "green" || !s.Verified || s.Deployment != id {
			t.Errorf("stable: %+v", s)
		}
		if d.Previous != v("1") || d.PreviousSlot != "blue" || d.Card == nil || d.FullTrafficAt.IsZero() {
			t.Errorf("deployment: %+v", d)
		}
		// 5 s of deploying, two steps of 30 s, a minute of baking.
		if took := d.EndedAt.Sub(d.CreatedAt); took < 125*time.Second || took > 135*time.Second {
			t.Errorf("took %s", took)
		}
		// The next one takes the other slot and stands beside this one.
		b.w.shows["3"] = always(belay.VerdictHealthy)
		if d := b.is(b.deploy("3"), belay.StateBaking); d.Slot != "blue" || d.Previous != v("2") {
			t.Errorf("next: slot %s, previous %s", d.Slot, d.Previous)
		}
	})
}

func TestRegressedReleaseIsTakenBack(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.proxied().start()
		b.w.shows["2"] = goodUntil(20 * time.Second)
		id := b.deploy("2")
		d := b.end(id)
		if got := b.m.states(id); got != "pending deploying watching rolling_back rolled_back" {
			t.Errorf("went through %s", got)
		}
		if d.Trigger != state.TriggerRegressed || b.w.reverts[d.Rollback] != 1 || d.DetectedAt.Sub(d.CreatedAt) > 24*time.Second {
			t.Errorf("trigger %s, reverts %v, detected after %s", d.Trigger, b.w.reverts, d.DetectedAt.Sub(d.CreatedAt))
		}
		if d.Card == nil || d.Card.Verdict != belay.VerdictRegressed {
			t.Errorf("card: %+v", d.Card)
		}
		if b.m.stable[shop].Release != v("1") {
			t.Errorf("stable: %+v", b.m.stable[shop])
		}
		want := `
# HELP belay_deployments_total Deployments that ended, by final state.
# TYPE belay_deployments_total counter
belay_deployments_total{state="rolled_back"} 1
# HELP belay_verdicts_total Verdicts reached, counted when the verdict of a deployment changes.
# TYPE belay_verdicts_total counter
belay_verdicts_total{verdict="healthy"} 1
belay_verdicts_total{verdict="regressed"} 1
`
		if err := testutil.GatherAndCompare(b.reg, strings.NewReader(want), "belay_deployments_total", "belay_verdicts_total"); err != nil {
			t.Error(err)
		}

		// It is quarantined: a machine gets a refusal, a person with a reason gets through.
		d, err := b.c.Deploy(t.Context(), belay.DeployRequest{Ref: shop, Release: v("2"), Actor: "ci"})
		if err != nil || d.State != belay.StateRefused || !strings.Contains(d.Reason, "quarantined") {
			t.Errorf("again: %s %q, %v", d.State, d.Reason, err)
		}
		built := belay.Release{Version: "2", Digest: "sha256:2"} // naming a digest does not get around it
		d, err = b.c.Deploy(t.Context(), belay.DeployRequest{Ref: shop, Release: built, Actor: "ci"})
		if err != nil || d.State != belay.StateRefused || !strings.Contains(d.Reason, "quarantined") {
			t.Errorf("again with a digest: %s %q, %v", d.State, d.Reason, err)
		}
		d, err = b.c.Deploy(t.Context(), belay.DeployRequest{Ref: shop, Release: v("2"), Actor: "user:ann", Force: "it was the database"})
		if err != nil || d.State != belay.StatePending {
			t.Errorf("forced: %s %q, %v", d.State, d.Reason, err)
		}
		if !b.m.told("it was the database") {
			t.Error("the reason of the override is not on record")
		}
	})
}

func TestDeadlineAndHold(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.start() // nothing is ever seen of the release
		id := b.deploy("2")
		d := b.is(id, belay.StateHeld)
		if age := d.PausedAt.Sub(d.DeployedAt); age < 10*time.Minute || age > 10*time.Minute+2*time.Second {
			t.Errorf("held after %s", age)
		}
		if _, err := b.c.Ask(t.Context(), id, belay.ActPause, "user:ann", ""); belay.CodeOf(err) != belay.CodeConflict {
			t.Errorf("pause while held: %v", err)
		}
		time.Sleep(time.Hour)
		if d, err := b.c.Ask(t.Context(), id, belay.ActAbort, "user:ann", "no traffic tonight"); err != nil || d.State != belay.StateRollingBack {
			t.Fatalf("abort: %s, %v", d.State, err)
		}
		if d := b.end(id); d.Trigger != "user:ann" || d.State != belay.StateRolledBack {
			t.Errorf("ended as %s by %s", d.State, d.Trigger)
		}
		if _, err := b.c.Ask(t.Context(), id, belay.ActAbort, "user:ann", ""); belay.CodeOf(err) != belay.CodeConflict {
			t.Errorf("abort after the end: %v", err)
		}
		if _, err := b.c.Ask(t.Context(), "d-none", belay.ActAbort, "user:ann", ""); belay.CodeOf(err) != belay.CodeNotFound {
			t.Errorf("abort of nothing: %v", err)
		}
	})
}

func TestPauseAndResume(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.proxied().start()
		b.w.shows["2"] = always(belay.VerdictHealthy)
		id := b.deploy("2")
		b.is(id, belay.StateWatching)
		time.Sleep(10 * time.Second)
		if _, err := b.c.Ask(t.Context(), id, belay.ActPause, "user:ann", "lunch"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if got := b.w.weights["green"]; got != 10 {
			t.Errorf("weight %d after an hour of pause", got)
		}
		if _, err := b.c.Ask(t.Context(), id, belay.ActResume, "user:ann", ""); err != nil {
			t.Fatal(err)
		}
		if d := b.end(id); d.State != belay.StateSucceeded || d.PausedFor.D() != time.Hour {
			t.Errorf("%s after a pause of %s", d.State, d.PausedFor)
		}
	})
	in(t, func(t *testing.T, b *bench) { // a pause does not protect a bad release
		b.start()
		b.w.shows["2"] = goodUntil(time.Minute)
		id := b.deploy("2")
		b.is(id, belay.StateWatching)
		if _, err := b.c.Ask(t.Context(), id, belay.ActPause, "user:ann", ""); err != nil {
			t.Fatal(err)
		}
		if d := b.end(id); d.State != belay.StateRolledBack {
			t.Errorf("ended as %s", d.State)
		}
	})
}

func TestBlindHoldsTheWeight(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.proxied().start()
		b.w.shows["2"] = func(age time.Duration) belay.Verdict {
			if age > 20*time.Second {
				return belay.VerdictBlind
			}
			return belay.VerdictHealthy
		}
		d := b.is(b.deploy("2"), belay.StateHeld)
		if d.Weight != 10 || b.w.weights["green"] != 10 || !strings.Contains(d.Reason, "monitoring was down") {
			t.Errorf("weight %d, %q", d.Weight, d.Reason)
		}
	})
}

func TestNewerSupersedes(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.proxied().start()
		b.w.shows["2"], b.w.shows["3"] = always(belay.VerdictHealthy), always(belay.VerdictHealthy)
		first := b.deploy("2")
		b.is(first, belay.StateWatching)
		time.Sleep(40 * time.Second)
		if _, err := b.c.Deploy(t.Context(), belay.DeployRequest{Ref: shop, Release: v("2"), Actor: "ci"}); belay.CodeOf(err) != belay.CodeConflict {
			t.Errorf("the same again: %v", err)
		}
		second := b.deploy("3")
		if d := b.end(first); d.State != belay.StateSuperseded || d.SupersededBy != second {
			t.Errorf("first: %s by %s", d.State, d.SupersededBy)
		}
		d := b.end(second)
		if d.State != belay.StateSucceeded || d.Previous != v("1") || d.Slot != "green" {
			t.Errorf("second: %s over %s in %s", d.State, d.Previous, d.Slot)
		}
		// The slot was emptied before it was replaced.
		if got := strings.Join(b.w.moves, " "); !strings.Contains(got, "green=50 green=0 green=10") {
			t.Errorf("traffic: %s", got)
		}
		if _, err := b.c.Deploy(t.Context(), belay.DeployRequest{Ref: shop, Release: v("3"), Actor: "ci"}); belay.CodeOf(err) != belay.CodeConflict {
			t.Errorf("the stable one again: %v", err)
		}
	})
}

// TestNewerThanABakingOne: users are on a release that is proven, so the newer one stands beside it and goes back
// to it; and so does a person's rollback.
func TestNewerThanABakingOne(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.proxied().start()
		b.w.shows["2"], b.w.shows["3"] = always(belay.VerdictHealthy), goodUntil(20*time.Second)
		first := b.deploy("2")
		b.is(first, belay.StateBaking)
		second := b.deploy("3")
		if d := b.end(first); d.State != belay.StateSuperseded {
			t.Errorf("first: %s", d.State)
		}
		if d := b.end(second); d.State != belay.StateRolledBack || d.Previous != v("2") || d.Slot != "blue" {
			t.Errorf("second: %s over %s in %s", d.State, d.Previous, d.Slot)
		}
		d, err := b.c.Rollback(t.Context(), shop, belay.Release{}, "user:ann", "")
		// Slot blue holds 3 now: there is no slot to get 1 from.
		if err != nil || d.Reverts != first || d.Previous != v("1") || d.PreviousSlot != "" {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

func TestNewerWaitsForTheRollback(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.w.takes = time.Minute
		b.proxied().start()
		b.w.shows["2"], b.w.shows["4"] = goodUntil(0), always(belay.VerdictHealthy)
		first := b.deploy("2")
		b.is(first, belay.StateRollingBack)
		second := b.deploy("3")
		time.Sleep(time.Second)
		third := b.deploy("4")
		if d := b.end(second); d.State != belay.StateSuperseded || b.w.deploys["3"] != 0 {
			t.Errorf("second: %s, deployed %d times", d.State, b.w.deploys["3"])
		}
		d := b.is(third, belay.StateDeploying)
		if old, _ := b.m.Deployment(t.Context(), first); old.State != belay.StateRolledBack || d.Previous != v("1") {
			t.Errorf("third began while the first was %s, over %s", old.State, d.Previous)
		}
		b.end(third)
	})
}

// TestNewerThanARollbackOfTheService: what is stable changes while it waits, and so do its slot and its way back.
func TestNewerThanARollbackOfTheService(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.proxied().start()
		b.w.shows["2"], b.w.shows["3"] = always(belay.VerdictHealthy), always(belay.VerdictHealthy)
		b.end(b.deploy("2"))
		if _, err := b.c.Rollback(t.Context(), shop, belay.Release{}, "user:ann", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		id := b.deploy("3")
		if d := b.is(id, belay.StateDeploying); d.Previous != v("1") || d.Slot != "green" || d.PreviousSlot != "blue" {
			t.Errorf("%s stands in %s beside %s in %s", d.Release, d.Slot, d.Previous, d.PreviousSlot)
		}
		b.end(id)
	})
}

func TestAbortStopsTheDeployCommandFirst(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.w.deployFor = time.Hour
		b.start()
		id := b.deploy("2")
		b.is(id, belay.StateDeploying)
		time.Sleep(time.Second)
		if _, err := b.c.Ask(t.Context(), id, belay.ActAbort, "user:ann", ""); err != nil {
			t.Fatal(err)
		}
		if d := b.end(id); d.State != belay.StateRolledBack || d.EndedAt.Sub(d.CreatedAt) > time.Minute {
			t.Errorf("%s after %s", d.State, d.EndedAt.Sub(d.CreatedAt))
		}
	})
}

func TestDeployFailures(t *testing.T) {
	for _, c := range []struct {
		err  error
		want belay.State
	}{
		{errors.New("exit status 1"), belay.StateRolledBack},
		{fmt.Errorf("run ./deploy.sh: not found: %w", watch.ErrNothingChanged), belay.StateDeployFailed},
	} {
		in(t, func(t *testing.T, b *bench) {
			b.w.deployErr = c.err
			b.proxied().start()
			if d := b.end(b.deploy("2")); d.State != c.want {
				t.Errorf("%v: %s (%s)", c.err, d.State, d.Reason)
			}
			if len(b.m.quarantine) != 0 {
				t.Error("a release was quarantined because its deploy failed")
			}
		})
	}
	in(t, func(t *testing.T, b *bench) { // the slot could not be emptied: it is not replaced under load
		b.w.trafficOK = false
		b.proxied().start()
		if d := b.end(b.deploy("2")); d.State != belay.StateDeployFailed || b.w.deploys["2"] != 0 {
			t.Errorf("%s, deployed %d times", d.State, b.w.deploys["2"])
		}
	})
}

func TestRefusedRollbackNeedsAPerson(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.w.refuse = belay.Errorf(belay.CodeConflict, "nothing to roll back to")
		b.start()
		b.w.shows["2"] = goodUntil(0)
		if d := b.end(b.deploy("2")); d.State != belay.StateRollbackFailed || !strings.Contains(d.Reason, "nothing to roll back to") {
			t.Errorf("%s: %s", d.State, d.Reason)
		}
	})
	for _, c := range []struct {
		err   error
		after time.Duration
		want  belay.State
	}{
		{belay.Errorf(belay.CodeUnavailable, "engine is starting"), time.Hour, belay.StateRolledBack}, // out of reach is not refused
		{errors.New("database is locked"), 30 * time.Second, belay.StateRolledBack},
		{errors.New("database is locked"), time.Hour, belay.StateRollbackFailed},
	} {
		in(t, func(t *testing.T, b *bench) {
			b.w.refuse = c.err
			b.start()
			b.w.shows["2"] = goodUntil(0)
			id := b.deploy("2")
			b.is(id, belay.StateRollingBack)
			time.Sleep(c.after)
			b.w.set(func(w *world) { w.refuse = nil })
			if d := b.end(id); d.State != c.want {
				t.Errorf("%v for %s: %s (%s)", c.err, c.after, d.State, d.Reason)
			}
		})
	}
}

// A rollback that failed leaves the bad release where it is: asking again takes that one back, and not the good one
// that it stands in place of.
func TestRollbackAfterAFailedRollback(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.proxied().start()
		b.w.shows["2"], b.w.shows["3"] = always(belay.VerdictHealthy), always(belay.VerdictRegressed)
		b.end(b.deploy("2"))
		b.w.set(func(w *world) { w.outcome = belay.RollbackFailed })
		failed := b.deploy("3")
		if d := b.end(failed); d.State != belay.StateRollbackFailed {
			t.Fatalf("%s: %s", d.State, d.Reason)
		}
		for range 2 { // the first fails, too
			d, err := b.c.Rollback(t.Context(), shop, belay.Release{}, "user:ann", "")
			if err != nil || d.Release != v("3") || d.Previous != v("2") || d.Slot == d.PreviousSlot || d.PreviousSlot == "" {
				t.Fatalf("%+v, %v", d, err)
			}
			b.end(d.ID)
			b.w.set(func(w *world) { w.outcome = belay.RollbackVerified })
		}
		if s := b.m.stable[shop]; s.Release != v("2") || !s.Verified {
			t.Errorf("stable: %+v", s)
		}
		// Now it is the stable release that would be taken back.
		if d, err := b.c.Preview(t.Context(), shop, belay.Release{}); err != nil || d.Release != v("2") || d.Previous != v("1") {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

func TestRollbackOfAService(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.proxied().start()
		if _, err := b.c.Rollback(t.Context(), shop, belay.Release{}, "user:ann", ""); belay.CodeOf(err) != belay.CodeConflict {
			t.Errorf("nothing before 1: %v", err)
		}
		b.w.shows["2"], b.w.shows["3"] = always(belay.VerdictHealthy), always(belay.VerdictHealthy)
		first := b.deploy("2")
		b.end(first)
		would, err := b.c.Preview(t.Context(), shop, belay.Release{})
		if err != nil || would.Reverts != first || would.Previous != v("1") || would.Rollback == "" {
			t.Fatalf("%+v, %v", would, err)
		}
		d, err := b.c.Rollback(t.Context(), shop, belay.Release{}, "user:ann", "invoices are wrong")
		if err != nil || d.Reverts != first || d.Rollback == "" || d.Release != v("2") || d.Previous != v("1") || d.PreviousSlot != "blue" {
			t.Fatalf("%+v, %v", d, err)
		}
		if d := b.end(d.ID); d.State != belay.StateRolledBack || d.Trigger != "user:ann" {
			t.Errorf("%s by %s", d.State, d.Trigger)
		}
		if s := b.m.stable[shop]; s.Release != v("1") || s.Slot != "blue" || !s.Verified {
			t.Errorf("stable: %+v", s)
		}
		// With an active deployment it is that one which is taken back.
		id := b.deploy("3")
		b.is(id, belay.StateWatching)
		if d, err := b.c.Rollback(t.Context(), shop, belay.Release{}, "user:ann", ""); err != nil || d.ID != id {
			t.Errorf("%s, %v", d.ID, err)
		}
		b.end(id)
	})
}

func TestRegisteredAndWarned(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.gate = gateFunc(func() []watch.Finding {
			return []watch.Finding{{Name: "plan", Message: "there is no way back"}}
		})
		b.start()
		b.w.shows["2"] = always(belay.VerdictNone)
		d, err := b.c.Deploy(t.Context(), belay.DeployRequest{Ref: shop, Release: v("2"), Actor: "ci", Register: true, Started: true})
		if err != nil {
			t.Fatal(err)
		}
		b.is(d.ID, belay.StateDeploying)
		if _, err := b.c.Ask(t.Context(), d.ID, belay.ActDeployed, "ci", ""); err != nil {
			t.Fatal(err)
		}
		b.is(d.ID, belay.StateWatching)
		if b.w.deploys["2"] != 0 {
			t.Error("the deploy command ran")
		}
		b.m.mu.Lock()
		defer b.m.mu.Unlock()
		if e := b.m.events[0]; e.Kind != belay.EventEvidence || !strings.Contains(e.Message, "there is no way back") {
			t.Errorf("first event: %+v", e)
		}
	})
}

func TestNewsHurryTheLook(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.w.news = make(chan struct{}, 1)
		b.settings.Policy.Interval = time.Minute
		b.start()
		b.w.shows["2"] = always(belay.VerdictHealthy)
		b.is(b.deploy("2"), belay.StateWatching)
		time.Sleep(10 * time.Second)
		before := b.w.looked()
		for range 1000 { // one second of news every millisecond
			select {
			case b.w.news <- struct{}{}:
			default:
			}
			time.Sleep(time.Millisecond)
		}
		if n := b.w.looked() - before; n < 9 || n > 11 {
			t.Errorf("%d looks in a second", n)
		}
	})
}
