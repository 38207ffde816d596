package verify_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/prove/verify"
)

func instance(t *testing.T, version string) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/version", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Release", version)
		if r.Header.Get("Authorization") != "" {
			version += " for " + r.Header.Get("Authorization")
		}
		fmt.Fprintf(w, `{"build":{"version":%q}}`, version)
	})
	mux.HandleFunc("/plain", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, version+"\nbuilt yesterday") })
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 500)) })
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.Handle("/moved", http.RedirectHandler("/plain", http.StatusFound))
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "welcome to the shop") })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func TestHTTPReleases(t *testing.T) {
	a, b := instance(t, "1.1"), instance(t, "1.2")
	gone := instance(t, "1.1")
	gone.Close()
	targets := []belay.Target{{Address: a.URL + "/metrics"}, {Address: strings.TrimPrefix(b.URL, "http://")}, {Address: gone.URL}, {Address: "169.254.169.254"}, {Address: "ftp://x"}}
	got, err := verify.HTTPReleases{Version: verify.Version{JSON: ".build.version"}}.Releases(t.Context(), targets)
	if err != nil {
		t.Fatal(err)
	}
	want := []verify.Reported{{Version: "1.1"}, {Version: "1.2"}, {Problem: "connection refused"}, {Problem: "refused: link-local"}, {Problem: "want host:port"}}
	for i, g := range got {
		if g.Target != targets[i].Address || g.Version != want[i].Version || !strings.Contains(g.Problem, want[i].Problem) || g.Problem != "" && want[i].Problem == "" {
			t.Errorf("%d: got %+v, want %+v", i, g, want[i])
		}
	}
	for _, c := range []struct {
		path                   string
		version                verify.Version
		got, problem, bearerOf string
	}{
		{path: "/plain", got: "1.1"},
		{path: "version", version: verify.Version{Header: "x-release"}, got: "1.1"},
		{path: "/plain", version: verify.Version{JSON: ".version"}, problem: "the body is not JSON"},
		{path: "/version", version: verify.Version{JSON: ".version"}, problem: "no version in JSON .version"},
		{path: "/version", version: verify.Version{JSON: ".["}, problem: "read JSON path"},
		{path: "/plain", version: verify.Version{Header: "x-nothing"}, problem: "no version in header x-nothing"},
		{path: "/long", problem: "is no version"},
		{path: "/none", problem: "HTTP 404"},
		{path: "/moved", problem: "HTTP 302"},
		{path: "/slow", problem: "no answer in 50ms"},
	} {
		h := verify.HTTPReleases{Path: c.path, Version: c.version, Request: verify.Request{Timeout: 2 * time.Second}}
		if c.path == "/slow" {
			h.Timeout = 50 * time.Millisecond
		}
		got, err := h.Releases(t.Context(), targets[:1])
		if err != nil || got[0].Version != c.got || !strings.Contains(got[0].Problem, c.problem) {
			t.Errorf("%s: %+v, %v; want %q, %q", c.path, got, err, c.got, c.problem)
		}
	}
	one := verify.HTTPReleases{Path: b.URL + "/plain?x=1"}
	if got, err := one.Releases(t.Context(), targets[:2]); err != nil || got[0].Version != "1.2" || got[1].Version != "1.2" || got[1].Target != targets[1].Address {
		t.Errorf("one URL for all: %+v, %v", got, err)
	}
	h := verify.HTTPReleases{Version: verify.Version{JSON: "build.version"}, Request: verify.Request{Headers: map[string]belay.Secret{"Authorization": "Bearer x"}}}
	if got, err := h.Releases(t.Context(), targets[:1]); err != nil || got[0].Version != "1.1 for Bearer x" {
		t.Errorf("with a header: %+v, %v", got, err)
	}
}

