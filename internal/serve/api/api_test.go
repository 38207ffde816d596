package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/serve/api"
)

// fake stands for everything behind the API.
type fake struct {
	deployed []belay.DeployRequest
	acts     []belay.ActRequest
	rolled   []belay.RollbackRequest
	lifted   string
	updates  chan belay.Deployment
	err      error
	healthy  bool
}

const knownID = "d-0000000001abcdefgh"

func (f *fake) Deploy(_ context.Context, req belay.DeployRequest) (belay.Deployment, error) {
	f.deployed = append(f.deployed, req)
	return belay.Deployment{ID: knownID, Ref: req.Ref, Release: req.Release, State: belay.StatePending}, f.err
}

func (f *fake) Deployment(_ context.Context, id string) (belay.Deployment, error) {
	if !strings.HasPrefix(knownID, id) {
		return belay.Deployment{}, fmt.Errorf("read deployment: %w", belay.Errorf(belay.CodeNotFound, "there is no deployment %q", id).WithNext("belay history lists them"))
	}
	return belay.Deployment{ID: knownID, State: belay.StateWatching}, f.err
}

func (f *fake) Deployments(_ context.Context, q belay.DeploymentFilter) ([]belay.Deployment, error) {
	return []belay.Deployment{{ID: knownID, Ref: belay.Ref{Service: q.Service}, Step: q.Limit}}, f.err
}

func (f *fake) Act(_ context.Context, id string, req belay.ActRequest) (belay.Deployment, error) {
	f.acts = append(f.acts, req)
	return belay.Deployment{ID: id}, f.err
}

func (f *fake) Label(_ context.Context, id string, req belay.LabelRequest) (belay.Deployment, error) {
	return belay.Deployment{ID: id, Label: &belay.Label{Word: req.Label, Reason: req.Reason, Actor: req.Actor}}, f.err
}

func (f *fake) Learned(_ context.Context, ref belay.Ref) (belay.LearnedStatus, error) {
	return belay.LearnedStatus{Ref: ref, Hours: 7}, f.err
}

func (f *fake) Forget(_ context.Context, ref belay.Ref, actor string) (belay.LearnedStatus, error) {
	f.lifted = "forgotten by " + actor
	return belay.LearnedStatus{Ref: ref}, f.err
}

func (f *fake) Ticks(context.Context, string) ([]belay.Tick, error) {
	return []belay.Tick{{T: 1, Samples: []belay.Sample{{T: 1, Signal: "error_rate", Kind: belay.KindEvents, N: 5}}}, {T: 2}, {T: 3}}, f.err
}

func (f *fake) Timeline(context.Context, string) ([]belay.Event, error) { return nil, f.err }

func (f *fake) SubscribeDeployment(string) (<-chan belay.Deployment, func()) {
	return f.updates, func() {}
}

func (f *fake) RequestRollback(_ context.Context, req belay.RollbackRequest) (belay.RollbackAnswer, error) {
	f.rolled = append(f.rolled, req)
	return belay.RollbackAnswer{Text: "plan"}, f.err
}

func (f *fake) Rollback(context.Context, string) (belay.Rollback, error) {
	return belay.Rollback{ID: "r-1", State: belay.RollbackVerified}, f.err
}
func (f *fake) AbortRollback(context.Context, string, string) error { return f.err }
func (f *fake) SubscribeRollback(string) (<-chan belay.Rollback, func()) {
	return nil, func() {}
}
func (f *fake) Services(context.Context) ([]belay.ServiceStatus, error) { return nil, f.err }
func (f *fake) Plan(_ context.Context, ref belay.Ref) (belay.RollbackAnswer, error) {
	return belay.RollbackAnswer{Text: ref.String()}, f.err
}

func (f *fake) LiftQuarantine(_ context.Context, ref belay.Ref, key, actor string) error {
	f.lifted = ref.String() + " " + key + " " + actor
	return f.err
}

