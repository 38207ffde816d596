package rollback_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/rollback"
	"github.com/belaydev/belay/internal/rollback/plan"
)

func TestARollbackRunsItsStepsInOrderAndIsProven(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	w.target.set("b", belay.ProgressDone)
	rb := w.run(newPlan(t, "r-1", steps("a", "b", "c")))
	if rb.State != belay.RollbackVerified || rb.EndedAt.IsZero() {
		t.Errorf("%s: %s", rb.State, rb.Reason)
	}
	if got := states(rb); got != "0/a=done 0/b=already 0/c=done" {
		t.Errorf("steps %s", got)
	}
	if got := w.target.acted(); got != "a c" {
		t.Errorf("acts %q", got)
	}
	c := rb.Certificate
	if c == nil || c.Result != belay.ResultVerified || c.Rollback != "r-1" || c.Release.Version != "1.9" {
		t.Errorf("certificate %+v", c)
	}
	want := "r-1/plan r-1/0/a/started r-1/0/a/ended r-1/0/b/started r-1/0/b/ended r-1/0/c/started r-1/0/c/ended r-1/0/proof"
	if got := w.journal.eventIDs(); got != want {
		t.Errorf("events\n got %s\nwant %s", got, want)
	}
	if w.journal.saves[0] != "running" || w.journal.saves[len(w.journal.saves)-1] != "verified" {
		t.Errorf("saves %v", w.journal.saves)
	}
	if q := w.journal.quarantine; len(q) != 1 || q[0].Key != "2.0" || q[0].Rollback != "r-1" {
		t.Errorf("quarantine %+v", q)
	}
	if s := rb.Steps[0]; s.Before != "a is pending" || s.After != "a is done" || s.Attempts != 1 || s.Ended.Before(s.Started) {
		t.Errorf("record %+v", s)
	}
}

func TestThePlanIsStoredBeforeTheFirstAct(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	var stored belay.Rollback
	w.target.do = func(ctx context.Context, a belay.Action) error {
		var err error
		stored, err = w.journal.Rollback(ctx, a.Rollback)
		return err
	}
	w.run(newPlan(t, "r-1", steps("a")))
	if len(stored.Plan.Rungs) != 1 || stored.Steps[0].State != belay.StepRunning {
		t.Errorf("during the act the journal held %+v", stored)
	}
}

func TestTheSameIDIsTheSameRollback(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	p := newPlan(t, "r-1", steps("a"))
	first := w.run(p)
	again := w.run(p)
	if w.target.acted() != "a" || !again.EndedAt.Equal(first.EndedAt) {
		t.Errorf("acts %q", w.target.acted())
	}
}

func TestADriverThatLiesIsCaughtByItsLookAndTheNextRungIsTaken(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	w.target.look = func(a belay.Action) (belay.Look, error) {
		w.target.mu.Lock()
		defer w.target.mu.Unlock()
		if a.Name == "liar" || w.target.state[a.Name] != belay.ProgressDone {
			return belay.Look{Progress: belay.ProgressPending, Detail: "still 2.0"}, nil
		}
		return belay.Look{Progress: belay.ProgressDone, Detail: "1.9"}, nil
	}
	s := steps("liar", "b")
	s[0].Deadline = 60 * time.Millisecond
	s[0].Next = &plan.StepSpec{Name: "honest", Driver: "fake", Target: "target honest", Deadline: time.Second}
	rb := w.run(newPlan(t, "r-1", s))
	if rb.State != belay.RollbackVerified || rb.Rung != 1 {
		t.Errorf("%s on rung %d: %s", rb.State, rb.Rung, rb.Reason)
	}
	if got := states(rb); got != "0/liar=failed 0/b=skipped 1/honest=done 1/b=done" {
		t.Errorf("steps %s", got)
	}
	if e := rb.Steps[0].Error; !strings.Contains(e, "target liar") || !strings.Contains(e, "within 60ms") || !strings.Contains(e, "still 2.0") {
		t.Errorf("error %q", e)
	}
	if !strings.Contains(w.journal.eventIDs(), "r-1/0/next") {
		t.Errorf("events %s", w.journal.eventIDs())
	}
}

func TestAFailedProofGoesToTheNextRungAndLeavesOneCertificate(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckFailed, belay.CheckPassed))
	w.start()
	s := steps("a", "b")
	s[0].Next = &plan.StepSpec{Name: "a2", Driver: "fake"}
	rb := w.run(newPlan(t, "r-1", s))
	if rb.State != belay.RollbackVerified || rb.Certificate.Rung != 1 {
		t.Errorf("%s: %+v", rb.State, rb.Certificate)
	}
	if got := states(rb); got != "0/a=done 0/b=done 1/a2=done 1/b=already" {
		t.Errorf("steps %s", got)
	}
}

