package watch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/watch"
)

type gateFunc func() []watch.Finding

func (f gateFunc) Check(context.Context, belay.Deployment) ([]watch.Finding, error) { return f(), nil }

// TestRestartAnywhere drops the conductor at each second of a deployment: it must end as if nothing had been,
// with its deploy command run once and its rollback begun once.
func TestRestartAnywhere(t *testing.T) {
	for _, bad := range []bool{false, true} {
		for at := range 45 {
			in(t, func(t *testing.T, b *bench) {
				b.settings.Policy.Bake, b.settings.Policy.StepTime = 10*time.Second, 5*time.Second
				b.proxied().start()
				want := belay.StateSucceeded
				b.w.shows["2"] = always(belay.VerdictHealthy)
				if bad {
					b.w.shows["2"], want = goodUntil(15*time.Second), belay.StateRolledBack
				}
				id := b.deploy("2")
				time.Sleep(time.Duration(at)*time.Second + 500*time.Millisecond)
				b.restart()
				d := b.end(id)
				if d.State != want || b.w.deploys["2"] != 1 || (bad && len(b.w.reverts) != 1) {
					t.Errorf("restart after %d s: %s (%s), deployed %d times, rollbacks %v", at, d.State, d.Reason, b.w.deploys["2"], b.w.reverts)
				}
				if at < 5 && !bad && !b.m.told("its end is unknown") {
					t.Errorf("restart after %d s: nobody says that the end of the deploy command is unknown", at)
				}
			})
		}
	}
}

// TestDownWhileReplaced: a service replaced in place is down while its deploy command runs. Neither then nor after
// a restart, when the judge sees it all again, is that held against the release; being down afterwards is.
func TestDownWhileReplaced(t *testing.T) {
	for at := range 12 {
		in(t, func(t *testing.T, b *bench) {
			b.w.downUntil = 4 * time.Second
			b.start()
			b.w.shows["2"] = always(belay.VerdictHealthy)
			id := b.deploy("2")
			if at >= 4 {
				time.Sleep(time.Duration(at)*time.Second + 500*time.Millisecond)
				b.restart()
			}
			if d := b.end(id); d.State != belay.StateSucceeded {
				t.Errorf("restart after %d s: %s (%s)", at, d.State, d.Reason)
			}
			if at < 4 && b.w.opened != 2 {
				t.Errorf("the observation was opened %d times, want once before and once after the end of the deploy", b.w.opened)
			}
		})
	}
	in(t, func(t *testing.T, b *bench) {
		b.w.downUntil = time.Hour
		b.start()
		b.w.shows["2"] = always(belay.VerdictHealthy)
		if d := b.end(b.deploy("2")); d.State != belay.StateRolledBack || d.DeployedAt.IsZero() {
			t.Errorf("%s (%s), deployed at %s", d.State, d.Reason, d.DeployedAt)
		}
	})
}

// TestReopenedWhileTheStoreRefuses: an observation that is opened anew as the deploy ends is told what was judged
// already, also when the store did not take it.
func TestReopenedWhileTheStoreRefuses(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.start()
		b.w.shows["2"] = always(belay.VerdictHealthy)
		b.m.mu.Lock()
		b.m.full = true
		b.m.mu.Unlock()
		id := b.deploy("2")
		b.is(id, belay.StateBaking)
		b.m.mu.Lock()
		b.m.full = false
		b.m.mu.Unlock()
		b.end(id)
		b.w.set(func(w *world) {
			if len(w.gathered) != 2 || !math.IsInf(w.gathered[0], -1) || w.gathered[1] < 3 || w.gathered[1] > 6 {
				t.Errorf("the observations were told %v, want nothing at first, and then the tick before the end of the deploy", w.gathered)
			}
		})
	})
}

// TestReplay holds the verdict after a restart, two bad ticks into three, against the uninterrupted one.
func TestReplay(t *testing.T) {
	run := func(t *testing.T, restart bool) (card belay.Card) {
		in(t, func(t *testing.T, b *bench) {
			b.start()
			b.w.shows["2"] = goodUntil(20 * time.Second)
			id := b.deploy("2")
			time.Sleep(21*time.Second + 500*time.Millisecond)
			if restart {
				b.c.Stop()
				time.Sleep(500 * time.Millisecond)
				b.start()
			}
			card = *b.end(id).Card
		})
		return card
	}
	whole, broken := run(t, false), run(t, true)
	if whole.Reason != broken.Reason || whole.Verdict != broken.Verdict {
		t.Errorf("uninterrupted: %s, %s; restarted: %s, %s", whole.Verdict, whole.Reason, broken.Verdict, broken.Reason)
	}
}