func (f *fake) Health(context.Context) belay.ServerHealth {
	if f.healthy {
		return belay.ServerHealth{Status: "healthy"}
	}
	return belay.ServerHealth{Status: "unhealthy", Checks: map[string]belay.HealthEntry{"store": {Status: "unhealthy", Detail: "disk full"}}}
}

func (f *fake) Ready(context.Context) error {
	if f.healthy {
		return nil
	}
	return errors.New("starting")
}
func (f *fake) Reload(context.Context) error { return f.err }

func handler(f *fake, token belay.Secret) http.Handler {
	return api.New(api.Options{
		Deployments: f, Evidence: f, Rollbacks: f, Services: f, Learning: f, Server: f, Metrics: http.NotFoundHandler(),
		Token: func() belay.Secret { return token }, Hosts: []string{"belay.example.com"}, Logger: slog.New(slog.DiscardHandler),
	})
}

func serve(t *testing.T, f *fake, token belay.Secret) (*httptest.Server, *client.Client) {
	t.Helper()
	srv := httptest.NewServer(handler(f, token))
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL, client.WithToken(token))
	if err != nil {
		t.Fatal(err)
	}
	return srv, c
}

func TestClientReachesEveryEndpoint(t *testing.T) {
	ctx, f := t.Context(), &fake{healthy: true}
	_, c := serve(t, f, "s3cret")
	ref := belay.Ref{Service: "shop", Environment: "production"}
	d, err := c.Deploy(ctx, belay.DeployRequest{Ref: ref, Release: belay.Release{Version: "1.5"}, Actor: "user:ann"})
	if err != nil || d.Release.Version != "1.5" || f.deployed[0].Actor != "user:ann" || f.deployed[0].Environment != "production" {
		t.Errorf("deploy: %+v, %v", d, err)
	}
	if list, err := c.Deployments(ctx, belay.DeploymentFilter{Service: "shop", Limit: 7}); err != nil || list[0].Step != 7 || list[0].Service != "shop" {
		t.Errorf("deployments: %+v, %v", list, err)
	}
	if d, err := c.Deployment(ctx, "d-00"); err != nil || d.ID != knownID {
		t.Errorf("deployment by prefix: %+v, %v", d, err)
	}
	if _, err := c.Act(ctx, knownID, belay.ActRequest{Act: belay.ActPause, Reason: "lunch"}); err != nil || f.acts[0].Reason != "lunch" {
		t.Errorf("act: %+v, %v", f.acts, err)
	}
	if d, err := c.Label(ctx, knownID, belay.LabelRequest{Label: belay.LabelWrong, Reason: "a broken dashboard", Actor: "user:ann"}); err != nil || *d.Label != (belay.Label{Word: belay.LabelWrong, Reason: "a broken dashboard", Actor: "user:ann"}) {
		t.Errorf("label: %+v, %v", d.Label, err)
	}
	var seen []belay.Tick
	if err := c.Ticks(ctx, "d-00", func(t belay.Tick) error { seen = append(seen, t); return nil }); err != nil || len(seen) != 3 || seen[0].Samples[0].N != 5 {
		t.Errorf("ticks: %+v, %v", seen, err)
	}
	if err := c.Ticks(ctx, knownID, func(belay.Tick) error { return io.ErrClosedPipe }); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("ticks that nobody wants any more: %v", err)
	}
	if list, err := c.Timeline(ctx, knownID); err != nil || list == nil {
		t.Errorf("timeline: %v, %v; want an empty list, not null", list, err)
	}
	if a, err := c.Rollback(ctx, belay.RollbackRequest{Ref: ref, DryRun: true}); err != nil || a.Text != "plan" || !f.rolled[0].DryRun {
		t.Errorf("rollback: %+v, %v", a, err)
	}
	if r, err := c.GetRollback(ctx, "r-1"); err != nil || r.State != belay.RollbackVerified {
		t.Errorf("get rollback: %+v, %v", r, err)
	}
	if err := c.AbortRollback(ctx, "r-1", "user:ann"); err != nil {
		t.Errorf("abort: %v", err)
	}
	if a, err := c.Plan(ctx, ref); err != nil || a.Text != "shop/production" {
		t.Errorf("plan: %+v, %v", a, err)
	}
	if list, err := c.Services(ctx); err != nil || list == nil {
		t.Errorf("services: %v, %v", list, err)
	}
	if err := c.LiftQuarantine(ctx, ref, "1.5", "user:ann"); err != nil || f.lifted != "shop/production 1.5 user:ann" {
		t.Errorf("lift: %q, %v", f.lifted, err)
	}
	if s, err := c.Learned(ctx, ref); err != nil || s.Ref != ref || s.Hours != 7 {
		t.Errorf("learned: %+v, %v", s, err)
	}
	if s, err := c.Forget(ctx, ref, "user:ann"); err != nil || s.Ref != ref || s.Hours != 0 || f.lifted != "forgotten by user:ann" {
		t.Errorf("forget: %+v, %q, %v", s, f.lifted, err)
	}
	if h, err := c.Health(ctx); err != nil || h.Status != "healthy" {
		t.Errorf("health: %+v, %v", h, err)
	}
	if err := c.Reload(ctx); err != nil {
		t.Errorf("reload: %v", err)
	}
}

