package learning_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/judge"
)

// decided is after how many seconds a release that fails more often than the old one is called regressed, by a watch
// that was told what is known; and its card.
func decided(t *testing.T, w *world, known *belay.Learned, share float64) (float64, belay.Card) {
	t.Helper()
	j := judge.New(translate.JudgePolicy(w.cfg.Services[0], belay.Deployment{Ref: shop()}, true))
	for at := 1.0; at < 3600; at++ {
		tick := belay.Tick{T: at}
		if at == 1 {
			tick.Learned = known
		}
		for arm, bad := range map[belay.Arm]float64{belay.ArmCandidate: share, belay.ArmBaseline: 0.01} {
			for _, in := range []string{"a:1", "b:1", "c:1"} {
				name := string(arm) + in
				if arm == belay.ArmBaseline {
					name = in
				}
				x := math.Floor(at*10*bad) - math.Floor((at-1)*10*bad)
				tick.Samples = append(tick.Samples, belay.Sample{T: at, Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, Instance: name, N: 10, X: x})
			}
		}
		if c := j.Observe(tick); c.Verdict == belay.VerdictRegressed {
			return at, c
		}
	}
	t.Fatal("never decided")
	return 0, belay.Card{}
}

// TestAWatchThatKnowsTheServiceDecidesEarlier: after a day, the same bad release is called so sooner, and the card says
// what that rests on.
func TestAWatchThatKnowsTheServiceDecidesEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := belay.Deployment{Ref: shop(), CreatedAt: time.Now()}
		if known, err := w.l.Before(t.Context(), d, nil); known != nil || err != nil {
			t.Errorf("before anything was learned: %+v, %v", known, err)
		}
		time.Sleep(24*time.Hour + 5*time.Minute)
		w.l.Stop()
		d.CreatedAt = time.Now()
		if known, err := w.l.Before(t.Context(), d, nil); known != nil || err != nil {
			t.Errorf("what was learned of the hour before, which the watch is shown too, would count twice: %+v, %v", known, err)
		}
		d.CreatedAt = w.of(shop()).Until.Add(time.Hour)
		if known, err := w.l.Before(t.Context(), d, []belay.Sample{{T: -3700}}); known != nil || err != nil {
			t.Errorf("the past that is shown reaches further back, and would count twice: %+v, %v", known, err)
		}
		known, err := w.l.Before(t.Context(), d, []belay.Sample{{T: -600}})
		if err != nil || known == nil {
			t.Fatalf("learned for a day, known %+v, %v", known, err)
		}
		without, _ := decided(t, w, nil, 0.04)
		with, card := decided(t, w, known, 0.04)
		t.Logf("4 %% errors in place of 1 %%, 30 requests a second each: called after %v s without, %v s with what was learned", without, with)
		if with > 0.7*without {
			t.Errorf("decided after %v s with, %v s without what was learned", with, without)
		}
		learned := 0
		for _, s := range card.Signals {
			for _, h := range s.Habits {
				if s.Signal == "error_rate" && h.Source == belay.HabitLearned {
					learned++
				}
			}
		}
		if learned != 2 {
			t.Errorf("the card says that %d habits were learned, want margin and dispersion: %+v", learned, card.Signals)
		}
	})
}

// cut is a store that is cut off, as by the end of the process, at one of its calls: before it does anything, or after
// all of it was done and nobody was told.
type cut struct {
	*store
	calls, at int
	done      bool // the call is carried out
	over      func()
}

var errCut = errors.New("the process is gone")

// call tells whether this call is carried out, and whether its answer arrives.
func (c *cut) call() (carried, answered bool) {
	c.calls++
	switch {
	case c.calls < c.at:
		return true, true
	case c.calls == c.at:
		c.over()
		return c.done, false
	}
	return false, false
}

func (c *cut) Learned(ctx context.Context, ref belay.Ref) (belay.Learned, bool, error) {
	if _, ok := c.call(); !ok {
		return belay.Learned{}, false, errCut
	}
	return c.store.Learned(ctx, ref)
}

func (c *cut) Stable(ctx context.Context, ref belay.Ref) (belay.StableRelease, bool, error) {
	if _, ok := c.call(); !ok {
		return belay.StableRelease{}, false, errCut
	}
	return c.store.Stable(ctx, ref)
}

func (c *cut) Deployments(ctx context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error) {
	if _, ok := c.call(); !ok {
		return nil, errCut
	}
	return c.store.Deployments(ctx, f)
}

func (c *cut) Rollbacks(ctx context.Context, f belay.RollbackFilter) ([]belay.Rollback, error) {
	if _, ok := c.call(); !ok {
		return nil, errCut
	}
	return c.store.Rollbacks(ctx, f)
}

func (c *cut) SetLearned(ctx context.Context, ref belay.Ref, l belay.Learned) error {
	carried, answered := c.call()
	if !carried {
		return errCut
	}
	err := c.store.SetLearned(ctx, ref, l)
	if !answered {
		return errCut
	}
	return err
}

// TestAKillAtAnyMomentCountsNoHourTwice: the process ends at each call of the store in turn, before or after it was
// carried out, is started again, and learns on. Every request is counted once at most, and at most an hour is lost.
func TestAKillAtAnyMomentCountsNoHourTwice(t *testing.T) {
	learn := func(at int, done bool) (sum, passed float64, known belay.Learned, calls int) {
		synctest.Test(t, func(t *testing.T) {
			w, born := still(t), time.Now()
			ctx, end := context.WithCancel(t.Context())
			defer end()
			first := &cut{store: w.store, at: at, done: done, over: end}
			for l := w.learner(t, first); ctx.Err() == nil && time.Since(born) < 3*time.Hour; time.Sleep(time.Minute) {
				l.Once(ctx) // as Start does
			}
			w.begin(t)
			time.Sleep(4*time.Hour + 5*time.Minute - time.Since(born))
			w.l.Stop()
			sum, _ = w.requests(t)
			known, calls = w.of(shop()), first.calls
			passed = known.Until.Sub(born).Seconds() + 3600 // the hour before the first start is learned from
		})
		return sum, passed, known, calls
	}
	whole, _, _, calls := learn(math.MaxInt, false)
	if calls < 10 || !near(whole, 5*3*36000, 0.03) {
		t.Fatalf("%d calls of the store, %v requests in five hours", calls, whole)
	}
	for at := 1; at <= calls; at++ {
		for _, done := range []bool{false, true} {
			got, passed, known, _ := learn(at, done)
			if got > 30*passed || known.Seconds > passed {
				t.Errorf("killed at call %d, carried out: %t: %v requests of %v seconds in %v seconds: some counted twice", at, done, got, known.Seconds, passed)
			}
			if got < whole-1.05*3*36000 || passed < 4*3600 {
				t.Errorf("killed at call %d, carried out: %t: %v requests in %v seconds, and %v without: more than an hour is lost", at, done, got, passed, whole)
			}
		}
	}
}