// TestEvidenceBeforeTheCrash: the crash came after the tick was stored and before it was decided upon.
func TestEvidenceBeforeTheCrash(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.start()
		b.w.shows["2"] = always(belay.VerdictHealthy)
		id := b.deploy("2")
		b.is(id, belay.StateBaking)
		b.c.Stop()
		for range 3 {
			bad := belay.Tick{T: 1 + b.m.ticks[id][len(b.m.ticks[id])-1].T, Samples: []belay.Sample{{Signal: string(belay.VerdictRegressed)}}}
			b.m.ticks[id] = append(b.m.ticks[id], bad)
		}
		b.start()
		if d := b.end(id); d.State != belay.StateRolledBack {
			t.Errorf("ended as %s", d.State)
		}
	})
}

func TestRestartWhileWaiting(t *testing.T) {
	for range 20 { // a stop and the go-ahead may come at the same time
		restartWhileWaiting(t)
	}
}

func restartWhileWaiting(t *testing.T) {
	t.Helper()
	in(t, func(t *testing.T, b *bench) {
		b.w.takes = time.Minute
		b.proxied().start()
		b.w.shows["2"], b.w.shows["3"] = goodUntil(0), always(belay.VerdictHealthy)
		first := b.deploy("2")
		b.is(first, belay.StateRollingBack)
		second := b.deploy("3")
		b.restart()
		if d := b.is(second, belay.StateDeploying); d.Previous != v("1") {
			t.Errorf("over %s", d.Previous)
		}
		if d, _ := b.m.Deployment(t.Context(), first); d.State != belay.StateRolledBack {
			t.Errorf("began while the first was %s", d.State)
		}
		b.end(second)
	})
}

// TestStoreFailure: what is decided while the store refuses is not lost, and users are taken back meanwhile.
func TestStoreFailure(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.start()
		b.w.shows["2"] = goodUntil(time.Minute)
		id := b.deploy("2")
		b.is(id, belay.StateBaking)
		b.m.breakDown(true)
		looks := b.w.looked()
		time.Sleep(2 * time.Minute)
		b.w.set(func(w *world) {
			if w.looks-looks < 30 || len(w.reverts) != 1 {
				t.Errorf("%d looks, %d reverts while the store was down", w.looks-looks, len(w.reverts))
			}
		})
		if n := b.c.Unsaved(); n < 3 { // rolling back, the quarantine, rolled back
			t.Errorf("%d decisions are unsaved", n)
		}
		b.m.breakDown(false)
		if d := b.end(id); d.State != belay.StateRolledBack {
			t.Errorf("ended as %s", d.State)
		}
		if got := b.m.states(id); got != "pending deploying watching baking rolling_back rolled_back" {
			t.Errorf("went through %s", got)
		}
		// Every look is in the store, in order.
		for i, tick := range b.m.ticks[id] {
			if i > 0 && tick.T <= b.m.ticks[id][i-1].T {
				t.Fatalf("tick at %v after %v", tick.T, b.m.ticks[id][i-1].T)
			}
		}
		if n := len(b.m.ticks[id]); n < 60 {
			t.Errorf("%d ticks are stored", n)
		}
		if n := b.c.Unsaved(); n != 0 {
			t.Errorf("%d decisions are unsaved at the end", n)
		}
	})
}

// TestRollbackWaitsForItsRecord: for two seconds, and no longer, however long the store has refused before.
func TestRollbackWaitsForItsRecord(t *testing.T) {
	for name, c := range map[string]struct{ down, bad, wait time.Duration }{
		"the store fails with the verdict": {down: 21500 * time.Millisecond, bad: 20 * time.Second, wait: 2 * time.Second},
		"it has failed for long":           {down: 10 * time.Second, bad: time.Minute, wait: 0},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T, b *bench) {
				var out strings.Builder
				b.log = slog.New(slog.NewTextHandler(&out, nil))
				b.start()
				b.w.shows["2"] = goodUntil(c.bad)
				id := b.deploy("2")
				began := time.Now()
				// The third bad look is at 2 s after the first.
				time.Sleep(c.down)
				b.m.breakDown(true)
				want := c.bad + 2*time.Second + c.wait + 1500*time.Millisecond
				time.Sleep(want - time.Since(began))
				b.w.set(func(w *world) {
					if len(w.begun) != 1 {
						t.Fatalf("%d rollbacks began within %s", len(w.begun), want)
					}
					for _, at := range w.begun {
						if at.Sub(began) < c.bad+2*time.Second+c.wait {
							t.Errorf("began after %s", at.Sub(began))
						}
					}
				})
				time.Sleep(time.Minute)
				b.m.breakDown(false)
				if d := b.end(id); d.State != belay.StateRolledBack || b.w.reverts[d.Rollback] != 1 {
					t.Errorf("ended as %s, rollbacks %v", d.State, b.w.reverts)
				}
				b.c.Stop()
				if n := strings.Count(out.String(), "before its decision is on record"); n != 1 {
					t.Errorf("said so %d times:\n%s", n, out.String())
				}
			})
		})
	}
}