func TestUnhealthyIsAnAnswerWith503(t *testing.T) {
	srv, c := serve(t, &fake{}, "")
	h, err := c.Health(t.Context())
	if err != nil || h.Checks["store"].Detail != "disk full" {
		t.Errorf("health %+v, %v", h, err)
	}
	resp, err := http.Get(srv.URL + "/health")
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %v, %v; want 503", resp.StatusCode, err)
	}
	resp, err = http.Get(srv.URL + "/-/ready")
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("ready %v, %v; want 503", resp.StatusCode, err)
	}
}

func TestErrorsKeepCodeAndAdvice(t *testing.T) {
	_, c := serve(t, &fake{}, "")
	_, err := c.Deployment(t.Context(), "d-9")
	if belay.CodeOf(err) != belay.CodeNotFound || err.Error() != `read deployment: there is no deployment "d-9"; belay history lists them` {
		t.Errorf("error %v (%s)", err, belay.CodeOf(err))
	}
	f := &fake{err: errors.New("disk full")}
	_, c = serve(t, f, "")
	if _, err = c.Services(t.Context()); belay.CodeOf(err) != belay.CodeInternal || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("error %v (%s)", err, belay.CodeOf(err))
	}
}

func TestWatchStreamsUntilFinal(t *testing.T) {
	f := &fake{updates: make(chan belay.Deployment, 2)}
	f.updates <- belay.Deployment{ID: knownID, State: belay.StateRollingBack}
	f.updates <- belay.Deployment{ID: knownID, State: belay.StateRolledBack}
	_, c := serve(t, f, "")
	var states []belay.State
	err := c.WatchDeployment(t.Context(), knownID, func(d belay.Deployment) bool { states = append(states, d.State); return true })
	if got := fmt.Sprint(states); err != nil || got != "[watching rolling_back rolled_back]" {
		t.Errorf("states %s, %v", got, err)
	}
}

func TestWatchThatIsCutOffIsAnError(t *testing.T) {
	f := &fake{updates: make(chan belay.Deployment)}
	close(f.updates) // belay stops
	_, c := serve(t, f, "")
	err := c.WatchDeployment(t.Context(), knownID, func(belay.Deployment) bool { return true })
	if belay.CodeOf(err) != belay.CodeUnavailable {
		t.Errorf("a stream that ended before the deployment did: %v", err)
	}
}

