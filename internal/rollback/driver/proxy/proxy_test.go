package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/belaydev/belay"
	dataplane "github.com/belaydev/belay/internal/proxy"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
	"github.com/belaydev/belay/internal/rollback"
	"github.com/belaydev/belay/internal/rollback/driver/proxy"
	"github.com/belaydev/belay/internal/rollback/drivertest"
)

var _ rollback.Driver = (*proxy.Driver)(nil)

// setup runs a proxy with blue holding 1.4, green holding 1.5 with all traffic, and a third slot.
func setup(t *testing.T) (*proxy.Driver, *proxyclient.Client, belay.Action) {
	t.Helper()
	p, err := dataplane.New(dataplane.Options{Name: "edge", Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Slots: []dataplane.Slot{
		{Name: "blue", Address: "127.0.0.1:1", Release: "1.4"}, {Name: "green", Address: "127.0.0.1:2", Release: "1.5", Weight: 100},
		{Name: "red", Address: "127.0.0.1:3"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := proxyclient.New("edge", p.AdminAddr(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := p.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return proxy.New(map[string]*proxyclient.Client{"edge": c}), c, belay.Action{
		Step:     belay.Step{Key: "r-1/0/traffic", Name: "traffic", Args: json.RawMessage(`{"proxy":"edge","drain":"1s"}`)},
		From:     belay.Release{Version: "1.5"},
		To:       belay.Release{Version: "1.4"},
		FromSlot: "green", ToSlot: "blue",
	}
}

func TestContract(t *testing.T) {
	drivertest.Exercise(t, func(t *testing.T) drivertest.Subject {
		_, direct, a := setup(t)
		a.Target = "proxy edge"
		status := func() proxyclient.Status {
			s, err := direct.Slots(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		// The driver reaches the proxy through a front that can be made to fail.
		var broken, slow atomic.Bool
		pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: strings.TrimPrefix(direct.Address(), "http://")})
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case broken.Load():
				http.Error(w, "out of order", http.StatusInternalServerError)
			case slow.Load():
				<-r.Context().Done()
			default:
				pass.ServeHTTP(w, r)
			}
		}))
		t.Cleanup(front.Close)
		clients := func() map[string]*proxyclient.Client {
			c, err := proxyclient.New("edge", front.URL, "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			return map[string]*proxyclient.Client{"edge": c}
		}
		return drivertest.Subject{
			Driver:  proxy.New(clients()),
			Action:  a,
			State:   func() string { s := status(); return fmt.Sprint(s.Weights()) },
			Effects: func() int { return int(status().Generation) - 1 },
			Again:   func() rollback.Driver { return proxy.New(clients()) },
			Drift: func() {
				if _, err := direct.SetWeights(t.Context(), map[string]int{"red": 100}, proxyclient.WeightOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			Break: func() { broken.Store(true) },
			Slow:  func() { slow.Store(true) },
		}
	})
}

func want(t *testing.T, d *proxy.Driver, a belay.Action, p belay.Progress, detail string) {
	t.Helper()
	look, err := d.Inspect(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if look.Progress != p || !strings.Contains(look.Detail, detail) {
		t.Errorf("got %+v, want %s with %q", look, p, detail)
	}
}

func TestTrafficGoesBack(t *testing.T) {
	d, c, a := setup(t)
	want(t, d, a, belay.ProgressPending, "blue=0 green=100 red=0")
	for range 2 { // again after a crash
		if err := d.Do(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		want(t, d, a, belay.ProgressDone, "blue=100 green=0 red=0")
	}
	if s, err := c.Slots(t.Context()); err != nil || s.Generation != 2 {
		t.Errorf("changed more than once: %+v %v", s, err)
	}
	// Somebody moves it forward again: the next attempt of the same step acts again.
	if _, err := c.SetWeights(t.Context(), map[string]int{"green": 100}, proxyclient.WeightOptions{}); err != nil {
		t.Fatal(err)
	}
	want(t, d, a, belay.ProgressPending, "green=100")
	if err := d.Do(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	want(t, d, a, belay.ProgressDone, "blue=100")
}

func TestForeignHandsAreSeen(t *testing.T) {
	d, c, a := setup(t)
	if _, err := c.SetWeights(t.Context(), map[string]int{"blue": 50, "red": 50}, proxyclient.WeightOptions{}); err != nil {
		t.Fatal(err)
	}
	want(t, d, a, belay.ProgressDrifted, "red=50")
	if _, err := c.SetWeights(t.Context(), map[string]int{"green": 100}, proxyclient.WeightOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetRelease(t.Context(), "blue", "1.6"); err != nil {
		t.Fatal(err)
	}
	want(t, d, a, belay.ProgressDrifted, "slot blue holds release 1.6, not 1.4")
	if err := d.Do(t.Context(), a); belay.CodeOf(err) != belay.CodeConflict {
		t.Errorf("moved users to another release: %v", err)
	}
	want(t, d, a, belay.ProgressDrifted, "green=100")
}

func TestErrorsSayWhetherTryingAgainHelps(t *testing.T) {
	_, _, a := setup(t)
	gone, err := proxyclient.New("edge", "127.0.0.1:1", "")
	if err != nil {
		t.Fatal(err)
	}
	d := proxy.New(map[string]*proxyclient.Client{"edge": gone})
	_, err = d.Inspect(t.Context(), a)
	if belay.CodeOf(err) != belay.CodeUnavailable || strings.Count(err.Error(), "cannot be reached") != 1 || !strings.Contains(err.Error(), `is "belay proxy edge" running?`) {
		t.Errorf("unreachable: %v", err)
	}
	d, _, a = setup(t)
	for args, code := range map[string]belay.Code{
		`{"proxy":"edge","slot":"pink"}`: belay.CodeNotFound,
		`{"proxy":"core"}`:               belay.CodeInvalid,
		`{}`:                             belay.CodeInvalid,
		``:                               belay.CodeInvalid,
		`{"proxy":"edge","slott":"x"}`:   belay.CodeInvalid,
		`{"proxy":"edge","drain":"-1s"}`: belay.CodeInvalid,
	} {
		a.Args = json.RawMessage(args)
		if err := d.Do(t.Context(), a); belay.CodeOf(err) != code {
			t.Errorf("%s: %v", args, err)
		}
	}
	a.Args, a.ToSlot = json.RawMessage(`{"proxy":"edge"}`), ""
	if _, err := d.Inspect(t.Context(), a); belay.CodeOf(err) != belay.CodeInvalid {
		t.Errorf("no slot: %v", err)
	}
}
