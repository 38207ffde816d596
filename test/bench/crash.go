package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/test/bench/figure"
	"github.com/belaydev/belay/test/bench/rig"
)

// gate is a step's target that holds the first act until its caller is gone: there the controller is killed.
type gate struct {
	*httptest.Server
	reached chan struct{}

	mu    sync.Mutex
	armed bool
	state string
	acts  int // that took effect
}

func newGate() *gate {
	g := &gate{reached: make(chan struct{}, 1)}
	g.Server = httptest.NewServer(g)
	return g
}

// arm sets the trap for the next rollback.
func (g *gate) arm() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed, g.state, g.acts = true, "open", 0
}

// ServeHTTP tells the state, or takes an act.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Method == http.MethodGet {
		fmt.Fprint(w, g.state)
		return
	}
	if g.armed {
		g.armed = false
		g.reached <- struct{}{}
		g.mu.Unlock()
		<-r.Context().Done() // killed
		g.mu.Lock()
		return
	}
	g.state = "closed"
	g.acts++
}

// crashing kills the controller in the middle of a rollback and measures how it goes on.
func crashing(ctx context.Context, b *bench) error {
	g := newGate()
	defer g.Close()
	yaml := strings.Replace(blueGreen, "rollback: {max_per_hour: 60}", `rollback:
      max_per_hour: 60
      steps:
        - {name: gate, kind: flags, http: {url: "{{gate}}/", inspect: {url: "{{gate}}/", equals: closed}}}
        - {proxy: edge}`, 1)
	r, err := rig.New(ctx, b.belay, yaml, map[string]string{"gate": g.URL})
	if err != nil {
		return err
	}
	defer r.Close()
	users := rig.NewUsers(r.Front+"/", perSecond)
	defer users.Stop()
	if err := r.Adopted(ctx); err != nil {
		return err
	}
	c := crashed{b: b, r: r, g: g, users: users}
	for i := range b.times(5, 2) {
		if err := c.once(ctx, fmt.Sprintf("2.0.%d", i)); err != nil {
			return fmt.Errorf("run %d: %w", i+1, err)
		}
	}
	b.headline(headline{
		"kill -9 in the middle of a rollback: start of the next process to verified, without the proof", "median " + figure.Seconds(c.verified.Median()), "none", "",
		"each act took effect once in all runs",
	})
	b.part("After a kill -9", `
The controller is killed while the first step of an automatic rollback acts, before the traffic is moved, and started
again at once. Times are from the start of the new process. The proxy goes on serving, as it was told last, meanwhile.

%s`, figure.NewTable("", "runs", "median", "p90", "min", "max").
		Spread("ready", c.ready, figure.Seconds).
		Spread("users get the old release", c.back, figure.Seconds).
		Spread("verified, without the time of the proof", c.verified, figure.Seconds).
		Spread("the proof, proof_time 1 s", c.proof, figure.Seconds))
	return nil
}

// crashed is what was measured of some kills.
type crashed struct {
	b     *bench
	r     *rig.Rig
	g     *gate
	users *rig.Users

	ready, back, verified, proof figure.Series
}

func (c *crashed) once(ctx context.Context, version string) error {
	r, g, users := c.r, c.g, c.users
	users.Mark()
	g.arm()
	d, err := r.Deploy(ctx, version, 0.5)
	if err != nil {
		return err
	}
	select {
	case <-g.reached:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(30 * time.Second):
		d, err := r.API.Deployment(ctx, d.ID)
		return errors.Join(fmt.Errorf("the rollback of %s did not begin: it is %s: %s", version, d.State, d.Reason), err)
	}
	r.Controller.Kill()
	began := time.Now()
	if err := r.Serve(ctx); err != nil {
		return err
	}
	c.ready.Add(time.Since(began).Seconds())
	_, rb, err := r.TakenBack(ctx, d.ID)
	if err != nil {
		return err
	}
	g.mu.Lock()
	acts := g.acts
	g.mu.Unlock()
	if rb.State != belay.RollbackVerified || acts != 1 {
		return fmt.Errorf("the rollback of %s is %s after %d acts: %s", version, rb.State, acts, rb.Reason)
	}
	s := rig.Sum(users.Answers(), rig.Stable)
	proof := rb.Certificate.Took.D()
	c.back.Add(s.Back.Sub(began).Seconds())
	c.proof.Add(proof.Seconds())
	c.verified.Add((rb.EndedAt.Sub(began) - proof).Seconds())
	c.b.say("   %s: ready %s, users back %s, verified %s and a proof of %s", version, figure.Seconds(last(c.ready)), figure.Seconds(last(c.back)),
		figure.Seconds(last(c.verified)), figure.Seconds(last(c.proof)))
	return nil
}
