package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app"
	"github.com/belaydev/belay/internal/lib/loopback"
	"github.com/belaydev/belay/internal/proxy"
)

// edge is a proxy in this process with two instances of a shop behind it. Which release an instance runs is what
// the deploy command, a real one, wrote into the file of its slot.
type edge struct {
	dir, listen, admin string
	slots              map[string]*httptest.Server
	url                string
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	e := &edge{dir: t.TempDir(), listen: freePort(t), admin: freePort(t), slots: map[string]*httptest.Server{}}
	o := proxy.Options{Name: "edge", Listen: e.listen, Admin: e.admin, StateFile: filepath.Join(e.dir, "proxy.json")}
	for _, slot := range []string{"blue", "green"} {
		e.slots[slot] = httptest.NewServer(shop(filepath.Join(e.dir, slot)))
		t.Cleanup(e.slots[slot].Close)
		o.Slots = append(o.Slots, proxy.Slot{Name: slot, Address: e.slots[slot].Listener.Addr().String(), Drain: time.Second})
	}
	e.runs(t, "blue", "1.0")
	p, err := proxy.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(context.WithoutCancel(t.Context())) })
	e.url = "http://" + p.Addr()
	script := "#!/bin/sh\nprintf %s \"$BELAY_VERSION\" > \"$BELAY_SLOT\"\n"
	if err := os.WriteFile(filepath.Join(e.dir, "deploy.sh"), []byte(script), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	return e
}

func (e *edge) runs(t *testing.T, slot, version string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(e.dir, slot), []byte(version), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shop is an instance. Of a release whose version ends in -bad, every second page fails.
func shop(file string) http.Handler {
	var n atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		version, err := os.ReadFile(file)
		switch {
		case err != nil:
			http.Error(w, "nothing runs here", http.StatusServiceUnavailable)
		case r.URL.Path == "/version":
			_, _ = w.Write(version)
		case r.URL.Path == "/" && strings.HasSuffix(string(version), "-bad") && n.Add(1)%2 == 0:
			http.Error(w, "broken", http.StatusInternalServerError)
		}
	})
}

var ports loopback.Reserver

func freePort(t *testing.T) string {
	t.Helper()
	at, err := ports.Reserve(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return at[0]
}

func (e *edge) options(t *testing.T, more string) app.Options {
	t.Helper()
	o := write(t, "")
	o.ConfigFile = filepath.Join(e.dir, "belay.yaml")
	rewrite(t, o, fmt.Sprintf(`
proxies:
  edge: {listen: %q, admin: %q, slots: {blue: %q, green: %q}}
services:
  shop:
    health: {http: /healthz, interval: 100ms, rise: 2}
    deploy: ./deploy.sh
    signals: {response_time: off}
    rollout: {proxy: edge, steps: [50%%, 100%%], step_time: 100ms}
    watch: {min_time: 300ms, deadline: 20s, interval: 100ms, bake: 0s}
    rollback: {proof_timeout: 10s}
    verify: {release: /version, proof_time: 300ms}
%s`, e.listen, e.admin, e.slots["blue"].Listener.Addr(), e.slots["green"].Listener.Addr(), more))
	return o
}

// visit sends users to the shop until the test ends.
func (e *edge) visit(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	users := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+"/", nil)
				if err != nil {
					return
				}
				if resp, err := users.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		users.CloseIdleConnections()
	})
}

