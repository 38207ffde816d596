//go:build story

package story

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/test/world"
)

// TestSecondServer starts a second server on the same data folder.
func TestSecondServer(t *testing.T) {
	t.Parallel()
	w, app := appWorld(t, nil)
	first := w.Serve()
	other := strings.NewReplacer("{{listen}}", world.Ports(t, 1)[0])
	yaml := other.Replace(appYAML)
	for k, v := range appSettings(app.Addr, nil) {
		yaml = strings.ReplaceAll(yaml, "{{"+k+"}}", v)
	}
	w.Write("other.yaml", yaml, 0o600)
	for _, args := range [][]string{{"serve"}, {"serve", "-c", "other.yaml"}, {"verify", "app", "--version", "2", "--standalone"}} {
		_, errOut, code := w.Run(args...)
		if code != 7 || !strings.Contains(errOut, "another belay works in the data folder") || !strings.Contains(errOut, "belay-data") {
			t.Errorf("belay %v: exit code %d, %s; want 7 and the folder", args, code, errOut)
		}
	}
	if err := world.Get("http://"+w.Addr+"/-/ready", nil); err != nil || first.Ended() {
		t.Errorf("the first server does not go on: %v", err)
	}
	first.Kill() // a lock that outlives its holder would keep everybody out
	w.Serve()
}

// TestReloadOfABrokenFile reloads a file with mistakes: nothing changes, and everybody can see why.
func TestReloadOfABrokenFile(t *testing.T) {
	t.Parallel()
	w, app := appWorld(t, nil)
	serve := w.Serve()
	w.Adopted("app", "1.0")
	before, err := w.API.Services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	configuration := func() (belay.HealthEntry, error) {
		h, err := w.API.Health(t.Context())
		return h.Checks["configuration"], err
	}
	reload := func(what string, done func(belay.HealthEntry) bool) {
		t.Helper()
		if err := serve.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		w.Until(what, 10*time.Second, func() error {
			e, err := configuration()
			if err == nil && !done(e) {
				err = fmt.Errorf("/health says %+v", e)
			}
			return err
		})
	}
	broken := strings.Replace(appYAML, "    watch: {", "    wach: {", 1)
	w.Configure(broken, appSettings(app.Addr, nil))
	reload("the broken file is refused", func(e belay.HealthEntry) bool {
		return strings.Contains(e.Detail, "refused") && strings.Contains(e.Detail, "wach") && strings.Contains(e.Detail, "belay.yaml:")
	})
	after, err := w.API.Services(t.Context())
	if err != nil || len(after) != len(before) || after[0].Stable == nil || after[0].Stable.Release != before[0].Stable.Release {
		t.Errorf("after the reload the services are %+v, %v; before %+v", after, err, before)
	}
	if _, errOut, code := w.Run("config", "check"); code != 2 || !strings.Contains(errOut, "did you mean") {
		t.Errorf("belay config check: exit code %d, %s", code, errOut)
	}
	w.Configure(appYAML+"  second: {targets: [127.0.0.1:1]}\n", appSettings(app.Addr, nil))
	reload("the repaired file is taken", func(e belay.HealthEntry) bool { return e.Status == "healthy" && e.Detail == "" })
	if after, err = w.API.Services(t.Context()); err != nil || len(after) != 2 {
		t.Errorf("the new service is not there: %+v, %v", after, err)
	}
}

