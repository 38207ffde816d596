package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli"
	"github.com/belaydev/belay/internal/serve/api"
)

// world stands for everything behind the API of a server with two services.
type world struct {
	mu        sync.Mutex
	deps      []belay.Deployment // newest first
	requests  []belay.DeployRequest
	acts      []belay.ActRequest
	rollbacks []belay.RollbackRequest
	aborted   string
	lifted    string
	end       belay.State         // of a deployment that is begun
	rollback  belay.RollbackState // of every rollback
	err       error               // of everything
	refusal   error               // of Deploy, Act, rollbacks and lifting
	hanging   chan struct{}       // closed when somebody waits on a stream
	updates   chan belay.Deployment
	ticks     map[string][]belay.Tick // by deployment
}

const (
	shopID = "d-01k8aaaaaaaaaaaaaa"
	mailID = "d-01k7bbbbbbbbbbbbbb"
	rbID   = "r-01k8aaaaaaaaaaaaaa"
	newID  = "d-01k9cccccccccccccc"
)

var epoch = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)

func newWorld() *world {
	card := &belay.Card{Verdict: belay.VerdictRegressed, Reason: "error_rate is 20 % against 0 %", DecidedBy: "comparison", T: 7}
	return &world{
		end: belay.StateSucceeded, rollback: belay.RollbackVerified, hanging: make(chan struct{}, 8), updates: make(chan belay.Deployment),
		deps: []belay.Deployment{
			{ID: shopID, Ref: belay.Ref{Service: "shop", Environment: "production"}, Release: belay.Release{Version: "1.5"}, Previous: belay.Release{Version: "1.4"},
				State: belay.StateRolledBack, Actor: "user:ann", CreatedAt: epoch, EndedAt: epoch.Add(12 * time.Second), Rollback: rbID, Card: card},
			{ID: mailID, Ref: belay.Ref{Service: "mail", Environment: "staging"}, Release: belay.Release{Version: "3"}, State: belay.StateSucceeded, CreatedAt: epoch.Add(-time.Hour)},
		},
	}
}

func (w *world) lock() func() { w.mu.Lock(); return w.mu.Unlock }

func (w *world) Deploy(_ context.Context, req belay.DeployRequest) (belay.Deployment, error) {
	defer w.lock()()
	w.requests = append(w.requests, req)
	d := belay.Deployment{ID: newID, Ref: req.Ref, Release: req.Release, Previous: belay.Release{Version: "1.4"}, State: w.end, CreatedAt: epoch, Slot: "blue", PreviousSlot: "green"}
	if req.Started {
		d.State = belay.StateDeploying
	}
	if w.refusal != nil {
		return d, w.refusal
	}
	w.deps = append([]belay.Deployment{d}, w.deps...)
	return d, w.err
}

func (w *world) Deployment(_ context.Context, id string) (belay.Deployment, error) {
	defer w.lock()()
	for _, d := range w.deps {
		if strings.HasPrefix(d.ID, id) {
			return d, w.err
		}
	}
	return belay.Deployment{}, belay.Errorf(belay.CodeNotFound, "there is no deployment %q", id).WithNext("belay history lists them")
}

func (w *world) Deployments(_ context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error) {
	defer w.lock()()
	var out []belay.Deployment
	for _, d := range w.deps {
		if (f.Service == "" || d.Service == f.Service) && (f.Environment == "" || d.Environment == f.Environment) &&
			(!f.Active || !d.State.Final()) && (f.Before == "" || d.ID < f.Before) && (f.Limit == 0 || len(out) < f.Limit) {
			out = append(out, d)
		}
	}
	return out, w.err
}

func (w *world) Act(_ context.Context, id string, req belay.ActRequest) (belay.Deployment, error) {
	defer w.lock()()
	w.acts = append(w.acts, req)
	if w.refusal != nil {
		return belay.Deployment{}, w.refusal
	}
	for i := range w.deps {
		if w.deps[i].ID == id {
			switch req.Act {
			case belay.ActFailed:
				w.deps[i].State = belay.StateDeployFailed
			case belay.ActDeployed:
				w.deps[i].State = w.end
			case belay.ActPause, belay.ActResume, belay.ActPromote, belay.ActAbort:
				w.deps[i].Reason = string(req.Act) + " by " + req.Actor
			}
			return w.deps[i], w.err
		}
	}
	return belay.Deployment{}, w.err
}

func (w *world) Label(_ context.Context, id string, req belay.LabelRequest) (belay.Deployment, error) {
	defer w.lock()()
	for i := range w.deps {
		if strings.HasPrefix(w.deps[i].ID, id) && w.refusal == nil {
			w.deps[i].Label = &belay.Label{Word: req.Label, Reason: req.Reason, Actor: req.Actor, Time: epoch}
			return w.deps[i], w.err
		}
	}
	return belay.Deployment{}, w.refusal
}

func (w *world) Ticks(_ context.Context, id string) ([]belay.Tick, error) {
	defer w.lock()()
	return w.ticks[id], w.err
}

func (w *world) Timeline(context.Context, string) ([]belay.Event, error) {
	return []belay.Event{{ID: "e-1", Time: epoch, Actor: "user:ann", Kind: belay.EventState, State: belay.StatePending, Message: "1.5 accepted"}}, w.err
}

func (w *world) SubscribeDeployment(string) (<-chan belay.Deployment, func()) {
	w.hanging <- struct{}{}
	return w.updates, func() {}
}

