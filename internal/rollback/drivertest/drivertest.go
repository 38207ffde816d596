// Package drivertest holds what every driver must do, as tests that each driver's own tests run against a real
// target. It tests the contract of rollback.Driver, not what is special to one driver.
package drivertest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/rollback"
)

// Subject is a driver with a target of its own that stands in the state before the rollback.
type Subject struct {
	Driver rollback.Driver
	Action belay.Action
	// State reads the target without the driver: all that a rollback could change.
	State func() string
	// Effects counts how often the target was changed, read without the driver; nil when it cannot be counted.
	Effects func() int
	// Again makes a second driver for the same target, as a restarted belay would; nil: the driver has no state.
	Again func() rollback.Driver
	// Blind says that the driver has no way to look at this target: its looks answer unknown.
	Blind bool
	// Drift changes the target as a stranger would. Nil: strangers cannot be told; NoDrift says why.
	Drift   func()
	NoDrift string
	// Break makes the target fail every act from now on.
	Break func()
	// Slow makes the target answer no act from now on.
	Slow func()
}

// Exercise runs the suite. setup makes a fresh subject for each test; what it starts ends with the test.
func Exercise(t *testing.T, setup func(t *testing.T) Subject) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Subject){
		"inspect changes nothing":                    inspectChangesNothing,
		"do is seen by inspect":                      doIsSeen,
		"do twice is do once":                        doTwice,
		"a replay after a crash is do once":          replay,
		"a cancelled context leaves the target":      cancelled,
		"a stranger's change is drifted":             drift,
		"an error names the target":                  namesTarget,
		"a slow target is left at the deadline":      slow,
		"a look at the same state reads the same":    steadyLook,
		"a look after the act has words for people":  lookHasWords,
		"a cancelled look is an error, not a result": cancelledLook,
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) { test(t, setup(t)) })
	}
}

func (s Subject) inspect(t *testing.T, d rollback.Driver) belay.Look {
	t.Helper()
	look, err := d.Inspect(t.Context(), s.Action)
	if err != nil {
		t.Fatalf("inspect: %v", err)
	}
	return look
}

func (s Subject) do(t *testing.T, d rollback.Driver) {
	t.Helper()
	if err := d.Do(t.Context(), s.Action); err != nil {
		t.Fatalf("do: %v", err)
	}
}

// want is what a look must answer, given what it would answer if it could see.
func (s Subject) want(p belay.Progress) belay.Progress {
	if s.Blind {
		return belay.ProgressUnknown
	}
	return p
}

func inspectChangesNothing(t *testing.T, s Subject) {
	before := s.State()
	if got, want := s.inspect(t, s.Driver).Progress, s.want(belay.ProgressPending); got != want {
		t.Errorf("before the act the look says %q, want %q", got, want)
	}
	if after := s.State(); after != before {
		t.Errorf("a look changed the target from %q to %q", before, after)
	}
}

func doIsSeen(t *testing.T, s Subject) {
	before := s.State()
	s.do(t, s.Driver)
	if s.State() == before {
		t.Errorf("the act changed nothing: %q", before)
	}
	if got, want := s.inspect(t, s.Driver).Progress, s.want(belay.ProgressDone); got != want {
		t.Errorf("after the act the look says %q, want %q", got, want)
	}
}

func doTwice(t *testing.T, s Subject) { s.twice(t, s.Driver) }

func replay(t *testing.T, s Subject) {
	if s.Again == nil {
		t.Log("declared: the driver keeps no state between acts; the same driver stands for the restarted one")
		s.twice(t, s.Driver)
		return
	}
	s.twice(t, s.Again())
}

func (s Subject) twice(t *testing.T, second rollback.Driver) {
	t.Helper()
	s.do(t, s.Driver)
	state := s.State()
	s.do(t, second)
	if got := s.State(); got != state {
		t.Errorf("the second act with the same key changed the target from %q to %q", state, got)
	}
	if s.Effects == nil {
		t.Log("declared: the target does not count its changes; its state stands for them")
	} else if n := s.Effects(); n != 1 {
		t.Errorf("the target was changed %d times", n)
	}
	if got, want := s.inspect(t, second).Progress, s.want(belay.ProgressDone); got != want {
		t.Errorf("the look says %q, want %q", got, want)
	}
}

func cancelled(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := s.State()
	if err := s.Driver.Do(ctx, s.Action); err == nil {
		t.Error("a cancelled act reports success")
	}
	if after := s.State(); after != before {
		t.Errorf("a cancelled act changed the target from %q to %q", before, after)
	}
}

func cancelledLook(t *testing.T, s Subject) {
	if s.Blind {
		t.Log("declared: the driver cannot look, so there is nothing to cancel")
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if look, err := s.Driver.Inspect(ctx, s.Action); err == nil {
		t.Errorf("a cancelled look answers %+v", look)
	}
}

func drift(t *testing.T, s Subject) {
	if s.Drift == nil {
		if s.NoDrift == "" {
			t.Fatal("say in NoDrift why a stranger's change cannot be told")
		}
		t.Logf("declared: no drift is told: %s", s.NoDrift)
		return
	}
	s.Drift()
	before := s.State()
	look := s.inspect(t, s.Driver)
	if look.Progress != belay.ProgressDrifted || look.Detail == "" {
		t.Errorf("the look says %+v, want drifted and what was read", look)
	}
	if after := s.State(); after != before {
		t.Errorf("the look changed the stranger's %q to %q", before, after)
	}
}

func namesTarget(t *testing.T, s Subject) {
	s.Break()
	err := s.Driver.Do(t.Context(), s.Action)
	if err == nil || !strings.Contains(err.Error(), s.Action.Target) {
		t.Errorf("the error does not name %q: %v", s.Action.Target, err)
	}
}

func slow(t *testing.T, s Subject) {
	s.Slow()
	const deadline, patience = 100 * time.Millisecond, 5 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	began := time.Now()
	err := s.Driver.Do(ctx, s.Action)
	if err == nil {
		t.Error("a target that never answered reports success")
	}
	if took := time.Since(began); took > patience {
		t.Errorf("it took %s with a deadline of %s", took, deadline)
	}
}

func steadyLook(t *testing.T, s Subject) {
	if a, b := s.inspect(t, s.Driver), s.inspect(t, s.Driver); a != b {
		t.Errorf("two looks at the same state read %+v and %+v", a, b)
	}
}

func lookHasWords(t *testing.T, s Subject) {
	s.do(t, s.Driver)
	if s.inspect(t, s.Driver).Detail == "" {
		t.Error("the look has no detail for people")
	}
}