func TestAFailedProofOnTheLastRungFailsTheRollback(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckFailed))
	w.start()
	rb := w.run(newPlan(t, "r-1", steps("a")))
	if rb.State != belay.RollbackFailed || rb.Certificate.Result != belay.ResultFailed || !strings.Contains(rb.Reason, "release of a:1") {
		t.Errorf("%s %q %+v", rb.State, rb.Reason, rb.Certificate)
	}
	if !strings.HasSuffix(w.journal.eventIDs(), "r-1/0/proof r-1/end") {
		t.Errorf("events %s", w.journal.eventIDs())
	}
}

func TestWhatCannotBeProvenIsUnverified(t *testing.T) {
	for name, prover := range map[string]proverFunc{
		"unknown": verdict(belay.CheckUnknown),
		"error": func(context.Context, belay.Rollback) (belay.Certificate, error) {
			return belay.Certificate{Result: belay.ResultVerified}, errBoom
		},
		"panic": func(context.Context, belay.Rollback) (belay.Certificate, error) { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, prover)
			w.start()
			if rb := w.run(newPlan(t, "r-1", steps("a"))); rb.State != belay.RollbackUnverified || rb.Certificate.Result != belay.ResultUnverified {
				t.Errorf("%s: %+v", rb.State, rb.Certificate)
			}
		})
	}
}

func TestADriftedTargetIsLeftAsItIs(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	w.target.set("a", belay.ProgressDrifted)
	rb := w.run(newPlan(t, "r-1", steps("a", "b")))
	if rb.State != belay.RollbackFailed || w.target.acted() != "" {
		t.Errorf("%s, acts %q", rb.State, w.target.acted())
	}
	if !strings.Contains(rb.Reason, "somebody else changed target a") {
		t.Errorf("reason %q", rb.Reason)
	}
	if c := rb.Certificate; c == nil || c.Result != belay.ResultFailed || !strings.Contains(c.Checks[0].Got, "somebody else") {
		t.Errorf("certificate %+v", c)
	}
}

func TestATargetThatDriftsBetweenAttemptsIsLeftAsItIs(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	w.target.do = func(_ context.Context, a belay.Action) error {
		w.target.set(a.Name, belay.ProgressDrifted)
		return errBoom
	}
	rb := w.run(newPlan(t, "r-1", steps("a")))
	if rb.State != belay.RollbackFailed || w.target.acted() != "a" || !strings.Contains(rb.Reason, "somebody else") {
		t.Errorf("%s %q, acts %q", rb.State, rb.Reason, w.target.acted())
	}
}

func TestAnActIsTriedAgainAndLookedAtInBetween(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	n := 0
	w.target.do = func(_ context.Context, a belay.Action) error {
		n++
		if a.Name == "b" {
			w.target.set(a.Name, belay.ProgressDone) // it works and says that it failed
			return errBoom
		}
		if n == 1 {
			return errBoom
		}
		return nil
	}
	rb := w.run(newPlan(t, "r-1", steps("a", "b")))
	if rb.State != belay.RollbackVerified || w.target.acted() != "a a b" {
		t.Errorf("%s %s, acts %q", rb.State, rb.Reason, w.target.acted())
	}
	if rb.Steps[0].Attempts != 2 || rb.Steps[1].Attempts != 1 {
		t.Errorf("attempts %+v", rb.Steps)
	}
}

// A proxy that is restarted while a rollback begins must not cost the rollback; but where there is another way
// back, that is not kept waiting.
func TestATargetOutOfReachIsTriedUntilTheDeadlineOnTheLastRung(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	calls := 0
	w.target.do = func(context.Context, belay.Action) error {
		if calls++; calls < 5 {
			return belay.Errorf(belay.CodeUnavailable, "the target is being restarted")
		}
		return nil
	}
	rb := w.run(newPlan(t, "r-1", steps("a")))
	if rb.State != belay.RollbackVerified || rb.Steps[0].Attempts != 5 {
		t.Errorf("%s after %d attempts: %s", rb.State, rb.Steps[0].Attempts, rb.Reason)
	}

	w = newWorld(t, verdict(belay.CheckPassed))
	w.start()
	w.target.do = func(_ context.Context, a belay.Action) error {
		if a.Name == "a" {
			return belay.Errorf(belay.CodeUnavailable, "the target is gone")
		}
		return nil
	}
	other := steps("b")[0]
	first := steps("a")
	first[0].Next = &other
	if rb = w.run(newPlan(t, "r-1", first)); rb.State != belay.RollbackVerified || states(rb) != "0/a=failed 1/b=done" || rb.Steps[0].Attempts != 2 {
		t.Errorf("%s, %s after %d attempts", rb.State, states(rb), rb.Steps[0].Attempts)
	}
}

