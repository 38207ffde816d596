package app_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/app"
)

func api(t *testing.T, a *app.App) *client.Client {
	t.Helper()
	c, err := client.New(a.URL(), client.WithToken(a.Token()))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func services(t *testing.T, c *client.Client) string {
	t.Helper()
	list, err := c.Services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range list {
		names = append(names, s.Ref.String())
	}
	return strings.Join(names, " ")
}

func register(t *testing.T, c *client.Client, service, version string) belay.Deployment {
	t.Helper()
	d, err := c.Deploy(t.Context(), belay.DeployRequest{Ref: belay.Ref{Service: service}, Release: belay.Release{Version: version}, Register: true, Actor: "user:ann"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// until follows a deployment until it is in one of the states, and returns it.
func until(t *testing.T, c *client.Client, id string, states ...belay.State) belay.Deployment {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var last belay.Deployment
	err := c.WatchDeployment(ctx, id, func(d belay.Deployment) bool {
		last = d
		for _, s := range states {
			if d.State == s {
				return false
			}
		}
		return true
	})
	for _, s := range states {
		if last.State == s {
			return last
		}
	}
	t.Fatalf("%s is %s (%s), want %v: %v", id, last.State, last.Reason, states, err)
	return last
}

func TestReloadAppliesWhatChanged(t *testing.T) {
	o := write(t, small)
	a := started(t, o)
	c := api(t, a)
	rewrite(t, o, small+"  cart: {targets: [127.0.0.1:2]}\n")
	if err := c.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := services(t, c); got != "cart/production shop/production" && got != "shop/production cart/production" {
		t.Errorf("services %q", got)
	}
	d := register(t, c, "cart", "1.0")
	until(t, c, d.ID, belay.StateWatching)

	// A service that is taken out disappears; its deployment goes on and can be asked things.
	rewrite(t, o, small)
	if err := c.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := services(t, c); got != "shop/production" {
		t.Errorf("services %q", got)
	}
	if _, err := c.Deploy(t.Context(), belay.DeployRequest{Ref: belay.Ref{Service: "cart"}, Release: belay.Release{Version: "2"}}); belay.CodeOf(err) != belay.CodeNotFound {
		t.Errorf("deploy of a service that is gone: %v", err)
	}
	if _, err := c.Act(t.Context(), d.ID, belay.ActRequest{Act: belay.ActPause, Actor: "user:ann"}); err != nil {
		t.Errorf("pause: %v", err)
	}
	until(t, c, d.ID, belay.StatePaused)
	if got, err := c.Act(t.Context(), d.ID, belay.ActRequest{Act: belay.ActPromote, Actor: "user:ann"}); err != nil {
		t.Errorf("promote: %+v, %v", got, err)
	}
	until(t, c, d.ID, belay.StateSucceeded)
}

func TestReloadThatIsRefusedChangesNothing(t *testing.T) {
	o := write(t, small)
	a := started(t, o)
	c := api(t, a)
	for name, bad := range map[string]struct{ yaml, want string }{
		"broken":        {"services: {shop: {targetz: [127.0.0.1:1]}}", "belay.yaml:1:20: services.shop.targetz"},
		"bad query":     {small + "    signals: {orders: {query: 'sum(('}}\n", "services.shop.signals.orders.query"},
		"other folder":  {"server: {data: ./other}\n" + small, "server.data cannot change while belay runs; restart"},
		"other address": {"server: {listen: 127.0.0.1:9}\n" + small, "server.listen cannot change"},
		"other metrics": {"metrics: {url: http://127.0.0.1:9}\n" + small, "metrics.url cannot change"},
		"other history": {"metrics: {retention: {time: 2d}}\n" + small, "metrics.retention cannot change"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			rewrite(t, o, strings.ReplaceAll(bad.yaml, "shop:", "other:"))
			want := strings.ReplaceAll(bad.want, "shop", "other")
			err := c.Reload(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("reload: %v; want %q", err, want)
			}
			if got := services(t, c); got != "shop/production" {
				t.Errorf("services are now %q", got)
			}
			h, err := c.Health(t.Context())
			if err != nil || !strings.Contains(h.Checks["configuration"].Detail, "refused") {
				t.Errorf("health does not tell of it: %+v, %v", h.Checks["configuration"], err)
			}
		})
	}
	rewrite(t, o, small)
	if err := c.Reload(t.Context()); err != nil {
		t.Error(err)
	}
	if h, err := c.Health(t.Context()); err != nil || h.Checks["configuration"].Detail != "" {
		t.Errorf("health still tells of the refusal: %+v, %v", h.Checks["configuration"], err)
	}
}

func TestReloadsFromEverywhere(t *testing.T) {
	o := write(t, small)
	a := started(t, o)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if err := a.Reload(t.Context()); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := a.Services(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wg.Go(func() { _ = a.Reload(t.Context()) }) // in time, or refused
	stop(t, a)
	wg.Wait()
	if err := a.Reload(t.Context()); belay.CodeOf(err) != belay.CodeUnavailable {
		t.Errorf("reload after stop: %v", err)
	}
	wantQuiet(t)
}

func TestWhatComesFromOutsideIsChecked(t *testing.T) {
	c := api(t, started(t, write(t, small)))
	ok := belay.DeployRequest{Ref: belay.Ref{Service: "shop"}, Release: belay.Release{Version: "1.0"}, Register: true}
	for name, spoil := range map[string]func(*belay.DeployRequest){
		"control character in the version": func(r *belay.DeployRequest) { r.Version = "1\n2" },
		"endless version":                  func(r *belay.DeployRequest) { r.Version = strings.Repeat("1", 300) },
		"target without a port":            func(r *belay.DeployRequest) { r.Targets = []belay.Target{{Address: "nowhere"}} },
		"target with a password":           func(r *belay.DeployRequest) { r.Targets = []belay.Target{{Address: "http://a:b@c:1/"}} },
		"too many targets":                 func(r *belay.DeployRequest) { r.Targets = make([]belay.Target, 1001) },
		"started without register":         func(r *belay.DeployRequest) { r.Started, r.Register = true, false },
		"previous is itself":               func(r *belay.DeployRequest) { r.Previous = "1.0" },
		"endless reason":                   func(r *belay.DeployRequest) { r.Force = strings.Repeat("x", 3000) },
	} {
		r := ok
		spoil(&r)
		if _, err := c.Deploy(t.Context(), r); belay.CodeOf(err) != belay.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Deploy(t.Context(), ok); err != nil {
		t.Errorf("the unspoilt one: %v", err)
	}
}

func TestNobodySpeaksInTheNameOfTheRules(t *testing.T) {
	for sent, want := range map[string]string{
		"": "user:unknown", "belay": "user:unknown", " Belay\n": "user:unknown", "be\u200blay": "user:unknown", "belay:x": "user:belay:x",
		"regressed": "user:regressed", "deadline": "user:deadline", "deploy failed": "user:deploy failed",
		"user:ann": "user:ann", "user:": "user:unknown", "ci": "ci", "ci:github": "ci:github", "ann": "user:ann",
		strings.Repeat("a", 200): "user:" + strings.Repeat("a", 128),
	} {
		if got := app.Named(sent); got != want {
			t.Errorf("actor %q is recorded as %q, want %q", sent, got, want)
		}
	}
}

func TestDeploymentPastAndHealth(t *testing.T) {
	o := write(t, small)
	a := started(t, o)
	c := api(t, a)
	h, err := c.Health(t.Context())
	if err != nil || h.Status != "healthy" || h.Timestamp.IsZero() || h.Version != "test" {
		t.Fatalf("health %+v, %v", h, err)
	}
	for _, want := range []string{"store", "metrics", "data_folder", "configuration"} {
		if h.Checks[want].Status != "healthy" {
			t.Errorf("health has no healthy %s: %+v", want, h.Checks)
		}
	}
	for path, want := range map[string]int{"/-/ready": 200, "/-/healthy": 200, "/metrics": 200, "/health": 200, "/nothing": 404} {
		resp, err := http.Get(a.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s answers %d, want %d", path, resp.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
