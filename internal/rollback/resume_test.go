package rollback_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/rollback"
)

func TestAStopLetsTheActEndAndTheNextStartGoesOn(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	e := w.start()
	stopped := make(chan struct{})
	w.target.do = func(ctx context.Context, a belay.Action) error {
		if a.Name == "a" {
			go func() { defer close(stopped); w.stop(e) }()
			for !refused(e) { // the stop has begun
			}
		}
		return ctx.Err()
	}
	if err := e.Run(t.Context(), newPlan(t, "r-1", steps("a", "b", "c")), "belay"); err != nil {
		t.Fatal(err)
	}
	<-stopped
	if got := w.target.acted(); got != "a" {
		t.Fatalf("acts before the restart: %q", got)
	}
	w.start()
	rb := w.wait("r-1")
	if rb.State != belay.RollbackVerified || states(rb) != "0/a=done 0/b=done 0/c=done" || w.target.acted() != "a b c" {
		t.Errorf("%s %s, acts %q", rb.State, states(rb), w.target.acted())
	}
}

// refused tells whether the engine takes no more rollbacks; the plan could not be run anyway.
func refused(e *rollback.Engine) bool {
	return belay.CodeOf(e.Run(context.Background(), belay.Plan{ID: "none"}, "belay")) == belay.CodeUnavailable
}

func TestAnActThatOutlastsTheStopIsDoneAgain(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	e := w.start()
	acting := make(chan struct{}, 1)
	w.target.do = func(ctx context.Context, _ belay.Action) error { acting <- struct{}{}; <-ctx.Done(); return ctx.Err() }
	if err := e.Run(t.Context(), newPlan(t, "r-1", steps("a")), "belay"); err != nil {
		t.Fatal(err)
	}
	<-acting
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Stop(impatient); err != nil {
		t.Fatal(err)
	}
	if rb, _ := w.journal.Rollback(t.Context(), "r-1"); rb.State != belay.RollbackRunning {
		t.Fatalf("a stop ended the rollback: %s %s", rb.State, rb.Reason)
	}
	w.target.do = nil
	w.start()
	if rb := w.wait("r-1"); rb.State != belay.RollbackVerified || w.target.acted() != "a a" {
		t.Errorf("%s %s, acts %q", rb.State, rb.Reason, w.target.acted())
	}
}