func TestAFinalErrorIsNotTriedAgain(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	w.target.do = func(context.Context, belay.Action) error {
		return belay.Errorf(belay.CodeDenied, "no permission on target a")
	}
	rb := w.run(newPlan(t, "r-1", steps("a")))
	if rb.State != belay.RollbackFailed || w.target.acted() != "a" || !strings.Contains(rb.Reason, "no permission") {
		t.Errorf("%s %q, acts %q", rb.State, rb.Reason, w.target.acted())
	}
}

func TestAnActThatHangsEndsAtItsDeadline(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	w.target.do = func(ctx context.Context, _ belay.Action) error { <-ctx.Done(); return ctx.Err() }
	s := steps("a")
	s[0].Deadline = 40 * time.Millisecond
	rb := w.run(newPlan(t, "r-1", s))
	if rb.State != belay.RollbackFailed || !strings.Contains(rb.Reason, "deadline") || w.target.acted() != "a" {
		t.Errorf("%s %q, acts %q", rb.State, rb.Reason, w.target.acted())
	}
}

func TestTheBudgetHoldsOverEverything(t *testing.T) {
	w := newWorld(t, func() proverFunc {
		return func(ctx context.Context, _ belay.Rollback) (belay.Certificate, error) {
			<-ctx.Done()
			return belay.Certificate{}, ctx.Err()
		}
	}())
	w.start()
	w.target.do = func(ctx context.Context, a belay.Action) error {
		if a.Name == "slow" {
			<-ctx.Done()
		}
		return ctx.Err()
	}
	p := newPlan(t, "r-1", steps("slow", "b"))
	p.Budget = belay.Duration(50 * time.Millisecond)
	if rb := w.run(p); rb.State != belay.RollbackFailed || !strings.Contains(rb.Reason, "budget") || rb.Steps[1].State != belay.StepSkipped {
		t.Errorf("%s %q %s", rb.State, rb.Reason, states(rb))
	}
	q := newPlan(t, "r-2", steps("c"))
	q.Budget = belay.Duration(80 * time.Millisecond)
	if rb := w.run(q); rb.State != belay.RollbackUnverified || !strings.Contains(rb.Reason, "budget") {
		t.Errorf("%s %q", rb.State, rb.Reason)
	}
}

func TestWithoutALookTheProofDecides(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	w.target.look = func(belay.Action) (belay.Look, error) {
		return belay.Look{Progress: belay.ProgressUnknown, Detail: "no inspect command"}, nil
	}
	rb := w.run(newPlan(t, "r-1", steps("a")))
	if rb.State != belay.RollbackVerified || states(rb) != "0/a=done" || w.target.acted() != "a" {
		t.Errorf("%s %s %q", rb.State, states(rb), w.target.acted())
	}
}

func TestAnUnreadableTargetIsStillTakenBack(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	w.target.look = func(belay.Action) (belay.Look, error) {
		if w.target.acted() == "" {
			return belay.Look{}, errBoom
		}
		return belay.Look{Progress: belay.ProgressDone, Detail: "1.9"}, nil
	}
	rb := w.run(newPlan(t, "r-1", steps("a")))
	if rb.State != belay.RollbackVerified || rb.Steps[0].Before != "could not be read: boom" {
		t.Errorf("%s %+v", rb.State, rb.Steps)
	}
}

func TestADriverThatPanicsFailsItsStep(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	w.target.do = func(context.Context, belay.Action) error { panic("nil map") }
	if rb := w.run(newPlan(t, "r-1", steps("a"))); rb.State != belay.RollbackFailed || !strings.Contains(rb.Reason, "nil map") {
		t.Errorf("%s %q", rb.State, rb.Reason)
	}
}

