package http_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/rollback"
	driver "github.com/belaydev/belay/internal/rollback/driver/http"
	"github.com/belaydev/belay/internal/rollback/drivertest"
)

var _ rollback.Driver = (*driver.Driver)(nil)

// api is a small deploy API that honours idempotency keys.
type api struct {
	*httptest.Server
	mu      sync.Mutex
	version string
	keys    map[string]bool
	effects int
	status  int           // answered to every act, when set
	hang    chan struct{} // every act waits for it, when set
	last    *http.Request
	body    string
}

func newAPI(t *testing.T) *api {
	t.Helper()
	a := &api{version: "2.0", keys: map[string]bool{}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b, _ := io.ReadAll(r.Body)
	if r.Method == http.MethodGet {
		fmt.Fprintf(w, `{"release":{"version":%q}}`, a.version)
		return
	}
	a.last, a.body = r, string(b)
	if a.hang != nil {
		select {
		case <-r.Context().Done():
		case <-a.hang:
		}
		return
	}
	if a.status != 0 {
		http.Error(w, "the deploy queue is closed", a.status)
		return
	}
	if key := r.Header.Get("Idempotency-Key"); !a.keys[key] {
		a.keys[key] = true
		a.version = r.URL.Query().Get("to")
		a.effects++
	}
}

func (a *api) get(f func() string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return f()
}

func (a *api) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func action(t *testing.T, args driver.Args) belay.Action {
	t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	return belay.Action{
		Step: belay.Step{Key: "r-1/0/api", Name: "api", Driver: "http", Target: "the deploy API", Args: raw},
		Ref:  belay.Ref{Service: "shop", Environment: "production"}, Rollback: "r-1",
		From: belay.Release{Version: "2.0"}, To: belay.Release{Version: "1.9"}, FromSlot: "green", ToSlot: "blue",
	}
}

func (a *api) args() driver.Args {
	return driver.Args{
		URL:     a.URL + "/deploy?to={to_version}",
		Inspect: &driver.Inspect{URL: a.URL + "/state", JSON: ".release.version", Equals: "{version}"},
	}
}

func TestTheContractIsKept(t *testing.T) {
	drivertest.Exercise(t, func(t *testing.T) drivertest.Subject {
		a := newAPI(t)
		return drivertest.Subject{
			Driver:  driver.New(driver.Options{}),
			Action:  action(t, a.args()),
			State:   func() string { return a.get(func() string { return a.version }) },
			Effects: func() int { n := 0; a.set(func() { n = a.effects }); return n },
			Drift:   func() { a.set(func() { a.version = "1.7-hotfix" }) },
			Break:   func() { a.set(func() { a.status = 500 }) },
			Slow: func() {
				hang := make(chan struct{})
				a.set(func() { a.hang = hang })
				t.Cleanup(func() { close(hang) })
			},
		}
	})
}

func TestTheRequestIsAsConfigured(t *testing.T) {
	a := newAPI(t)
	secret := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := a.args()
	args.Method, args.URL = http.MethodPut, a.URL+"/{service}/{environment}/deploy?to={to_version}&slot={to_slot}"
	args.Headers = map[string]string{"X-From": "{from_version}"}
	args.Body = `{"to": "{to_version}", "note": "{unknown}"}`
	args.Token = driver.Secret{File: secret}
	act := action(t, args)
	act.To.Version = `1.9 "&admin=1/../x`
	if err := driver.New(driver.Options{}).Do(t.Context(), act); err != nil {
		t.Fatal(err)
	}
	r := a.last
	if r.Method != http.MethodPut || r.URL.Path != "/shop/production/deploy" || r.URL.Query().Get("to") != act.To.Version || r.URL.Query().Has("admin") {
		t.Errorf("%s %s", r.Method, r.URL)
	}
	for name, want := range map[string]string{
		"Idempotency-Key": "r-1/0/api", "Authorization": "Bearer s3cret", "X-From": "2.0", "Content-Type": "application/json",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	var doc map[string]string
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || doc["to"] != act.To.Version || doc["note"] != "{unknown}" {
		t.Errorf("body %s: %v", a.body, err)
	}
	if strings.Contains(string(act.Args), "s3cret") {
		t.Error("the stored plan holds the secret")
	}
}

func TestBodiesAreEscapedForTheirKind(t *testing.T) {
	for body, want := range map[string]string{
		"version={to_version}&x=1": "version=1%269&x=1",
		"{to_version}":             "1&9",
		`["{to_version}"]`:         `["1\u00269"]`,
	} {
		a := newAPI(t)
		args := a.args()
		args.Body = body
		act := action(t, args)
		act.To.Version = "1&9"
		if err := driver.New(driver.Options{}).Do(t.Context(), act); err != nil || a.body != want {
			t.Errorf("%s became %s, want %s (%v)", body, a.body, want, err)
		}
	}
}

func TestWhichRefusalsAreFinal(t *testing.T) {
	for status, want := range map[int]belay.Code{
		500: belay.CodeInternal, 503: belay.CodeInternal, 429: belay.CodeInternal, 409: belay.CodeInternal,
		400: belay.CodeInvalid, 302: belay.CodeInvalid, 401: belay.CodeDenied, 403: belay.CodeDenied, 404: belay.CodeNotFound,
	} {
		a := newAPI(t)
		a.status = status
		err := driver.New(driver.Options{}).Do(t.Context(), action(t, a.args()))
		if belay.CodeOf(err) != want || !strings.Contains(err.Error(), "the deploy queue is closed") {
			t.Errorf("%d: code %q, %v", status, belay.CodeOf(err), err)
		}
	}
	a := newAPI(t)
	a.status = 404
	args := a.args()
	args.Status = []driver.StatusRange{{Low: 404, High: 404}}
	if err := driver.New(driver.Options{}).Do(t.Context(), action(t, args)); err != nil {
		t.Errorf("a status that is accepted: %v", err)
	}
}

func TestHowALookReads(t *testing.T) {
	for name, c := range map[string]struct {
		inspect *driver.Inspect
		answer  string
		status  int
		want    belay.Progress
		err     string
	}{
		"none":                  {nil, "", 200, belay.ProgressUnknown, ""},
		"whole body":            {&driver.Inspect{Equals: "1.9"}, "1.9\n", 200, belay.ProgressDone, ""},
		"slot moved":            {&driver.Inspect{JSON: "slot", Equals: "{to_slot}"}, `{"slot":"blue"}`, 200, belay.ProgressDone, ""},
		"slot still":            {&driver.Inspect{JSON: "slot", Equals: "{to_slot}"}, `{"slot":"green"}`, 200, belay.ProgressPending, ""},
		"slot of a stranger":    {&driver.Inspect{JSON: "slot", Equals: "{to_slot}"}, `{"slot":"red"}`, 200, belay.ProgressDrifted, ""},
		"on its way":            {&driver.Inspect{JSON: "slot", Equals: "{to_slot}", Pending: []string{"moving"}}, `{"slot":"moving"}`, 200, belay.ProgressPending, ""},
		"a flag":                {&driver.Inspect{JSON: "on", Equals: "false"}, `{"on":false}`, 200, belay.ProgressDone, ""},
		"a flag still on":       {&driver.Inspect{JSON: "on", Equals: "false"}, `{"on":true}`, 200, belay.ProgressPending, ""},
		"by status":             {&driver.Inspect{Status: []driver.StatusRange{{Low: 404, High: 404}}}, "", 404, belay.ProgressDone, ""},
		"by status, not yet":    {&driver.Inspect{Status: []driver.StatusRange{{Low: 404, High: 404}}}, "", 200, belay.ProgressPending, ""},
		"down":                  {&driver.Inspect{Equals: "1.9"}, "oops", 503, "", "503"},
		"no such value":         {&driver.Inspect{JSON: ".a.b", Equals: "1.9"}, `{}`, 200, "", ".a.b"},
		"no JSON":               {&driver.Inspect{JSON: ".a", Equals: "1.9"}, `<html>`, 200, "", "JSON"},
		"an answer without end": {&driver.Inspect{JSON: ".a", Equals: "1.9"}, `{"a":"` + strings.Repeat("x", 2<<20), 200, "", "JSON"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.answer)
			}))
			defer srv.Close()
			if c.inspect != nil {
				c.inspect.URL = srv.URL
			}
			look, err := driver.New(driver.Options{}).Inspect(t.Context(), action(t, driver.Args{URL: srv.URL, Inspect: c.inspect}))
			if look.Progress != c.want || (err != nil) != (c.err != "") {
				t.Fatalf("%+v %v", look, err)
			}
			if err != nil && (!strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "the deploy API")) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestMetadataAddressesAreRefused(t *testing.T) {
	act := action(t, driver.Args{URL: "http://169.254.169.254/latest"})
	err := driver.New(driver.Options{}).Do(t.Context(), act)
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	a := newAPI(t)
	srv := httptest.NewServer(http.RedirectHandler(a.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	if err := driver.New(driver.Options{}).Do(t.Context(), action(t, driver.Args{URL: srv.URL})); err == nil || a.effects != 0 {
		t.Errorf("%v, %d effects", err, a.effects)
	}
}

func TestWhatCannotBeAskedIsFinal(t *testing.T) {
	for _, args := range []driver.Args{{}, {URL: "http://[::1"}, {URL: "http://127.0.0.1:1", Token: driver.Secret{Env: "TEST_NO_SUCH_TOKEN"}}} {
		if err := driver.New(driver.Options{}).Do(context.Background(), action(t, args)); belay.CodeOf(err) != belay.CodeInvalid {
			t.Errorf("%+v: %v", args, err)
		}
	}
}
