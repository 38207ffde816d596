//go:build story

package story

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/test/world"
)

// TestFlaskShop runs the whole loop against an application as teams write them: each of its releases, in turn,
// through one proxy, with users all the while.
func TestFlaskShop(t *testing.T) {
	t.Parallel()
	p := world.Ports(t, 4)
	yaml, err := os.ReadFile("../../examples/flask-shop/belay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// The example as it stands, on free ports.
	text := string(yaml)
	for old, free := range map[string]string{"127.0.0.1:8475": "{{listen}}", "127.0.0.1:8480": p[0], "127.0.0.1:8481": p[1], "127.0.0.1:8001": p[2], "127.0.0.1:8002": p[3]} {
		if !strings.Contains(text, old) {
			t.Fatalf("the example no longer has %s", old)
		}
		text = strings.ReplaceAll(text, old, free)
	}
	// Six bad releases within minutes would end at the loop guard, which has its own test.
	text = strings.ReplaceAll(text, "    verify:\n", "    rollback: {max_per_hour: 60}\n    verify:\n")
	w := world.New(t, text, nil)
	w.CopyTree("../../examples/flask-shop", ".")
	w.Write("belay.yaml", strings.ReplaceAll(text, "{{listen}}", w.Addr), 0o600)
	w.Env = append(w.Env, "SHOP_RUN="+filepath.Join(w.Dir, "run"), "PATH=/usr/bin:/bin:/usr/sbin:/sbin")
	w.StopByPidFiles("run")
	w.Spawn("belay proxy", w.Bin, "proxy")
	w.Serve()

	users := w.Load("http://"+p[0], 60, []world.Request{
		{Method: "GET", Path: "/", Share: 40}, {Method: "GET", Path: "/products/7", Share: 30}, {Method: "POST", Path: "/checkout", Share: 30}})
	r := w.Deploy(0, "shop", "--version", "1.0.0")
	world.MustHave(t, r, r.Deployment.State == belay.StateBaking || r.Deployment.State == belay.StateSucceeded, "the first release is not healthy")

	t.Run("Good", func(t *testing.T) {
		r := w.Deploy(0, "shop", "--version", "1.1.0")
		world.MustHave(t, r, r.Deployment.Card.Verdict == belay.VerdictHealthy, "verdict %s", r.Deployment.Card.Verdict)
		if _, errOut, code := w.Run("promote", "shop"); code != 0 {
			t.Fatalf("promote: %s", errOut)
		}
	})
	bad := func(name, version, culprit string, during func(t *testing.T)) (r world.Report) {
		t.Run(name, func(t *testing.T) {
			id := w.Begin("shop", "--version", version)
			if during != nil {
				during(t)
			}
			// A leak shows late: until the end of the bake, not just until the verdict.
			r = w.Follow(3, "verify", id, "--until", "end")
			c := r.Deployment.Card
			world.MustHave(t, r, r.Rollback != nil && r.Rollback.Certificate != nil && r.Rollback.Certificate.Result == belay.ResultVerified, "the rollback has no verified certificate")
			if culprit != "" {
				world.MustHave(t, r, slices.ContainsFunc(c.Culprits, func(s string) bool { return strings.Contains(s, culprit) }), "culprits %v, want %s", c.Culprits, culprit)
			}
			var home struct{ Version string }
			if err := world.Get("http://"+p[0]+"/", &home); err != nil || home.Version != "1.1.0" {
				t.Errorf("users are on %q, %v; want 1.1.0", home.Version, err)
			}
			again := w.Deploy(7, "shop", "--version", version)
			world.MustHave(t, again, strings.Contains(again.Deployment.Reason, "quarantined"), "%s again is not refused as quarantined", version)
		})
		return r
	}
	bad("Failing", "1.2.0", "error_rate", nil)
	bad("Slow", "1.3.0", "response_time", nil)
	bad("Leaking", "1.4.0", "memory_usage", nil)
	before := users.Bad.Load()
	bad("CrashingAtStart", "1.5.0", "", nil)
	if n := users.Bad.Load() - before; n > 0 {
		t.Errorf("a release that never started harmed %d requests; it should have got no traffic", n)
	}
	r = bad("DatabaseGoesAway", "1.6.0", "", func(t *testing.T) {
		w.Until("1.6.0 has traffic", 30*time.Second, func() error {
			list, err := w.API.Deployments(t.Context(), belay.DeploymentFilter{Service: "shop", Active: true, Limit: 1})
			if err != nil || len(list) == 0 || list[0].Weight == 0 || list[0].Release.Version != "1.6.0" {
				return world.ErrNotYet
			}
			return nil
		})
		if err := os.Rename(filepath.Join(w.Dir, "run/orders-v2"), filepath.Join(w.Dir, "run/gone")); err != nil {
			t.Error(err)
		}
	})
	// Users see it before the health check has failed often enough; either way the evidence names what is broken.
	broken := slices.ContainsFunc(r.Deployment.Card.Health, func(h belay.HealthStatus) bool {
		return h.Arm == belay.ArmCandidate && slices.Contains(h.Broken, "database")
	})
	world.MustHave(t, r, broken, "the evidence does not name the broken dependency")
	if users.Total.Load() < 500 {
		t.Errorf("only %d requests were sent: the load did not run", users.Total.Load())
	}
}
