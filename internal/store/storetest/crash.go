package storetest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	belay "github.com/belaydev/belay"
)

// victimDir tells the started test binary that it is there to write into this folder until it is killed.
const victimDir = "BELAY_STORETEST_VICTIM"

const eventsEach = 3 // events stored with every deployment of the crash test

// victim writes deployments with events and says of each that it is stored, until it is killed. It returns false
// in a process that is not the victim.
func victim(t *testing.T, open Open) bool {
	dir := os.Getenv(victimDir)
	if dir == "" {
		return false
	}
	s, ctx := open(t, dir), t.Context()
	s.SetChannels(map[string][]belay.EventKind{"ops": {belay.EventState}})
	have := must[[]belay.Deployment](t)(s.Deployments(ctx, belay.DeploymentFilter{}))
	var wg sync.WaitGroup
	const writers = 2
	for w := range writers {
		wg.Go(func() {
			for i := len(have) + w; ; i += writers {
				id := fmt.Sprintf("d-%06d", i)
				if err := s.SaveDeployment(ctx, deployment(id, i), ofDeployment(id, i)...); err != nil {
					t.Errorf("save: %v", err)
					return
				}
				if err := s.AppendTick(ctx, id, belay.Tick{T: 1}); err != nil {
					t.Errorf("save: %v", err)
					return
				}
				fmt.Printf("stored %s\n", id) // one write call: lines of the two do not mix
			}
		})
	}
	wg.Wait()
	return true
}

func ofDeployment(id string, n int) []belay.Event {
	var out []belay.Event
	for i := range eventsEach {
		out = append(out, event(fmt.Sprintf("e-%s-%d", id, i), id, n))
	}
	return out
}

// testKill kills a writing process three times at a random moment and looks each time for what it had
// acknowledged, and for halves of what it had not.
func testKill(t *testing.T, open Open) {
	dir := t.TempDir()
	top, _, _ := strings.Cut(t.Name(), "/")
	acked := map[string]bool{}
	for range 3 {
		runVictim(t, top, dir, 1+rand.IntN(150), acked)
		survey(t, open, dir, acked)
	}
}

func runVictim(t *testing.T, test, dir string, enough int, acked map[string]bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), victimDir+"="+dir)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	n := 0
	var other []string
	// After the kill the pipe still holds what was acknowledged before it: read to the end.
	for lines := bufio.NewScanner(out); lines.Scan(); {
		id, is := strings.CutPrefix(lines.Text(), "stored ")
		if !is {
			other = append(other, lines.Text())
			continue
		}
		acked[id] = true
		if n++; n == enough {
			ok(t, cmd.Process.Kill())
		}
	}
	err = cmd.Wait()
	if n < enough {
		t.Fatalf("the writing process ended by itself after %d writes: %v\n%s", n, err, strings.Join(other, "\n"))
	}
}

func survey(t *testing.T, open Open, dir string, acked map[string]bool) {
	t.Helper()
	s, ctx := open(t, dir), context.WithoutCancel(t.Context())
	defer func() { ok(t, s.Close()) }()
	ok(t, s.Health(ctx))
	stored := map[string]bool{}
	for _, d := range must[[]belay.Deployment](t)(s.Deployments(ctx, belay.DeploymentFilter{})) {
		stored[d.ID] = true
	}
	perDeployment := map[string]int{}
	for _, e := range must[[]belay.Event](t)(s.Events(ctx, belay.EventFilter{})) {
		perDeployment[e.Deployment]++
	}
	for id := range acked {
		if !stored[id] {
			t.Errorf("deployment %s was acknowledged and is lost", id)
		}
		if len(must[[]belay.Tick](t)(s.Ticks(ctx, id, 0))) != 1 {
			t.Errorf("the tick of deployment %s was acknowledged and is lost", id)
		}
	}
	for id := range stored {
		if perDeployment[id] != eventsEach {
			t.Errorf("deployment %s has %d events, want %d: half a transaction", id, perDeployment[id], eventsEach)
		}
		delete(perDeployment, id)
	}
	if len(perDeployment) > 0 {
		t.Errorf("events of deployments that are not stored: %v", perDeployment)
	}
	if b := must[belay.Backlog](t)(s.Backlog(ctx, "ops")); b.Pending != len(stored)*eventsEach {
		t.Errorf("%d deliveries wait, want %d", b.Pending, len(stored)*eventsEach)
	}
}

func testWriters(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	const writers, each = 8, 25
	woken, cancel := s.Subscribe()
	defer cancel()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			id := fmt.Sprintf("d-%d", w)
			for i := range each {
				err := s.SaveDeployment(ctx, deployment(id, w), event(fmt.Sprintf("e-%d-%d", w, i), id, i))
				if err == nil {
					err = s.AppendTick(ctx, id, belay.Tick{T: float64(i)})
				}
				if err == nil {
					_, err = s.Deployments(ctx, belay.DeploymentFilter{Active: true})
				}
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	// One reader follows by cursor while all write, and must see every event once, in a stable order.
	var seen []string
	f := belay.EventFilter{Limit: 10}
	over := make(chan struct{})
	go func() { wg.Wait(); close(over) }()
	for last := false; ; {
		list := must[[]belay.Event](t)(s.Events(ctx, f))
		if len(list) == 0 && last {
			break
		}
		if len(list) == 0 {
			select {
			case <-woken:
			case <-over:
				last = true
			}
			continue
		}
		seen = append(seen, ids(list, eventID)...)
		f.After = list[len(list)-1].ID
	}
	all := ids(must[[]belay.Event](t)(s.Events(ctx, belay.EventFilter{})), eventID)
	if !slices.Equal(seen, all) {
		t.Errorf("the follower saw %d events, want the %d stored in their order", len(seen), len(all))
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != writers*each {
		t.Errorf("%d different events, want %d", n, writers*each)
	}
}

func testClosed(t *testing.T, open Open) {
	s := open(t, t.TempDir())
	ok(t, s.Health(t.Context()))
	ok(t, s.Close())
	if s.Health(t.Context()) == nil {
		t.Error("a closed store says it is well")
	}
	if s.Append(t.Context(), event("e-1", "d-1", 1)) == nil {
		t.Error("a closed store stores")
	}
}
