package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/deploy"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
	"github.com/belaydev/belay/internal/watch"
)

func ref() belay.Ref { return belay.Ref{Service: "shop", Environment: "production"} }

// deployer has one service whose deploy command is a shell script in a folder of its own.
func deployer(t *testing.T, script string, change func(*config.Config)) (*deploy.Deployer, string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "deploy.sh"), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	cfg, err := config.Parse(filepath.Join(dir, "belay.yaml"), []byte("services: {shop: {deploy: {command: [./deploy.sh, one], timeout: 10s}}}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(cfg)
	}
	return &deploy.Deployer{
		Config: func() *config.Config { return cfg }, Proxies: func() map[string]*proxyclient.Client { return nil },
		Logs: filepath.Join(dir, "logs"), Log: slog.New(slog.DiscardHandler), Grace: 200 * time.Millisecond,
	}, dir
}

func release() belay.Deployment {
	return belay.Deployment{ID: "d-1", Ref: ref(), Release: belay.Release{Version: "1.1 $(rm)", Commit: "abc", Digest: "sha256:1"},
		Previous: belay.Release{Version: "1.0"}, Slot: "green", PreviousSlot: "blue"}
}

func TestCommandSeesTheFactsAndNoSecrets(t *testing.T) {
	t.Setenv("BELAY_TOKEN", "hunter2")
	t.Setenv("MY_TOKEN", "hunter3")
	for i, name := range []string{"METRICS_TOKEN", "HOOK_SECRET", "EDGE_TOKEN", "SCRAPE_TOKEN", "LEAVING_TOKEN"} {
		t.Setenv(name, fmt.Sprintf("hunter%d", 4+i))
	}
	t.Setenv("OTHER", "stays")
	d, dir := deployer(t, `env > seen; pwd >> seen; echo "args=$*" >> seen`, func(c *config.Config) {
		c.Server.Token.Env, c.Metrics.BearerToken.Env = "MY_TOKEN", "METRICS_TOKEN"
		c.Notify.Webhooks = []config.Webhook{{Secret: config.Secret{Env: "HOOK_SECRET"}}}
		c.Proxies = []config.Proxy{{Token: config.Secret{Env: "EDGE_TOKEN"}}}
		c.Services[0].Metrics.BearerToken.Env = "SCRAPE_TOKEN"
		c.Leaving = []config.Service{{Metrics: config.ServiceMetrics{BearerToken: config.Secret{Env: "LEAVING_TOKEN"}}}}
		c.Services[0].Deploy.Env = map[string]string{"MODE": "fast", "BELAY_VERSION": "forged"}
	})
	if err := d.Deploy(t.Context(), release()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "seen"))
	if err != nil {
		t.Fatal(err)
	}
	seen := "\n" + string(b)
	for _, want := range []string{
		"BELAY_SERVICE=shop", "BELAY_ENVIRONMENT=production", "BELAY_DEPLOYMENT=d-1", "BELAY_VERSION=1.1 $(rm)", "BELAY_COMMIT=abc",
		"BELAY_DIGEST=sha256:1", "BELAY_PREVIOUS_VERSION=1.0", "BELAY_SLOT=green", "BELAY_PREVIOUS_SLOT=blue", "BELAY_SLOT_ADDRESS=",
		"MODE=fast", "OTHER=stays", dir, "args=one",
	} {
		if !strings.Contains(seen, "\n"+want+"\n") {
			t.Errorf("the command does not see %q:\n%s", want, seen)
		}
	}
	if strings.Contains(seen, "hunter") {
		t.Errorf("the command sees a secret of belay:\n%s", seen)
	}
}

func TestFailureTellsTheEndOfTheOutput(t *testing.T) {
	d, dir := deployer(t, `i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done; printf 'no\033[31m disk\n' >&2; exit 3`, nil)
	err := d.Deploy(t.Context(), release())
	if err == nil || !strings.Contains(err.Error(), "deploy.sh: exit status 3: line 1") || !strings.HasSuffix(err.Error(), "no[31m disk") {
		t.Fatalf("error %v", err)
	}
	if errors.Is(err, watch.ErrNothingChanged) || len(err.Error()) > 5000 || strings.Contains(err.Error(), "line 0\n") {
		t.Errorf("error of %d bytes, nothing changed: %t", len(err.Error()), errors.Is(err, watch.ErrNothingChanged))
	}
	kept, err := os.ReadFile(filepath.Join(dir, "logs", "d-1.log"))
	if err != nil || !strings.HasPrefix(string(kept), "line 0\n") {
		t.Errorf("the whole output is not kept: %.20q, %v", kept, err)
	}
}