func TestAnEndThatWasWrittenStaysAsItWasWritten(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	e := w.start()
	stopped := make(chan error, 1)
	w.journal.saved = func(ctx context.Context, rb belay.Rollback) {
		if !rb.State.Final() {
			return
		}
		go func() { // the process ends between the write and its record
			impatient, cancel := context.WithCancel(context.Background())
			cancel()
			stopped <- e.Stop(impatient)
		}()
		<-ctx.Done()
	}
	if err := e.Run(t.Context(), newPlan(t, "r-1", steps("a")), "belay"); err != nil {
		t.Fatal(err)
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	before, err := w.journal.Rollback(t.Context(), "r-1")
	if err != nil || before.State != belay.RollbackVerified {
		t.Fatal(before.State, err)
	}
	touched := make(chan string, 9)
	w.journal.saved, w.journal.touched = nil, func(id string) { touched <- id }
	e = w.start()
	<-touched // the workflow has come to its end again
	w.stop(e)
	w.journal.touched = nil
	if after, err := w.journal.Rollback(t.Context(), "r-1"); err != nil || !after.EndedAt.Equal(before.EndedAt) || len(touched) != 0 {
		t.Errorf("ended at %s, then at %s (%v)", before.EndedAt, after.EndedAt, err)
	}
}

func TestAProofIsRepeatedAfterAStop(t *testing.T) {
	proving := make(chan struct{}, 1)
	n := 0
	w := newWorld(t, proverFunc(func(ctx context.Context, _ belay.Rollback) (belay.Certificate, error) {
		if n++; n == 1 {
			proving <- struct{}{}
			<-ctx.Done()
			return belay.Certificate{Checks: []belay.Check{{Name: "half", Result: belay.CheckFailed}}}, nil
		}
		return verdict(belay.CheckPassed)(ctx, belay.Rollback{})
	}))
	e := w.start()
	if err := e.Run(t.Context(), newPlan(t, "r-1", steps("a")), "belay"); err != nil {
		t.Fatal(err)
	}
	<-proving
	w.stop(e)
	w.start()
	if rb := w.wait("r-1"); rb.State != belay.RollbackVerified || w.target.acted() != "a" {
		t.Errorf("%s %s, acts %q", rb.State, rb.Reason, w.target.acted())
	}
	if strings.Contains(w.journal.eventIDs(), "r-1/end") {
		t.Errorf("events %s", w.journal.eventIDs())
	}
}

func TestARollbackThatWasStoredButNotBegunIsTakenUp(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	p := newPlan(t, "r-1", steps("a"))
	rb := belay.Rollback{ID: p.ID, Plan: p, State: belay.RollbackRunning, Actor: "belay", StartedAt: time.Now()}
	if err := w.journal.SaveRollback(t.Context(), rb); err != nil {
		t.Fatal(err)
	}
	w.start()
	if rb := w.wait("r-1"); rb.State != belay.RollbackVerified || w.target.acted() != "a" {
		t.Errorf("%s, acts %q", rb.State, w.target.acted())
	}
}

func TestARollbackWhoseBudgetPassedWhileBelayWasAwayFails(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	p := newPlan(t, "r-1", steps("a"))
	rb := belay.Rollback{ID: p.ID, Plan: p, State: belay.RollbackRunning, Actor: "belay", StartedAt: time.Now().Add(-2 * p.Budget.D())}
	if err := w.journal.SaveRollback(t.Context(), rb); err != nil {
		t.Fatal(err)
	}
	w.start()
	if rb := w.wait("r-1"); rb.State != belay.RollbackFailed || !strings.Contains(rb.Reason, "budget") || w.target.acted() != "" {
		t.Errorf("%s %q, acts %q", rb.State, rb.Reason, w.target.acted())
	}
}

func TestAnAbortSurvivesARestart(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	e := w.start()
	acting := make(chan struct{}, 1)
	w.target.do = func(ctx context.Context, _ belay.Action) error { acting <- struct{}{}; <-ctx.Done(); return ctx.Err() }
	if err := e.Run(t.Context(), newPlan(t, "r-1", steps("a", "b")), "belay"); err != nil {
		t.Fatal(err)
	}
	<-acting
	if err := e.Abort(t.Context(), "r-1", "user:ann"); err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Stop(impatient); err != nil {
		t.Fatal(err)
	}
	w.target.do = nil
	w.start()
	if rb := w.wait("r-1"); rb.State != belay.RollbackAborted || states(rb) != "0/a=done 0/b=skipped" {
		t.Errorf("%s %s", rb.State, states(rb))
	}
}

func TestAJournalThatFailsDoesNotKeepUsersFromBeingTakenBack(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	w.start()
	w.target.do = func(_ context.Context, a belay.Action) error {
		w.journal.mu.Lock()
		defer w.journal.mu.Unlock()
		w.journal.broken = nil
		if a.Name == "a" {
			w.journal.broken = errBoom
		}
		return nil
	}
	rb := w.run(newPlan(t, "r-1", steps("a", "b")))
	if rb.State != belay.RollbackVerified || w.target.acted() != "a b" {
		t.Errorf("%s, acts %q", rb.State, w.target.acted())
	}
	if want := "r-1/plan r-1/0/a/started r-1/0/a/ended r-1/0/b/started r-1/0/b/ended r-1/0/proof"; w.journal.eventIDs() != want {
		t.Errorf("events %s", w.journal.eventIDs())
	}
}

func TestStopAndStartInAnyOrder(t *testing.T) {
	w := newWorld(t, verdict(belay.CheckPassed))
	e, err := rollback.New(w.options)
	if err != nil {
		t.Fatal(err)
	}
	if !refused(e) {
		t.Error("an engine that was not started took a rollback")
	}
	w.stop(e)
	w.stop(e)
	if err := e.Start(t.Context()); err == nil {
		t.Error("started after its stop")
	}
	e = w.start()
	if err := e.Start(t.Context()); err == nil {
		t.Error("started twice")
	}
	w.stop(e)
	w.stop(e)
	if !refused(e) {
		t.Error("a stopped engine took a rollback")
	}
}

func BenchmarkStep(b *testing.B) {
	j, d := newJournal(), &target{}
	e, err := rollback.New(rollback.Options{
		Dir: b.TempDir(), Journal: j, Prover: verdict(belay.CheckPassed), Drivers: map[string]rollback.Driver{"fake": d},
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := e.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	p := belay.Plan{ID: "r-1", Rungs: []belay.Rung{{Name: "primary"}}, Budget: belay.Duration(time.Hour), ProofTimeout: belay.Duration(time.Second)}
	for i := range b.N {
		name := "s" + time.Duration(i).String()
		p.Rungs[0].Steps = append(p.Rungs[0].Steps, belay.Step{Key: "r-1/0/" + name, Name: name, Driver: "fake", Deadline: belay.Duration(time.Minute), Attempts: 1})
	}
	b.ResetTimer()
	if err := e.Run(b.Context(), p, "user:bench"); err != nil {
		b.Fatal(err)
	}
	if rb, err := e.Wait(b.Context(), "r-1"); err != nil || rb.State != belay.RollbackVerified {
		b.Fatal(rb.State, rb.Reason, err)
	}
}
