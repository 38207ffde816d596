//go:build story

package story

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/test/world"
)

// TestMonitoringGoesAway takes the external Prometheus away in the middle of a watch: belay says that it is blind,
// holds at the deadline, takes nothing back for it, and goes on when it can see again.
func TestMonitoringGoesAway(t *testing.T) {
	t.Parallel()
	addr := world.Ports(t, 1)[0]
	w, app := appWorld(t, map[string]string{
		"metrics": `, url: "http://` + addr + `"`, "selector": "{job: app}", "deadline": "20s", "bake": "1s",
	})
	prom := w.Prometheus(addr, world.Job{Name: "app", Target: app.Addr})
	users(w, app)
	w.Serve()
	w.Adopted("app", "1.0")
	blind := func(id string) {
		t.Helper()
		w.Until("belay says that it is blind", 15*time.Second, func() error { return verdictIs(w, id, belay.VerdictBlind) })
	}

	// A short outage is waited out.
	id := w.Begin("app", "--version", "1.1")
	w.Await(id, 10*time.Second, belay.StateWatching)
	prom.Stop()
	blind(id)
	prom.Start()
	w.Await(id, 40*time.Second, belay.StateSucceeded)

	// A long one ends with a question to a person.
	id = w.Begin("app", "--version", "1.2")
	w.Await(id, 10*time.Second, belay.StateWatching)
	prom.Stop()
	blind(id)
	r := w.Follow(5, "verify", id)
	world.MustHave(t, r, r.Deployment.State == belay.StateHeld, "it is not held")
	world.MustHave(t, r, strings.Contains(r.Deployment.Reason, "monitoring was down"), "the reason does not say that monitoring was down")
	world.MustHave(t, r, len(r.Deployment.Card.Blind) > 0 && strings.Contains(strings.Join(r.Deployment.Card.Blind, " "), "refused"), "the card does not say why: %v", r.Deployment.Card.Blind)
	world.MustHave(t, r, r.Rollback == nil && app.Version() == "1.2", "it was taken back to %s for a dead Prometheus", app.Version())
	health, err := w.API.Health(t.Context())
	if err != nil || health.Status != "unhealthy" || health.Checks["metrics"].Status != "unhealthy" || health.Checks["store"].Status != "healthy" {
		t.Errorf("/health says %+v, %v; want the metrics named as unhealthy", health, err)
	}
	prom.Start()
	w.MustRun("resume", "app")
	r = w.Follow(0, "verify", id, "--until", "end")
	ofKind := func(e belay.Event) bool { return e.State == belay.StateRollingBack }
	world.MustHave(t, r, !slices.ContainsFunc(r.Timeline, ofKind), "a rollback was begun")
}

func verdictIs(w *world.World, id string, want belay.Verdict) error {
	d, err := w.API.Deployment(w.T.Context(), id)
	if err != nil {
		return err
	}
	if d.Card == nil || d.Card.Verdict != want {
		return world.ErrNotYet
	}
	return nil
}

// TestNoTrafficIsHeld deploys where nobody comes: that is no failure and no success.
func TestNoTrafficIsHeld(t *testing.T) {
	t.Parallel()
	w, app := appWorld(t, map[string]string{"deadline": "6s", "proof": "5s"})
	w.Serve()
	w.Adopted("app", "1.0")
	r := w.Deploy(5, "app", "--version", "1.1")
	world.MustHave(t, r, r.Deployment.State == belay.StateHeld, "it is not held")
	world.MustHave(t, r, strings.Contains(r.Deployment.Reason, "too little was seen"), "the reason does not say that too little was seen")
	world.MustHave(t, r, r.Deployment.Card.Verdict == belay.VerdictInsufficient, "the verdict is %q", r.Deployment.Card.Verdict)
	world.MustHave(t, r, strings.Contains(strings.Join(r.Deployment.Card.Missing, " "), "error_rate"), "the card does not say what is missing: %v", r.Deployment.Card.Missing)
	if v := app.Version(); v != "1.1" {
		t.Errorf("%s runs: nothing should have been taken back", v)
	}
	// A person decides. Without users nobody can tell that they are well again, and the certificate says so.
	w.MustRun("abort", "app", "--reason", "nobody came")
	r = w.Follow(4, "verify", "app")
	world.MustHave(t, r, r.Deployment.State == belay.StateUnverified && r.Rollback.Certificate.Result == belay.ResultUnverified, "without traffic it counts as proven")
	world.MustHave(t, r, strings.Contains(r.Deployment.Reason, "error_rate") && strings.Contains(r.Deployment.Reason, "more requests"), "the reason does not say what is missing")
	if v := app.Version(); v != "1.0" {
		t.Errorf("%s runs after the abort, want 1.0", v)
	}
}

// TestStandalone watches in a CI job, without a server: the pipeline has deployed by itself.
func TestStandalone(t *testing.T) {
	t.Parallel()
	w, app := appWorld(t, nil)
	deploy := func(version string) { w.Write("version", version, 0o644) }

	deploy("1.1") // nobody uses it yet
	w.Configure(appYAML, appSettings(app.Addr, map[string]string{"deadline": "6s"}))
	r := w.Follow(5, "verify", "app", "--version", "1.1", "--previous", "1.0", "--standalone")
	world.MustHave(t, r, r.Deployment.Card.Verdict == belay.VerdictInsufficient, "without traffic the verdict is %q", r.Deployment.Card.Verdict)

	w.Configure(appYAML, appSettings(app.Addr, nil))
	users(w, app)
	deploy("1.2")
	r = w.Follow(0, "verify", "app", "--version", "1.2", "--standalone")
	world.MustHave(t, r, r.Deployment.Card.Verdict == belay.VerdictHealthy, "verdict %q", r.Deployment.Card.Verdict)
	world.MustHave(t, r, r.Deployment.Previous.Version == "1.0", "the previous release is %q", r.Deployment.Previous.Version)

	deploy("1.3-bad")
	r = w.Follow(3, "verify", "app", "--version", "1.3-bad", "--standalone")
	world.MustBeVerified(t, r, "release of", "health web", "signal error_rate", "front door")
	world.MustHave(t, r, slices.Contains(r.Deployment.Card.Culprits, "error_rate"), "culprits %v", r.Deployment.Card.Culprits)
	if v := app.Version(); v != "1.2" {
		t.Errorf("%s runs after the rollback, want 1.2", v)
	}
	if _, errOut, code := w.Run("verify", "app", "--version", "1.3-bad", "--standalone"); code != 7 {
		t.Errorf("the same again: exit code %d, %s; want it refused", code, errOut)
	}
	if _, errOut, code := w.Run("verify", "app", "--version", "1.4"); code != 8 {
		t.Errorf("without --standalone and without a server: exit code %d, %s; want 8", code, errOut)
	}
}