func (w *world) RequestRollback(_ context.Context, req belay.RollbackRequest) (belay.RollbackAnswer, error) {
	defer w.lock()()
	w.rollbacks = append(w.rollbacks, req)
	a := belay.RollbackAnswer{Text: "Rollback of shop/production from 1.5 to 1.4", Plan: belay.Plan{From: belay.Release{Version: "1.5"}, To: belay.Release{Version: "1.4"}}}
	if req.DryRun {
		a.Looks = []belay.StepLook{{Key: "r/0/proxy", Look: belay.Look{Progress: belay.ProgressPending, Detail: "blue=25"}}}
	} else {
		a.Rollback = rbID
	}
	return a, w.refusal
}

func (w *world) Rollback(_ context.Context, id string) (belay.Rollback, error) {
	if id != rbID {
		return belay.Rollback{}, belay.Errorf(belay.CodeNotFound, "there is no rollback %q", id)
	}
	return belay.Rollback{ID: rbID, State: w.rollback, Plan: belay.Plan{From: belay.Release{Version: "1.5"}, To: belay.Release{Version: "1.4"}},
		Steps:       []belay.StepRecord{{Key: "r/0/proxy", Name: "proxy", State: belay.StepDone, After: "blue=0"}},
		Certificate: &belay.Certificate{Result: belay.ResultVerified, Checks: []belay.Check{{Name: "front door", Result: belay.CheckPassed, Got: "HTTP 200"}}}}, w.err
}

func (w *world) AbortRollback(_ context.Context, id, actor string) error {
	w.aborted = id + " by " + actor
	return w.refusal
}

func (w *world) SubscribeRollback(string) (<-chan belay.Rollback, func()) { return nil, func() {} }

func (w *world) Services(context.Context) ([]belay.ServiceStatus, error) {
	return []belay.ServiceStatus{
		{Ref: belay.Ref{Service: "shop", Environment: "production"}, Stable: &belay.StableRelease{Release: belay.Release{Version: "1.4"}, Verified: true, Since: epoch}},
		{Ref: belay.Ref{Service: "mail", Environment: "staging"}},
		{Ref: belay.Ref{Service: "mail", Environment: "production"}},
	}, w.err
}

func (w *world) Plan(_ context.Context, ref belay.Ref) (belay.RollbackAnswer, error) {
	return belay.RollbackAnswer{Text: "Plan of " + ref.String(), Outlook: "at 200 requests/s: healthy can be proven in about 2 min"}, w.err
}

func (w *world) LiftQuarantine(_ context.Context, ref belay.Ref, key, actor string) error {
	w.lifted = fmt.Sprint(ref, " ", key, " ", actor)
	return w.refusal
}

func (w *world) Learned(_ context.Context, ref belay.Ref) (belay.LearnedStatus, error) {
	return belay.LearnedStatus{Ref: ref, Until: epoch, Hours: 37, Signals: []belay.SignalHabits{{Signal: "error_rate", Kind: belay.KindEvents, Compared: true,
		Habits: []belay.Habit{{Name: belay.HabitMargin, Value: 1.5, Source: belay.HabitAssumed}}}}}, w.err
}

func (w *world) Forget(_ context.Context, ref belay.Ref, actor string) (belay.LearnedStatus, error) {
	w.lifted = fmt.Sprint(ref, " forgotten by ", actor)
	return belay.LearnedStatus{Ref: ref, Until: epoch, Signals: []belay.SignalHabits{}}, w.refusal
}

func (w *world) Health(context.Context) belay.ServerHealth {
	return belay.ServerHealth{Status: "healthy"}
}
func (w *world) Ready(context.Context) error  { return w.err }
func (w *world) Reload(context.Context) error { return w.err }

func (w *world) handler(token belay.Secret) http.Handler {
	return api.New(api.Options{Deployments: w, Evidence: w, Rollbacks: w, Services: w, Learning: w, Server: w, Metrics: http.NotFoundHandler(),
		Token: func() belay.Secret { return token }, Logger: slog.New(slog.DiscardHandler)})
}

func (w *world) serve(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(w.handler(""))
	t.Cleanup(srv.Close)
	return srv.URL
}

// result is how one run of the command line ended.
type result struct {
	code        int
	out, errors string
}

// runner runs the command line in this process.
type runner struct {
	server string
	env    map[string]string
	stdin  string
	tty    bool
}

func (r runner) run(t *testing.T, args ...string) result {
	t.Helper()
	return r.runCtx(t, t.Context(), args...)
}

func (r runner) runCtx(t *testing.T, ctx context.Context, args ...string) result { //nolint:revive // t comes first in tests
	t.Helper()
	var out, errs bytes.Buffer
	e := cli.Environment{Args: args, Stdin: strings.NewReader(r.stdin), Stdout: &out, Stderr: &errs, Getenv: func(k string) string {
		switch v, ok := r.env[k]; {
		case ok:
			return v
		case k == "BELAY_SERVER":
			return r.server
		case k == "BELAY_CONFIG":
			return filepath.Join(t.TempDir(), "none.yaml")
		case k == "BELAY_ACTOR":
			return "user:test"
		}
		return ""
	}}
	if r.tty {
		e.Measure = func() (int, int, bool) { return 100, 40, true }
	}
	code := cli.Main(ctx, e)
	return result{code, out.String(), errs.String()}
}

// problem reads an error that was written as JSON.
func (r result) problem(t *testing.T) belay.Problem {
	t.Helper()
	var p belay.Problem
	if err := json.Unmarshal([]byte(r.errors), &p); err != nil || p.Error.Message == "" {
		t.Errorf("standard error is not a problem in JSON: %v\n%s", err, r.errors)
	}
	return p
}
