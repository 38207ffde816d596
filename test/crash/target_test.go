//go:build story

package crash

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaydev/belay/test/world"
)

// parts are what a plan of these tests takes back, in the order of the plan.
var parts = []string{"flags", "workload", "schema"}

// moment is when the controller is killed, as the system that it acts on sees it.
type moment string

const (
	atFirstLook  moment = "at the first look" // of the second and third step: between two steps
	beforeEffect moment = "before the effect"
	afterEffect  moment = "after the effect, before the answer"
	atLastLook   moment = "at the look after the act"
)

var moments = []moment{atFirstLook, beforeEffect, afterEffect, atLastLook}

// effect is one change that the target made because it was asked to.
type effect struct {
	part, version, key, route string
	changed                   bool // it was another version before
}

// target is the system that a plan acts on, in the test's own process. It does not remember idempotency keys: asked
// twice, it acts twice, and that is seen.
type target struct {
	addr string

	mu      sync.Mutex
	state   map[string]string // part -> version
	effects []effect
	refuse  string          // requests of this route are refused for good
	kill    func()          // kills the controller, once, at the chosen moment
	at      [3]string       // route, part and moment to kill at
	acted   map[string]bool // part and route: an act took effect in this case
	delay   time.Duration   // of every answer
	killed  chan struct{}   // receives after the kill
	good    string          // version with which the front door answers well
}

// newTarget starts the target; it stops with the test.
func newTarget(t *testing.T, addr string) *target {
	t.Helper()
	g := &target{addr: addr, state: map[string]string{}, acted: map[string]bool{}, killed: make(chan struct{}, 1)}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: g, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close(); <-ended })
	return g
}

// begin prepares a case: version runs everywhere, and what was seen before is forgotten.
func (g *target) begin(version, good string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range parts {
		g.state[p] = version
	}
	g.effects, g.refuse, g.kill, g.acted, g.good = nil, "", nil, map[string]bool{}, good
}

// killAt arms the kill.
func (g *target) killAt(route, part string, at moment, kill func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at, g.kill = [3]string{route, part, string(at)}, kill
}

// strike kills the controller if this is the chosen moment; g.mu is held.
func (g *target) strike(route, part string, now moment) {
	if g.kill == nil || g.at != [3]string{route, part, string(now)} {
		return
	}
	g.kill()
	g.kill = nil
	g.killed <- struct{}{}
	panic(http.ErrAbortHandler) // nobody is there to be answered
}

// ServeHTTP: POST /ROUTE/PART/VERSION acts, GET /ROUTE/PART tells the version, GET / is the front door.
func (g *target) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if g.delay > 0 {
		select {
		case <-time.After(g.delay):
		case <-r.Context().Done():
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodGet && path[0] == "":
		for _, p := range parts {
			if g.state[p] != g.good {
				http.Error(rw, p+" is on "+g.state[p], http.StatusServiceUnavailable)
				return
			}
		}
		fmt.Fprintln(rw, "well")
	case r.Method == http.MethodGet && path[0] == "version":
		for _, p := range parts {
			if g.state[p] != g.good {
				fmt.Fprint(rw, g.state[p])
				return
			}
		}
		fmt.Fprint(rw, g.good)
	case r.Method == http.MethodGet && len(path) == 2:
		now := atFirstLook
		if g.acted[path[0]+path[1]] {
			now = atLastLook
		}
		g.strike(path[0], path[1], now)
		fmt.Fprint(rw, g.state[path[1]])
	case r.Method == http.MethodPost && len(path) == 3:
		g.act(rw, path[0], path[1], path[2], r.Header.Get("Idempotency-Key"))
	default:
		http.NotFound(rw, r)
	}
}

func (g *target) act(rw http.ResponseWriter, route, part, version, key string) {
	g.strike(route, part, beforeEffect)
	if route == g.refuse {
		http.Error(rw, "this route is closed", http.StatusForbidden)
		return
	}
	g.effects = append(g.effects, effect{part: part, version: version, key: key, route: route, changed: g.state[part] != version})
	g.state[part] = version
	g.acted[route+part] = true
	g.strike(route, part, afterEffect)
	rw.WriteHeader(http.StatusAccepted)
}

func (g *target) seen() []effect {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]effect(nil), g.effects...)
}

// crashYAML is a service with a plan of three steps, each of them with a fallback by another route.
const crashYAML = `
server: {listen: "{{listen}}"}
notify: {webhooks: [{name: team, url: "{{hook}}"}]}
services:
  app:
    watch: {start_deadline: 5m, deadline: 10m, min_time: 5m, interval: 200ms}
    rollback:
      proof_timeout: 20s
      max_per_hour: 60
      steps:
        - {{flags}}
        - {{workload}}
        - {{schema}}
    targets: ["{{target}}"]
    verify: {front_door: "http://{{target}}/", release: /version, proof_time: 200ms}
`

// crashWorld is a target, a receiver of webhooks and a belay that is not started yet.
func crashWorld(t *testing.T) (*world.World, *target, *world.Hook) {
	t.Helper()
	addr := world.Ports(t, 1)[0]
	g := newTarget(t, addr)
	settings := map[string]string{"target": addr, "hook": "http://127.0.0.1:1"}
	for _, p := range parts {
		act := func(route string) string {
			return fmt.Sprintf(`name: %s, kind: %s, deadline: 30s, backoff: 100ms, http: {url: "http://%s/%s/%s/{version}", inspect: {url: "http://%s/%s/%s"}}`, p, p, addr, route, p, addr, route, p)
		}
		settings[p] = "{" + act("front") + ", next: {" + act("back") + "}}"
	}
	w := world.New(t, crashYAML, settings)
	hook := w.Hook(0)
	settings["hook"] = hook.URL
	w.Configure(crashYAML, settings)
	return w, g, hook
}