func TestWatchOutlivesTheTimeoutOfRequests(t *testing.T) {
	f := &fake{updates: make(chan belay.Deployment)}
	srv := httptest.NewUnstartedServer(handler(f, ""))
	srv.Config.ReadTimeout = 50 * time.Millisecond
	srv.Start()
	defer srv.Close()
	c, err := client.New(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(250*time.Millisecond, func() { f.updates <- belay.Deployment{ID: knownID, State: belay.StateSucceeded} })
	defer late.Stop()
	var last belay.State
	if err := c.WatchDeployment(t.Context(), knownID, func(d belay.Deployment) bool { last = d.State; return true }); err != nil || last != belay.StateSucceeded {
		t.Errorf("ended as %s: %v", last, err)
	}
}

func TestCutOffRequestIsToldSo(t *testing.T) {
	_, c := serve(t, &fake{err: fmt.Errorf("read services: %w", context.Canceled)}, "")
	if _, err := c.Services(t.Context()); belay.CodeOf(err) != belay.CodeUnavailable || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("error %v (%s)", err, belay.CodeOf(err))
	}
}

func TestRefusals(t *testing.T) {
	srv, _ := serve(t, &fake{}, "s3cret")
	post := func(body, contentType, auth, host string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/api/v1/deployments", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		req.Header.Set("Authorization", auth)
		if host != "" {
			req.Host = host
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(bufio.NewReader(resp.Body))
		return resp.StatusCode, string(b)
	}
	good, js, auth := `{"service":"shop","version":"1"}`, "application/json", "Bearer s3cret"
	for name, c := range map[string]struct {
		body, ct, auth, host string
		status               int
		want                 string
	}{
		"ok":              {good, js, auth, "", 200, "pending"},
		"known name":      {good, js, auth, "belay.example.com:80", 200, "pending"},
		"no token":        {good, js, "", "", 401, "token"},
		"wrong token":     {good, js, "Bearer s3cre", "", 401, "token"},
		"bare token":      {good, js, "s3cret", "", 401, "token"},
		"basic":           {good, js, "Basic s3cret", "", 401, "token"},
		"lower case":      {good, js, "bearer s3cret", "", 200, "pending"},
		"web form":        {good, "text/plain", auth, "", 400, "application/json"},
		"rebound name":    {good, js, auth, "evil.example.com", 403, "not this server's"},
		"unknown key":     {`{"service":"shop","versionn":"1"}`, js, auth, "", 400, "versionn"},
		"no version":      {`{"service":"shop"}`, js, auth, "", 400, "version"},
		"two values":      {good + good, js, auth, "", 400, "more than one"},
		"not JSON":        {`service=shop`, js, auth, "", 400, "read the body"},
		"enormous body":   {`{"service":"` + strings.Repeat("x", 2<<20) + `"}`, js, auth, "", 400, "larger than"},
		"command smuggle": {`{"service":"shop","version":"1","command":["sh"]}`, js, auth, "", 400, "command"},
	} {
		status, body := post(c.body, c.ct, c.auth, c.host)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s; want %d with %q", name, status, body, c.status, c.want)
		}
	}
}

func FuzzDeploy(f *testing.F) {
	f.Add(`{"service":"shop","version":"1"}`)
	f.Add(`{"service":"shop","environment":"p","version":"1","targets":[{"address":"a:1"}],"register":true}`)
	f.Add(`{"service":1}`)
	h := api.New(api.Options{Deployments: &fake{}, Rollbacks: &fake{}, Services: &fake{}, Learning: &fake{}, Server: &fake{}, Metrics: http.NotFoundHandler(),
		Token: func() belay.Secret { return "" }, Logger: slog.New(slog.DiscardHandler)})
	f.Fuzz(func(t *testing.T, body string) {
		req := httptest.NewRequest(http.MethodPost, "/api/v1/deployments", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Host = "127.0.0.1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("%q: status %d", body, w.Code)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%q: the answer is not JSON: %s", body, w.Body)
		}
	})
}