func TestWhatCannotStartChangedNothing(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"no command":      func(c *config.Config) { c.Services[0].Deploy.Command = nil },
		"no such program": func(c *config.Config) { c.Services[0].Deploy.Command = []string{"./none.sh"} },
		"not configured":  func(c *config.Config) { c.Services = nil },
	} {
		d, _ := deployer(t, "true", change)
		if err := d.Deploy(t.Context(), release()); !errors.Is(err, watch.ErrNothingChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTimeoutEndsTheWholeGroup(t *testing.T) {
	d, dir := deployer(t, `trap '' TERM; sleep 60 & echo $! > child; trap '' TERM; wait`, func(c *config.Config) {
		c.Services[0].Deploy.Timeout = 300 * time.Millisecond
	})
	err := d.Deploy(t.Context(), release())
	if err == nil || !strings.Contains(err.Error(), "deploy.timeout of 300ms is over") {
		t.Errorf("error %v", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	wantGone(t, pid)
}

// wantGone waits until the process has ended; a zombie that nobody reaps has.
func wantGone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.After(5 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("process %d lives on: %s", pid, stat)
		case <-tick.C:
		}
	}
}

func TestDaemonLeftBehindDoesNotHold(t *testing.T) {
	d, dir := deployer(t, `sleep 60 & echo $! > child; echo started`, nil)
	began := time.Now()
	if err := d.Deploy(t.Context(), release()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	b, err := os.ReadFile(filepath.Join(dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("the server that it started is gone: %v", err)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestStopOfBelayEndsTheCommand(t *testing.T) {
	d, dir := deployer(t, `echo $$ > child; sleep 60`, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Deploy(ctx, release()) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if b, err := os.ReadFile(filepath.Join(dir, "child")); err == nil && len(b) > 0 {
			break
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// admin is the admin API of a proxy that takes everything.
type admin struct {
	mu    sync.Mutex
	calls []string
}

func (a *admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := make([]byte, 200)
	n, _ := r.Body.Read(b)
	a.mu.Lock()
	a.calls = append(a.calls, r.Method+" "+r.URL.Path+" "+strings.TrimSpace(string(b[:n])))
	a.mu.Unlock()
	_, _ = w.Write([]byte("{}"))
}

func TestSetWeight(t *testing.T) {
	for name, c := range map[string]struct {
		previous string
		pct      int
		want     string
	}{
		"some":          {"blue", 25, `{"blue":75,"green":25}`},
		"none":          {"blue", 0, `{"blue":100,"green":0}`},
		"all":           {"blue", 100, `{"blue":0,"green":100}`},
		"alone gets it": {"", 25, `{"green":100}`},
		"alone, none":   {"", 0, `{"green":0}`},
		"same slot":     {"green", 50, `{"green":100}`},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			seen := &admin{}
			srv := httptest.NewServer(seen)
			defer srv.Close()
			client, err := proxyclient.New("edge", srv.URL, "")
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			d, _ := deployer(t, "true", func(c *config.Config) { c.Services[0].Rollout.Proxy = "edge" })
			d.Proxies = func() map[string]*proxyclient.Client { return map[string]*proxyclient.Client{"edge": client} }
			dep := release()
			dep.PreviousSlot = c.previous
			if err := d.SetWeight(t.Context(), dep, c.pct); err != nil {
				t.Fatal(err)
			}
			if last := seen.calls[len(seen.calls)-1]; !strings.HasSuffix(last, c.want) || !strings.HasPrefix(last, "PUT") {
				t.Errorf("weights %q, want %s", last, c.want)
			}
		})
	}
	d, _ := deployer(t, "true", nil)
	if err := d.SetWeight(t.Context(), release(), 50); err != nil {
		t.Errorf("without a proxy traffic is not ours: %v", err)
	}
	d, _ = deployer(t, "true", func(c *config.Config) { c.Services[0].Rollout.Proxy = "gone" })
	if err := d.SetWeight(t.Context(), release(), 50); belay.CodeOf(err) != belay.CodeNotFound {
		t.Errorf("a proxy that is not there: %v", err)
	}
}