// TestRollbackEngineRefusesToo: the engine has the same full disk. The rollback is not given up, whatever kind of
// error that is, and it begins when there is space again.
func TestRollbackEngineRefusesToo(t *testing.T) {
	for _, err := range []error{errors.New("disk is full"), belay.Errorf(belay.CodeUnavailable, "disk is full")} {
		in(t, func(t *testing.T, b *bench) {
			var out strings.Builder
			b.log = slog.New(slog.NewTextHandler(&out, nil))
			b.start()
			b.w.shows["2"] = goodUntil(20 * time.Second)
			id := b.deploy("2")
			b.is(id, belay.StateWatching)
			b.m.breakDown(true)
			b.w.set(func(w *world) { w.refuse = err })
			time.Sleep(10 * time.Minute)
			b.w.set(func(w *world) { w.refuse = nil })
			b.m.breakDown(false)
			if d := b.end(id); d.State != belay.StateRolledBack {
				t.Errorf("ended as %s: %s", d.State, d.Reason)
			}
			b.c.Stop()
			if n := strings.Count(out.String(), "store_refuses=true"); n != 1 {
				t.Errorf("said so %d times:\n%s", n, out.String())
			}
		})
	}
}

// TestLongReplay: reading and judging what was stored may take longer than a look, and go over several.
func TestLongReplay(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.settings.Policy.Bake = 10 * time.Minute
		b.start()
		b.w.shows["2"] = goodUntil(100 * time.Second)
		id := b.deploy("2")
		time.Sleep(90*time.Second - time.Since(b.is(id, belay.StateBaking).CreatedAt))
		b.c.Stop()
		stored := len(b.m.ticks[id])
		b.m.slow, b.thinks = 30*time.Second, 2*time.Second
		b.start()
		d := b.end(id)
		if d.State != belay.StateRolledBack {
			t.Fatalf("ended as %s: %s", d.State, d.Reason)
		}
		if want := fmt.Sprintf("3 of %d ticks bad", stored+3); d.Card.Reason != want {
			t.Errorf("the judge says %q, want %q: each stored tick is seen once", d.Card.Reason, want)
		}
	})
}

// TestStoreFailureHoldsTheTraffic: nothing moves on an unrecorded decision, and what a rollback has overtaken is
// not made up for.
func TestStoreFailureHoldsTheTraffic(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.proxied().start()
		b.w.shows["2"] = goodUntil(20 * time.Second)
		id := b.deploy("2")
		b.is(id, belay.StateDeploying)
		time.Sleep(time.Second)
		b.m.breakDown(true)
		time.Sleep(time.Minute)
		b.m.breakDown(false)
		if d := b.end(id); d.State != belay.StateRolledBack {
			t.Errorf("ended as %s", d.State)
		}
		if got := strings.Join(b.w.moves, " "); got != "green=0" {
			t.Errorf("traffic: %s", got)
		}
	})
}

func TestFiftyAtOnce(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.start()
		b.w.shows["good"], b.w.shows["bad"] = always(belay.VerdictHealthy), goodUntil(20*time.Second)
		ids := map[string]belay.State{}
		for i := range 50 {
			version, want := "good", belay.StateSucceeded
			if i%2 == 0 {
				version, want = "bad", belay.StateRolledBack
			}
			d, err := b.c.Deploy(t.Context(), belay.DeployRequest{
				Ref: belay.Ref{Service: fmt.Sprintf("s%02d", i), Environment: "production"}, Release: v(version), Actor: "ci",
			})
			if err != nil {
				t.Fatal(err)
			}
			ids[d.ID] = want
		}
		for id, want := range ids {
			if d := b.end(id); d.State != want || d.EndedAt.Sub(d.CreatedAt) > 90*time.Second {
				t.Errorf("%s: %s after %s, want %s", d.Service, d.State, d.EndedAt.Sub(d.CreatedAt), want)
			}
		}
	})
}

// TestStartStop starts and stops in every order and at once: nothing hangs, nothing is left behind.
func TestStartStop(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.start()
		if err := b.c.Start(t.Context()); err != nil {
			t.Errorf("second start: %v", err)
		}
		id := b.deploy("2")
		ch, cancel := b.c.Subscribe(id)
		defer cancel()
		b.c.Stop()
		b.c.Stop()
		for range ch { // closed by the stop
		}
		if err := b.c.Start(t.Context()); belay.CodeOf(err) != belay.CodeUnavailable {
			t.Errorf("start after stop: %v", err)
		}
		if _, err := b.c.Deploy(t.Context(), belay.DeployRequest{Ref: shop, Release: v("3")}); belay.CodeOf(err) != belay.CodeUnavailable {
			t.Errorf("deploy after stop: %v", err)
		}
	})
	for range 100 {
		in(t, func(t *testing.T, b *bench) {
			b.start()
			b.w.shows["2"] = always(belay.VerdictHealthy)
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					_, _ = b.c.Deploy(t.Context(), belay.DeployRequest{Ref: shop, Release: v(fmt.Sprint(2 + i)), Actor: "ci"})
				})
				wg.Go(func() { _ = b.c.Start(t.Context()) })
			}
			wg.Go(b.c.Stop)
			wg.Wait()
			synctest.Wait()
		})
	}
}