func TestHTTPFrontDoor(t *testing.T) {
	srv := instance(t, "v1.1")
	gone := instance(t, "1.1")
	gone.Close()
	release := belay.Release{Version: "1.1"}
	for _, c := range []struct {
		name  string
		door  verify.HTTPFrontDoor
		state belay.CheckResult
		got   string
		want  string
	}{
		{"any 2xx", verify.HTTPFrontDoor{URL: srv.URL}, belay.CheckPassed, "3 × HTTP 200, slowest", "3 × HTTP 200-299 from http://"},
		{"status", verify.HTTPFrontDoor{URL: srv.URL + "/none", Status: []verify.StatusRange{{From: 200, To: 200}, {From: 301, To: 303}}}, belay.CheckFailed, "HTTP 404 (request 1 of 3)", "3 × HTTP 200 or 301-303 from"},
		{"wanted 404", verify.HTTPFrontDoor{URL: srv.URL + "/none", Status: []verify.StatusRange{{From: 400, To: 499}}}, belay.CheckPassed, "HTTP 404", "HTTP 400-499"},
		{"body", verify.HTTPFrontDoor{URL: srv.URL, Body: regexp.MustCompile("^welcome")}, belay.CheckPassed, "HTTP 200", `a body that matches "^welcome"`},
		{"other body", verify.HTTPFrontDoor{URL: srv.URL, Body: regexp.MustCompile("sorry")}, belay.CheckFailed, "HTTP 200 with a body that does not match", ""},
		{"version header", verify.HTTPFrontDoor{URL: srv.URL + "/version", Version: verify.Version{Header: "X-Release"}}, belay.CheckPassed, "version v1.1", "version 1.1"},
		{"version JSON", verify.HTTPFrontDoor{URL: srv.URL + "/version", Version: verify.Version{JSON: ".build.version"}}, belay.CheckPassed, "version v1.1", "version 1.1"},
		{"no version", verify.HTTPFrontDoor{URL: srv.URL, Version: verify.Version{Header: "X-Release"}}, belay.CheckUnknown, "HTTP 200, no version in header X-Release", ""},
		{"redirect", verify.HTTPFrontDoor{URL: srv.URL + "/moved"}, belay.CheckFailed, "HTTP 302", ""},
		{"gone", verify.HTTPFrontDoor{URL: gone.URL}, belay.CheckFailed, "connection refused", ""},
		{"slow", verify.HTTPFrontDoor{URL: srv.URL + "/slow", Request: verify.Request{Timeout: 50 * time.Millisecond}}, belay.CheckFailed, "no answer in 50ms", ""},
		{"metadata", verify.HTTPFrontDoor{URL: "http://169.254.169.254/"}, belay.CheckUnknown, "refused: link-local", ""},
	} {
		r := c.door.Knock(t.Context(), release)
		if r.State != c.state || !strings.Contains(r.Got, c.got) || !strings.Contains(r.Want, c.want) {
			t.Errorf("%s: %+v; want %s, %q, %q", c.name, r, c.state, c.got, c.want)
		}
	}
	other := verify.HTTPFrontDoor{URL: srv.URL + "/version", Version: verify.Version{Header: "X-Release"}}
	if r := other.Knock(t.Context(), belay.Release{Version: "1.0"}); r.State != belay.CheckFailed || !strings.Contains(r.Got, "v1.1") {
		t.Errorf("other release: %+v", r)
	}
}

// One instance behind the door that still fails is found by asking several times in a row.
func TestFrontDoorAsksSeveralTimes(t *testing.T) {
	var n atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1)%3 == 0 {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer srv.Close()
	r := verify.HTTPFrontDoor{URL: srv.URL}.Knock(t.Context(), belay.Release{})
	if r.State != belay.CheckFailed || r.Got != "HTTP 502 (request 3 of 3)" {
		t.Errorf("%+v", r)
	}
}

func TestHeadersNeverShow(t *testing.T) {
	h := verify.HTTPFrontDoor{Request: verify.Request{Headers: map[string]belay.Secret{"Authorization": "Bearer x"}}}
	if s := fmt.Sprintf("%v %+v %#v", h, h, h); strings.Contains(s, "Bearer x") {
		t.Errorf("printed: %s", s)
	}
}