// TestWebhooksAreToldInOrder has a receiver that refuses the first posts and then gets every change of state.
func TestWebhooksAreToldInOrder(t *testing.T) {
	t.Parallel()
	addr := world.Ports(t, 1)[0]
	w := world.New(t, appYAML, appSettings(addr, nil))
	hook := w.Hook(2)
	w.Configure(appYAML, appSettings(addr, map[string]string{"bake": "1s", "more": `notify: {webhooks: [{name: team, url: "` + hook.URL + `"}]}`}))
	app := w.App(addr, "1.0")
	users(w, app)
	w.Serve()
	w.Adopted("app", "1.0")
	good := w.Deploy(0, "app", "--version", "1.1", "--until", "end")
	bad := w.Deploy(3, "app", "--version", "1.2-bad")
	for _, r := range []world.Report{good, bad} {
		var want []belay.State
		ids := map[string]bool{}
		for _, e := range r.Timeline {
			if e.Kind == belay.EventState {
				want = append(want, e.State)
				ids[e.ID] = true
			}
		}
		if len(want) < 4 {
			t.Errorf("the timeline has only the states %v", want)
		}
		w.Until("the receiver has heard everything", 20*time.Second, func() error {
			if got := hook.States(r.Deployment.ID); !slices.Equal(got, want) {
				return fmt.Errorf("it got %v, want %v", got, want)
			}
			return nil
		})
		for _, d := range hook.Got() {
			if d.Event.Deployment == r.Deployment.ID && (d.Key == "" || d.Key != d.Event.ID || !ids[d.Key]) {
				t.Errorf("event %s came with the key %q, which is not in the timeline", d.Event.ID, d.Key)
			}
		}
	}
}

// TestAPersonSteers pauses, resumes, promotes, aborts and rolls back by hand.
func TestAPersonSteers(t *testing.T) {
	t.Parallel()
	w, app := appWorld(t, nil)
	w.Env = append(w.Env, "BELAY_ACTOR=user:ann")
	users(w, app)
	w.Serve()
	w.Adopted("app", "1.0")

	id := w.Begin("app", "--version", "1.1")
	w.Await(id, 10*time.Second, belay.StateWatching)
	w.MustRun("pause", "app", "--reason", "lunch")
	d := w.Await(id, 5*time.Second, belay.StatePaused)
	at := d.Card.T
	w.Until("evidence is gathered during the pause", 15*time.Second, func() error {
		if d, err := w.API.Deployment(t.Context(), id); err != nil || d.Card.T < at+4 {
			return world.ErrNotYet
		}
		return nil
	})
	w.Await(id, time.Second, belay.StatePaused) // longer than the minimum time, and still paused
	w.MustRun("resume", "app")
	w.Await(id, 20*time.Second, belay.StateBaking)
	if out := w.MustRun("status"); !strings.Contains(out, "1.1") {
		t.Errorf("belay status does not show 1.1:\n%s", out)
	}
	w.MustRun("promote", id)
	d = w.Await(id, 5*time.Second, belay.StateSucceeded)
	if d.Promoted != "user:ann" {
		t.Errorf("promoted by %q", d.Promoted)
	}
	if _, errOut, code := w.Run("pause", id); code != 7 || !strings.Contains(errOut, "succeeded") {
		t.Errorf("pausing what has ended: exit code %d, %s", code, errOut)
	}

	id = w.Begin("app", "--version", "1.2")
	w.Await(id, 10*time.Second, belay.StateWatching)
	w.MustRun("abort", "app", "--reason", "wrong branch")
	r := w.Follow(3, "verify", id)
	world.MustBeVerified(t, r, "release of", "front door")
	world.MustHave(t, r, strings.Contains(r.Deployment.Reason, "user:ann") && strings.Contains(r.Deployment.Reason, "wrong branch"), "the reason does not name who aborted it and why")

	// By hand, with nothing under way: look first.
	for _, args := range [][]string{{"plan", "app"}, {"rollback", "app", "--dry-run"}} {
		if out := w.MustRun(args...); !strings.Contains(out, "from 1.1 to 1.0") || !strings.Contains(out, "rollback.sh") {
			t.Errorf("belay %v shows:\n%s", args, out)
		}
	}
	if _, errOut, code := w.Run("rollback", "app"); code != 2 || !strings.Contains(errOut, "--yes") {
		t.Errorf("belay rollback without a terminal: exit code %d, %s", code, errOut)
	}
	if v := app.Version(); v != "1.1" {
		t.Fatalf("looking changed the version to %s", v)
	}
	out := w.MustRun("rollback", "app", "--yes", "--reason", "checkout is slow")
	if v := app.Version(); v != "1.0" || !strings.Contains(out, "ROLLBACK VERIFIED") {
		t.Errorf("%s runs after belay rollback --yes:\n%s", v, out)
	}
	if out := w.MustRun("history", "app"); !strings.Contains(out, "1.1") || !strings.Contains(out, "rolled") {
		t.Errorf("belay history:\n%s", out)
	}
}