func (e *edge) deploy(t *testing.T, a *app.App, version, previous string) belay.Deployment {
	t.Helper()
	d, err := api(t, a).Deploy(t.Context(), belay.DeployRequest{
		Ref: belay.Ref{Service: "shop"}, Release: belay.Release{Version: version}, Previous: previous, Actor: "user:ann"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A bad release behind a real proxy is caught, taken back and certified; also when belay is stopped and started
// in the middle: the same end, and one certificate.
func TestBadReleaseIsTakenBack(t *testing.T) {
	for name, at := range map[string]belay.State{"undisturbed": "", "restart_while_watching": belay.StateWatching, "restart_while_rolling_back": belay.StateRollingBack} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t)
			o := e.options(t, "")
			a := started(t, o)
			d := e.deploy(t, a, "1.1-bad", "1.0")
			followed := follow(t, a, d.ID)
			if at != belay.StateWatching {
				e.visit(t)
			}
			if at != "" {
				until(t, api(t, a), d.ID, at)
				stop(t, a)
				a = started(t, o)
			}
			if at == belay.StateWatching {
				e.visit(t)
			}
			c := api(t, a)
			d = until(t, c, d.ID, belay.StateRolledBack, belay.StateUnverified, belay.StateRollbackFailed, belay.StateSucceeded)
			if d.State != belay.StateRolledBack || d.Trigger != "regressed" {
				t.Errorf("ended %s by %q: %s", d.State, d.Trigger, d.Reason)
			}
			rb, err := c.GetRollback(t.Context(), d.Rollback)
			if err != nil || rb.State != belay.RollbackVerified {
				t.Fatalf("rollback %+v, %v", rb, err)
			}
			events, err := c.Timeline(t.Context(), d.ID)
			if err != nil {
				t.Fatal(err)
			}
			whole := recordedAlike(t, c, d)
			if live, err := followed(); at == "" && (err != nil || live != whole) || !strings.HasPrefix(whole, live) {
				t.Errorf("followed while it was watched: %v, %d bytes; afterwards %d bytes", err, len(live), len(whole))
			}
			proofs := 0
			for i, ev := range events {
				if ev.Kind == belay.EventProof {
					proofs++
				}
				if i > 0 && ev.Time.Before(events[i-1].Time) {
					t.Errorf("the timeline goes back in time: %q after %q", ev.Message, events[i-1].Message)
				}
			}
			if proofs != 1 {
				t.Errorf("%d certificates, want 1", proofs)
			}
			list, err := c.Services(t.Context())
			if err != nil || len(list) != 1 {
				t.Fatalf("services %+v, %v", list, err)
			}
			if s := list[0]; s.Weights["blue"] != 100 || s.Stable == nil || s.Stable.Release.Version != "1.0" || len(s.Quarantine) != 1 {
				t.Errorf("in the end: weights %v, stable %+v, quarantine %v", s.Weights, s.Stable, s.Quarantine)
			}
			if got, err := c.Deploy(t.Context(), belay.DeployRequest{Ref: belay.Ref{Service: "shop"}, Release: d.Release}); err != nil || got.State != belay.StateRefused {
				t.Errorf("the bad release again: %+v, %v", got, err)
			}
		})
	}
}

// What serves users and is not known to belay is not replaced by a first deployment; and what has nowhere to go back
// to is neither aborted nor put into quarantine by asking.
func TestWhatServesIsSpared(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	a := started(t, e.options(t, ""))
	c, ref := api(t, a), belay.Ref{Service: "shop"}
	_, err := c.Deploy(t.Context(), belay.DeployRequest{Ref: ref, Release: belay.Release{Version: "1.1"}})
	if belay.CodeOf(err) != belay.CodeConflict || !strings.Contains(err.Error(), "--previous") {
		t.Fatalf("first deployment over a live release: %v", err)
	}
	d, err := c.Deploy(t.Context(), belay.DeployRequest{Ref: ref, Release: belay.Release{Version: "1.0"}, Register: true})
	if err != nil {
		t.Fatal(err)
	}
	until(t, c, d.ID, belay.StateWatching, belay.StateBaking)
	if _, err := c.Rollback(t.Context(), belay.RollbackRequest{Ref: ref}); belay.CodeOf(err) != belay.CodeConflict {
		t.Errorf("rollback to nothing: %v", err)
	}
	if _, err := c.Act(t.Context(), d.ID, belay.ActRequest{Act: belay.ActAbort}); belay.CodeOf(err) != belay.CodeConflict {
		t.Errorf("abort to nothing: %v", err)
	}
	if d, err = c.Deployment(t.Context(), d.ID); err != nil || d.State == belay.StateRollbackFailed || d.Rollback != "" {
		t.Errorf("after asking: %s %q, %v", d.State, d.Rollback, err)
	}
	list, err := c.Services(t.Context())
	if err != nil || len(list) != 1 || len(list[0].Quarantine) != 0 {
		t.Errorf("quarantine %+v, %v", list, err)
	}
}
