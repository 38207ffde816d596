//go:build story

package crash

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
	"github.com/belaydev/belay/test/world"
)

const edgeYAML = `
server: {listen: "{{listen}}"}
proxies: {edge: {listen: "{{front}}", admin: "{{admin}}", slots: {blue: "{{blue}}", green: "{{green}}"}}}
services:
  app:
    health: [{name: web, http: /, interval: 200ms, timeout: 1s, rise: 2, fall: 3}]
    watch: {start_deadline: 20s, deadline: 60s, min_time: 2s, bake: 1s, interval: 200ms}
    rollout: {proxy: edge, steps: [20%, 50%, 100%], step_time: 3s}
    deploy: /bin/true
    verify: {front_door: "http://{{front}}/", release: {http: /version}, proof_time: 1s}
`

// backend is an instance behind the proxy, in the test's own process.
func backend(t *testing.T, addr, version string) *atomic.Int64 {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	served := &atomic.Int64{}
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/users" {
			served.Add(1)
		}
		fmt.Fprint(rw, version)
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close(); <-ended })
	return served
}

// edge is a belay with a proxy in front of two releases, and users.
type edge struct {
	w      *world.World
	front  string
	proxy  *world.Process
	client *proxyclient.Client
	users  *world.Load
	served map[string]*atomic.Int64 // by slot
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	p := world.Ports(t, 4)
	w := world.New(t, edgeYAML, map[string]string{"front": p[0], "admin": p[1], "blue": p[2], "green": p[3]})
	e := &edge{w: w, front: p[0], served: map[string]*atomic.Int64{"blue": backend(t, p[2], "1.0"), "green": backend(t, p[3], "1.1")}}
	client, err := proxyclient.New("edge", p[1], "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	e.client = client
	e.startProxy()
	return e
}

func (e *edge) startProxy() {
	e.w.T.Helper()
	e.proxy = e.w.Spawn("belay proxy", e.w.Bin, "proxy")
	e.w.Until("the proxy is ready", 10*time.Second, func() error { _, err := e.client.Slots(e.w.T.Context()); return err })
}

func (e *edge) weights() map[string]int {
	e.w.T.Helper()
	status, err := e.client.Slots(e.w.T.Context())
	if err != nil {
		e.w.T.Fatal(err)
	}
	return status.Weights()
}

// half brings 1.0 out, then 1.1 until it has half of the traffic, and returns its deployment.
func (e *edge) half() string {
	e.w.T.Helper()
	first := e.w.Begin("app", "--version", "1.0", "--force", "the test has started it already")
	e.serves(first, 100)
	e.users = e.w.Load("http://"+e.front, 150, []world.Request{{Method: "GET", Path: "/users", Share: 100}})
	e.w.Until("users are served", 10*time.Second, func() error {
		if e.served["blue"].Load() < 60 {
			return world.ErrNotYet
		}
		return nil
	})
	e.w.Await(first, 60*time.Second, belay.StateSucceeded)
	id := e.w.Begin("app", "--version", "1.1")
	e.serves(id, 50)
	return id
}

// serves waits until a deployment has a share of the traffic.
func (e *edge) serves(id string, percent int) {
	e.w.T.Helper()
	e.w.Until(fmt.Sprintf("%s has %d %% of the traffic", id, percent), 40*time.Second, func() error {
		d, err := e.w.API.Deployment(e.w.T.Context(), id)
		if err == nil && d.Serving != percent {
			err = fmt.Errorf("it has %d %%", d.Serving)
		}
		return err
	})
}

// more waits until both releases have served n more users each.
func (e *edge) more(what string, n int64) {
	e.w.T.Helper()
	blue, green := e.served["blue"].Load(), e.served["green"].Load()
	e.w.Until(what, 30*time.Second, func() error {
		b, g := e.served["blue"].Load()-blue, e.served["green"].Load()-green
		if b < n || g < n {
			return fmt.Errorf("blue served %d and green %d", b, g)
		}
		return nil
	})
}

// TestUsersAreServedWithoutTheController kills -9 the controller in the middle of a rollout: the proxy keeps serving
// with the weights that it has, not one request fails, and the rollout goes on when the controller is back.
func TestUsersAreServedWithoutTheController(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	controller := e.w.Serve()
	id := e.half()
	before := e.weights()
	controller.Kill()
	e.more("both releases serve on without the controller", 80)
	if now := e.weights(); !maps.Equal(now, before) {
		t.Errorf("the weights are %v without the controller, were %v", now, before)
	}
	e.w.Serve()
	e.w.Await(id, 60*time.Second, belay.StateSucceeded)
	if now := e.weights(); now["green"] != 100 {
		t.Errorf("the rollout ended with %v", now)
	}
	e.users.Stop()
	if n := e.users.Bad.Load(); n > 0 {
		t.Errorf("%d of %d requests failed: %s", n, e.users.Total.Load(), e.users.FirstFailure())
	}
	rep := e.w.Show(id)
	noDuplicates(t, rep)
	most := float64(e.users.Total.Load())
	for _, s := range rep.Deployment.Card.Signals {
		world.MustHave(t, rep, s.N <= most, "%s counts %.0f requests, and only %.0f were sent", s.Signal, s.N, most)
	}
}

// TestTheProxyKeepsItsWeights kills -9 the proxy, with nobody there to tell it anything: it starts with the weights
// that it had.
func TestTheProxyKeepsItsWeights(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	controller := e.w.Serve()
	e.half()
	before := e.weights()
	controller.Kill()
	e.proxy.Kill()
	e.startProxy()
	if now := e.weights(); !maps.Equal(now, before) || now["green"] != 50 {
		t.Errorf("the proxy started with %v, had %v", now, before)
	}
	e.more("both releases serve again", 20)
}

// TestKillAtRandomMomentsOfAWatch kills -9 the controller again and again while a release is watched: what was seen is
// not counted twice, and the verdict is the right one.
func TestKillAtRandomMomentsOfAWatch(t *testing.T) {
	t.Parallel()
	addr := world.Ports(t, 1)[0]
	w := world.New(t, watchYAML, map[string]string{"app": addr, "hook": "http://127.0.0.1:1"})
	hook := w.Hook(0)
	w.Configure(watchYAML, map[string]string{"app": addr, "hook": hook.URL})
	app := w.App(addr, "1.0")
	users := w.Load("http://"+addr, 40, []world.Request{{Method: "GET", Path: "/", Share: 100}})
	rng := seed(t)
	serve := w.Serve()
	w.Adopted("app", "1.0")
	for _, c := range []struct {
		version string
		end     belay.State
	}{{"1.1", belay.StateSucceeded}, {"1.2-bad", belay.StateRolledBack}, {"1.3", belay.StateSucceeded}} {
		before := users.Total.Load()
		id := w.Begin("app", "--version", c.version)
		for range 5 {
			w.Wait(time.Duration(rng.IntN(900)) * time.Millisecond)
			serve.Kill()
			serve = w.Spawn("belay serve", w.Bin, "serve")
		}
		w.Ready(serve)
		d := w.Await(id, 60*time.Second, c.end)
		rep := w.Show(id)
		noDuplicates(t, rep)
		most := float64(users.Total.Load() - before + 40) // front door requests and what was under way included
		for _, s := range d.Card.Signals {
			if s.Signal == "error_rate" {
				world.MustHave(t, rep, s.N <= most, "error_rate counts %.0f requests, and only %.0f were sent", s.N, most)
				world.MustHave(t, rep, s.N > 0, "error_rate counts nothing")
			}
		}
		if c.end == belay.StateRolledBack {
			world.MustBeVerified(t, rep, "release of", "signal error_rate", "front door")
			if v := app.Version(); v != "1.1" {
				t.Errorf("%s runs after the rollback, want 1.1", v)
			}
		}
		allTold(w, hook, rep)
	}
}

const watchYAML = `
server: {listen: "{{listen}}"}
metrics: {scrape_interval: 500ms, watch_interval: 500ms}
notify: {webhooks: [{name: team, url: "{{hook}}"}]}
services:
  app:
    targets: ["{{app}}"]
    health: [{name: web, http: /healthz, interval: 200ms, timeout: 1s, rise: 2, fall: 2}]
    watch: {start_deadline: 20s, deadline: 60s, min_time: 3s, bake: 2s, interval: 200ms}
    deploy: ./deploy.sh
    rollback:
      max_per_hour: 60
      proof_timeout: 30s
      steps: [{command: [./rollback.sh], inspect: [./current.sh], deadline: 20s}]
    verify: {front_door: "http://{{app}}/", release: {http: /version, json: .version}, proof_time: 1s}
`
