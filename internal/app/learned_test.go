package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app"
)

// usual is what ten hours with two instances beside each other, errors one by one, leave behind.
func usual(until time.Time) belay.Learned {
	sig := belay.LearnedSignal{Signal: "error_rate", Kind: belay.KindEvents}
	for _, in := range []string{"a", "b", "c", "d"} {
		sig.Bad = append(sig.Bad, belay.LearnedInstance{Name: in, N: 100000, X: 1000, Expected: 1000})
	}
	for range 3 {
		sig.Clumps = append(sig.Clumps, belay.LearnedClumps{Excess: 2900, Usual: 3000, Blocks: 2000, Events: 4000})
	}
	return belay.Learned{Until: until, Seconds: 36000, Signals: []belay.LearnedSignal{sig}}
}

// TestAWatchGoesByWhatWasLearned: also after a restart in the middle of it, and once, however often it is opened.
func TestAWatchGoesByWhatWasLearned(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	o := e.options(t, "")
	a := started(t, o)
	shop := belay.Ref{Service: "shop", Environment: "production"}
	if err := app.Knew(t.Context(), a, shop, usual(time.Now().Add(-2*time.Hour))); err != nil {
		t.Fatal(err)
	}
	e.visit(t)
	d := e.deploy(t, a, "1.1-bad", "1.0")
	until(t, api(t, a), d.ID, belay.StateWatching)
	stop(t, a)
	a = started(t, o)
	d = until(t, api(t, a), d.ID, belay.StateRolledBack, belay.StateUnverified, belay.StateRollbackFailed, belay.StateSucceeded)
	if d.Card == nil || d.State != belay.StateRolledBack {
		t.Fatalf("ended %s: %s", d.State, d.Reason)
	}
	seen := map[belay.HabitName]belay.Habit{}
	for _, s := range d.Card.Signals {
		for _, h := range s.Habits {
			if s.Signal == "error_rate" {
				seen[h.Name] = h
			}
		}
	}
	if h := seen[belay.HabitMargin]; h.Source != belay.HabitLearned || h.Value > 1.3 || !strings.Contains(h.Detail, "4 instances, 4,000 events") {
		t.Errorf("margin %+v, want the learned one", h)
	}
	if h := seen[belay.HabitDispersion]; h.Source != belay.HabitLearned || h.Value > 1.2 {
		t.Errorf("dispersion %+v, want the learned one", h)
	}
}

// TestAPlanSaysThatNoTrafficIsKnown instead of nothing.
func TestAPlanSaysThatNoTrafficIsKnown(t *testing.T) {
	t.Parallel()
	a := started(t, newEdge(t).options(t, ""))
	answer, err := a.Plan(t.Context(), belay.Ref{Service: "shop", Environment: "production"})
	if err != nil || !strings.HasPrefix(answer.Outlook, "no traffic was seen in the last 10 min") {
		t.Fatalf("%q %v", answer.Outlook, err)
	}
}