func TestAbortStopsBeforeTheNextStep(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	e := w.start()
	w.target.do = func(ctx context.Context, a belay.Action) error { return e.Abort(ctx, a.Rollback, "user:ann") }
	rb := w.run(newPlan(t, "r-1", steps("a", "b")))
	if rb.State != belay.RollbackAborted || states(rb) != "0/a=done 0/b=skipped" || !strings.Contains(rb.Reason, "user:ann") || rb.Certificate != nil {
		t.Errorf("%s %q %s", rb.State, rb.Reason, states(rb))
	}
	if err := e.Abort(t.Context(), "r-1", "user:ann"); belay.CodeOf(err) != belay.CodeConflict {
		t.Errorf("aborting what has ended: %v", err)
	}
	if err := e.Abort(t.Context(), "r-9", "user:ann"); belay.CodeOf(err) != belay.CodeNotFound {
		t.Errorf("aborting nothing: %v", err)
	}
	if !strings.Contains(w.journal.eventIDs(), "r-1/abort") {
		t.Errorf("events %s", w.journal.eventIDs())
	}
}

func TestASecondRollbackOfTheSameServiceIsRefused(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	e := w.start()
	release := make(chan struct{})
	w.target.do = func(context.Context, belay.Action) error { <-release; return nil }
	p := newPlan(t, "r-1", steps("a"))
	if err := e.Run(t.Context(), p, "belay"); err != nil {
		t.Fatal(err)
	}
	err := e.Run(t.Context(), newPlan(t, "r-2", steps("a")), "user:ann")
	if belay.CodeOf(err) != belay.CodeConflict || !strings.Contains(err.Error(), "r-1") {
		t.Errorf("got %v", err)
	}
	other := newPlan(t, "r-3", steps("z"), func(s *plan.Spec) { s.Environment = "staging" })
	if err := e.Run(t.Context(), other, "belay"); err != nil {
		t.Error(err)
	}
	close(release)
	w.wait("r-1")
	w.wait("r-3")
}

func TestWhatCannotBeRunIsRefused(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	e := w.start()
	first := newPlan(t, "r-1", steps("a"), func(s *plan.Spec) { s.To = belay.Release{} })
	if err := e.Run(t.Context(), first, "user:ann"); belay.CodeOf(err) != belay.CodeConflict || !strings.Contains(err.Error(), "first deployment") {
		t.Errorf("got %v", err)
	}
	alien := newPlan(t, "r-2", []plan.StepSpec{{Driver: "kubernetes"}}, func(s *plan.Spec) { s.Budget = time.Hour })
	if err := e.Run(t.Context(), alien, "user:ann"); belay.CodeOf(err) != belay.CodeInvalid || !strings.Contains(err.Error(), "kubernetes") {
		t.Errorf("got %v", err)
	}
	if len(w.journal.rollbacks) != 0 {
		t.Errorf("stored %v", w.journal.rollbacks)
	}
}

func TestTheGuardBindsBelayAndNotAPerson(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	e := w.start()
	w.run(newPlan(t, "r-1", steps("a")))
	w.run(newPlan(t, "r-2", steps("b")))
	err := e.Run(t.Context(), newPlan(t, "r-3", steps("c")), "belay")
	if belay.CodeOf(err) != belay.CodeConflict || !strings.Contains(err.Error(), "2 times in the past hour") {
		t.Errorf("got %v", err)
	}
	if err := e.Run(t.Context(), newPlan(t, "r-3", steps("c")), "user:ann"); err != nil {
		t.Fatal(err)
	}
	w.wait("r-3")
	if !strings.Contains(w.journal.eventIDs(), "r-3/overruled") {
		t.Errorf("events %s", w.journal.eventIDs())
	}
	back := newPlan(t, "r-4", steps("d"), func(s *plan.Spec) { s.From, s.To = s.To, s.From })
	if objections, err := e.Guard(t.Context(), back); err != nil || !strings.Contains(strings.Join(objections, ";"), "2.0 is in quarantine: error_rate is 12 %") {
		t.Errorf("got %v %v", objections, err)
	}
}

func TestLookChangesNothing(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	e := w.start()
	w.target.set("b", belay.ProgressDone)
	looks := e.Look(t.Context(), newPlan(t, "r-1", steps("a", "b")))
	if len(looks) != 2 || looks[0].Look.Progress != belay.ProgressPending || looks[1].Look.Progress != belay.ProgressDone {
		t.Errorf("%+v", looks)
	}
	if w.target.acted() != "" || len(w.journal.rollbacks) != 0 {
		t.Error("a look acted")
	}
}

func TestSubscribersSeeTheNewestState(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	e := w.start()
	updates, cancel := e.Subscribe("r-1")
	defer cancel()
	w.run(newPlan(t, "r-1", steps("a", "b")))
	if rb := <-updates; rb.State != belay.RollbackVerified {
		t.Errorf("newest is %s", rb.State)
	}
}

func TestNewRefusesHalfAnEngine(t *testing.T) {
	if _, err := rollback.New(rollback.Options{}); err == nil {
		t.Error("an engine without a journal")
	}
}
