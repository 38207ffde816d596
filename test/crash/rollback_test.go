//go:build story

package crash

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/test/world"
)

// run is one rollback that is interrupted.
type run struct {
	w     *world.World
	g     *target
	hook  *world.Hook
	serve atomic.Pointer[world.Process]
}

// kill is kill -9 of the controller that runs now.
func (r *run) kill() { r.serve.Load().Kill() }

// start starts the controller, without waiting.
func (r *run) start() { r.serve.Store(r.w.Spawn("belay serve", r.w.Bin, "serve")) }

// begin registers a deployment of version, which runs everywhere, and returns its id.
func (r *run) begin(version string) string {
	r.w.T.Helper()
	r.g.begin(version, "1.0")
	return strings.TrimSpace(r.w.MustRun("deploy", "app", "--version", version, "--previous", "1.0", "--register", "--detach"))
}

// abort asks for the rollback. The answer may never come: belay may be dead by then.
func (r *run) abort(id string) {
	r.w.T.Helper()
	_, err := r.w.API.Act(r.w.T.Context(), id, belay.ActRequest{Act: belay.ActAbort, Actor: "user:ann", Reason: "it is bad"})
	if err != nil && belay.CodeOf(err) != belay.CodeUnavailable {
		r.w.T.Fatal(err)
	}
}

// check holds what must be true of every rollback, however often belay was killed.
func (r *run) check(id, route string) {
	t := r.w.T
	t.Helper()
	r.w.Await(id, 60*time.Second, belay.StateRolledBack)
	rep := r.w.Show(id)
	world.MustBeVerified(t, rep, "front door")

	var order []string
	for _, e := range r.g.seen() {
		order = append(order, e.part)
		if !e.changed || e.version != "1.0" || e.route != route || !strings.HasSuffix(e.key, "/"+e.part) {
			t.Errorf("effect %+v: want one change by route %s under the step's key", e, route)
		}
	}
	if !slices.Equal(order, parts) {
		t.Errorf("the effects are %v, want each once and in order: %v", order, parts)
	}

	steps := map[string]belay.StepState{}
	for _, s := range rep.Rollback.Steps {
		steps[s.Key] = s.State
		if s.Rung == rep.Rollback.Rung && s.State != belay.StepDone {
			world.MustHave(t, rep, false, "step %s is %s: %s", s.Key, s.State, s.Error)
		}
	}
	if len(steps) != len(rep.Rollback.Steps) {
		t.Errorf("the record has a step twice: %+v", rep.Rollback.Steps)
	}
	noDuplicates(t, rep)
	proofs := 0
	for _, e := range rep.Timeline {
		if e.Kind == belay.EventProof {
			proofs++
		}
	}
	world.MustHave(t, rep, proofs == 1, "%d certificates were issued", proofs)
	allTold(r.w, r.hook, rep)
}

// noDuplicates checks that nothing is told twice in a timeline.
func noDuplicates(t *testing.T, rep world.Report) {
	t.Helper()
	ids, said := map[string]bool{}, map[string]bool{}
	for _, e := range rep.Timeline {
		words := string(e.Kind) + e.Message
		world.MustHave(t, rep, !ids[e.ID], "event %s is there twice", e.ID)
		if e.Kind != belay.EventVerdict && e.Kind != belay.EventEvidence { // these come and go
			world.MustHave(t, rep, !said[words], "%q is there twice", e.Message)
		}
		ids[e.ID], said[words] = true, true
	}
}

// allTold waits until the receiver has each change of state, in order.
func allTold(w *world.World, hook *world.Hook, rep world.Report) {
	w.T.Helper()
	var want []belay.State
	for _, e := range rep.Timeline {
		if e.Kind == belay.EventState {
			want = append(want, e.State)
		}
	}
	w.Until("every change of state is told", 20*time.Second, func() error {
		if got := hook.States(rep.Deployment.ID); !slices.Equal(got, want) {
			return fmt.Errorf("told was %v, want %v", got, want)
		}
		return nil
	})
}

// TestKillAtEveryMomentOfARollback kills -9 the controller at each moment of each step that makes a difference, on
// the first way back and on the fallback.
func TestKillAtEveryMomentOfARollback(t *testing.T) {
	t.Parallel()
	for _, route := range []string{"front", "back"} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			w, g, hook := crashWorld(t)
			r := &run{w: w, g: g, hook: hook}
			r.serve.Store(w.Serve())
			for i, part := range parts {
				for k, at := range moments {
					id := r.begin(fmt.Sprintf("2.%d.%d", i, k))
					if route == "back" {
						g.mu.Lock()
						g.refuse = "front" // so that the fallback is needed
						g.mu.Unlock()
					}
					g.killAt(route, part, at, r.kill)
					r.abort(id)
					r.awaitKill(fmt.Sprintf("%s of %s", at, part))
					r.start()
					r.check(id, route)
					if t.Failed() {
						t.Fatalf("killed %s of step %s by route %s", at, part, route)
					}
				}
			}
		})
	}
}

func (r *run) awaitKill(when string) {
	r.w.T.Helper()
	select {
	case <-r.g.killed:
	case <-time.After(20 * time.Second):
		r.w.T.Fatalf("the moment %s never came: %+v", when, r.g.seen())
	}
}

// TestKillOneRollbackAtEveryMoment kills -9 the controller twelve times during one rollback, while somebody follows.
func TestKillOneRollbackAtEveryMoment(t *testing.T) {
	t.Parallel()
	w, g, hook := crashWorld(t)
	r := &run{w: w, g: g, hook: hook}
	r.serve.Store(w.Serve())
	id := r.begin("2.0")
	follower := w.Spawn("belay verify", w.Bin, "verify", id)
	w.Until("it is followed", 10*time.Second, func() error {
		if !strings.Contains(follower.Log.String(), "registered") {
			return world.ErrNotYet
		}
		return nil
	})
	first := true
	for _, part := range parts {
		for _, at := range moments {
			g.killAt("front", part, at, r.kill)
			if first {
				r.abort(id)
			} else {
				r.start()
			}
			first = false
			r.awaitKill(fmt.Sprintf("%s of %s", at, part))
		}
	}
	r.start()
	r.check(id, "front")
	select {
	case <-follower.Done:
	case <-time.After(20 * time.Second):
		t.Fatal("whoever followed it was not told of the end")
	}
	if code := follower.ProcessState.ExitCode(); code != 3 {
		t.Errorf("belay verify ended with %d, want 3, through all restarts:\n%s", code, follower.Log)
	}
}

// seed makes a run repeatable: BELAY_SEED=N.
func seed(t *testing.T) *rand.Rand {
	t.Helper()
	n, err := strconv.ParseUint(cmp.Or(os.Getenv("BELAY_SEED"), "20240611"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("BELAY_SEED=%d", n)
	return rand.New(rand.NewPCG(n, n))
}

// TestKillAtRandomMomentsOfARollback kills -9 the controller at moments that nobody chose, its start included.
func TestKillAtRandomMomentsOfARollback(t *testing.T) {
	t.Parallel()
	w, g, hook := crashWorld(t)
	g.delay = 15 * time.Millisecond
	r := &run{w: w, g: g, hook: hook}
	rng := seed(t)
	r.serve.Store(w.Serve())
	for n := range 5 {
		id := r.begin(fmt.Sprintf("2.%d", n))
		r.abort(id)
		for range 3 {
			w.Wait(time.Duration(rng.IntN(250)) * time.Millisecond)
			r.kill()
			r.start()
		}
		w.Ready(r.serve.Load())
		r.check(id, "front")
		if t.Failed() {
			t.FailNow()
		}
	}
}
