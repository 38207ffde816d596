package app_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app"
)

// Everything that belay asks is away: it starts, says so, and answers at once.
const away = `
metrics: {url: http://127.0.0.1:1}
proxies:
  edge: {listen: 127.0.0.1:2, admin: 127.0.0.1:1, slots: {blue: 127.0.0.1:3, green: 127.0.0.1:4}}
services:
  shop: {health: /healthz, rollout: {proxy: edge}, metrics: {selector: {job: shop}}}
  cart: {targets: [127.0.0.1:1]}
`

func TestStatusWhenEverythingIsDown(t *testing.T) {
	o := write(t, away)
	a := started(t, o)
	began := time.Now()
	list, err := a.Services(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("services %+v, %v", list, err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("status took %s", took)
	}
	if s := list[0]; s.Weights != nil || !strings.Contains(sources(s), "admin API of proxy edge") || len(s.Warnings) == 0 {
		t.Errorf("status %+v", s)
	}
	h := a.Health(t.Context())
	for name, want := range map[string]string{"store": "healthy", "data_folder": "healthy", "configuration": "healthy", "metrics": "unhealthy", "proxy edge": "unhealthy"} {
		if got := h.Checks[name]; got.Status != want || (want == "unhealthy") != (got.Detail != "") {
			t.Errorf("%s is %+v, want %s", name, got, want)
		}
	}
	if h.Status != "unhealthy" {
		t.Errorf("health is %s", h.Status)
	}
	resp, err := http.Get(a.URL() + "/health")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", resp.StatusCode)
	}
	// A person's word for what runs now needs the slot that it serves from.
	_, err = a.Deploy(t.Context(), belay.DeployRequest{Ref: belay.Ref{Service: "shop"}, Release: belay.Release{Version: "2"}, Previous: "1", Register: true})
	if belay.CodeOf(err) != belay.CodeUnavailable || !strings.Contains(err.Error(), "start the proxy first") {
		t.Errorf("vouching without the proxy: %v", err)
	}
}

func sources(s belay.ServiceStatus) string {
	var out []string
	for _, v := range s.Sources {
		out = append(out, v.Source+": "+v.Detail)
	}
	return strings.Join(out, "\n")
}

func TestHealthMissesTheDatabase(t *testing.T) {
	o := write(t, small)
	a := started(t, o)
	path := filepath.Join(filepath.Dir(o.ConfigFile), "belay-data", "belay.db")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if h := a.Health(t.Context()); h.Status != "unhealthy" || !strings.Contains(h.Checks["store"].Detail, "removed or replaced") {
		t.Errorf("health %+v", h)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if h := a.Health(t.Context()); h.Status != "healthy" {
		t.Errorf("health %+v", h)
	}
}

// A name that was rebound to this machine is refused, also when belay listens on every address.
func TestHostNames(t *testing.T) {
	t.Setenv("BELAY_TEST_TOKEN", "s3cret")
	_, port, err := net.SplitHostPort(freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	o := write(t, "server: {listen: '0.0.0.0:"+port+"', external_url: https://belay.example.com/, token: {env: BELAY_TEST_TOKEN}}\n"+small)
	o.Standalone = false
	started(t, o)
	for host, want := range map[string]int{
		"belay.example.com": 401, "localhost:" + port: 401, "127.0.0.1:" + port: 401, "evil.example.com": 403, "belay.example.com.evil.com": 403,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+port+"/api/v1/services", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("host %s: %d, want %d", host, resp.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// disk takes so many bytes, and forgets them on a sync if it is lazy.
type disk struct {
	space, taken int
	lazy         bool
}

func (d *disk) Write(p []byte) (int, error) {
	if d.taken += len(p); d.taken > d.space && !d.lazy {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

func (d *disk) Sync() error {
	if d.taken > d.space {
		return syscall.ENOSPC
	}
	return nil
}

func TestFullDiskIsUnhealthy(t *testing.T) {
	for _, c := range []struct {
		disk disk
		full bool
	}{{disk: disk{space: 1 << 20}}, {disk: disk{space: 4096}, full: true}, {disk: disk{space: 4096, lazy: true}, full: true}} {
		if err := app.Probe(c.disk.Write, c.disk.Sync); errors.Is(err, syscall.ENOSPC) != c.full {
			t.Errorf("disk %+v: %v", c.disk, err)
		}
		if c.disk.taken != 64<<10 {
			t.Errorf("%d bytes were tried", c.disk.taken)
		}
	}
}
