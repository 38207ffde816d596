package body_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/belaydev/belay/internal/observe/health/body"
)

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, json      string
		down            bool
		status, release string
		broken          []string
	}{
		{name: "health+json", json: `{"status":"fail","version":"1","releaseId":"1.2.2","checks":{"db:connections":[{"componentType":"datastore","status":"pass"},{"status":"fail","output":"refused"}],"cpu":[{"status":"warn"}]}}`,
			down: true, status: "fail", release: "1.2.2", broken: []string{"db:connections"}},
		{name: "spring actuator", json: `{"status":"DOWN","components":{"db":{"status":"DOWN","details":{"error":"x"}},"diskSpace":{"status":"UP","details":{"total":1}},"ping":{"status":"UP"}},"groups":["liveness"]}`,
			down: true, status: "DOWN", broken: []string{"db"}},
		{name: "spring actuator, nested", json: `{"status":"OUT_OF_SERVICE","components":{"db":{"status":"DOWN","components":{"orders":{"status":"DOWN"},"users":{"status":"UP"}}}}}`,
			down: true, status: "OUT_OF_SERVICE", broken: []string{"db/orders"}},
		{name: "spring boot 1", json: `{"status":"DOWN","db":{"status":"DOWN","error":"x"},"mail":{"status":"UP"}}`,
			down: true, status: "DOWN", broken: []string{"db"}},
		{name: "asp.net entries", json: `{"status":"Unhealthy","totalDuration":"00:00:00.05","entries":{"sql":{"status":"Unhealthy","data":{}},"redis":{"status":"Degraded"}}}`,
			down: true, status: "Unhealthy", broken: []string{"sql"}},
		{name: "asp.net results", json: `{"status":"Healthy","results":{"sql":{"status":"Healthy"},"bus":{"status":"Unhealthy"}}}`,
			status: "Healthy", broken: []string{"bus"}},
		{name: "microprofile", json: `{"status":"DOWN","checks":[{"name":"db","status":"DOWN","data":{}},{"name":"jms","status":"UP"}]}`,
			down: true, status: "DOWN", broken: []string{"db"}},
		{name: "terminus", json: `{"status":"error","info":{"redis":{"status":"up"}},"error":{"database":{"status":"down","message":"x"}},"details":{"redis":{"status":"up"},"database":{"status":"down"}}}`,
			down: true, status: "error", broken: []string{"database"}},
		{name: "hellofresh", json: `{"status":"Service Unavailable","failures":{"rabbitmq":"failed during health check"},"component":{"name":"shop","version":"v1"}}`,
			down: true, status: "Service Unavailable", broken: []string{"rabbitmq"}},
		{name: "ours", json: `{"status":"unhealthy","timestamp":"2026-01-01T00:00:00Z","version":"0.1.0","dependencies":{"database":{"status":"unhealthy","error":"x"},"metrics":{"status":"healthy"}}}`,
			down: true, status: "unhealthy", release: "0.1.0", broken: []string{"database"}},
		{name: "hand-written", json: `{"db":"ok","redis":"down","version":7}`, release: "7", broken: []string{"redis"}},
		{name: "hand-written, booleans", json: `{"database":false,"redis":true,"debug":false,"maintenance":false}`, broken: []string{"database"}},
		{name: "hand-written, container of booleans", json: `{"ok":false,"checks":{"stripe":false,"redis":true}}`,
			down: true, status: "ok=false", broken: []string{"stripe"}},
		{name: "hand-written, messages", json: `{"status":"ok","database":"error: could not connect to server","mode":"offline"}`,
			status: "ok", broken: []string{"database"}},
		{name: "django", json: `{"DatabaseBackend":"working","Cache backend: default":"unavailable: unknown error"}`, broken: []string{"Cache backend: default"}},
		{name: "python healthcheck", json: `{"hostname":"a","status":"failure","results":[{"checker":"db_up","passed":false},{"checker":"disk","passed":true}]}`,
			down: true, status: "failure", broken: []string{"db_up"}},
		{name: "okcomputer", json: `{"default":{"message":"up","success":true},"database":{"message":"x","success":false}}`, broken: []string{"database"}},
		{name: "healthy", json: `{"status":"UP","info":{"app":{"version":"2.0"}},"components":{"db":{"status":"UP"}}}`, status: "UP", release: "2.0"},
		{name: "status code object", json: `{"status":{"code":"DOWN"}}`, down: true, status: "DOWN"},
		{name: "not json", json: `all fine`},
		{name: "a list", json: `["down"]`},
		{name: "a word", json: `"down"`},
	} {
		f := body.Read([]byte(c.json))
		if f.Down != c.down || f.Status != c.status || f.Release != c.release || !slices.Equal(f.Broken, c.broken) {
			t.Errorf("%s: got %+v", c.name, f)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"status":"fail","releaseId":"1","checks":{"db":[{"status":"fail"}]}}`))
	f.Add([]byte(`{"components":{"a":{"components":{"b":{"components":{"c":{"status":"DOWN"}}}}}}}`))
	f.Add([]byte(`{"failures":["x",{"name":"y"},7],"error":{"z":false}}`))
	f.Add([]byte("{\"checks\":{\"\x1b[31mred\":false}}"))
	f.Add([]byte(strings.Repeat(`{"checks":{"a":`, 50)))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := body.Read(b)
		again := body.Read(b)
		if got.Release != again.Release || got.Status != again.Status || got.Down != again.Down || !slices.Equal(got.Broken, again.Broken) {
			t.Fatalf("two readings differ: %+v, %+v", got, again)
		}
		if len(got.Broken) > 20 {
			t.Errorf("%d broken", len(got.Broken))
		}
		for _, s := range append(got.Broken, got.Release, got.Status) {
			if len(s) > 110 || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
				t.Errorf("not fit to print: %q", s)
			}
		}
	})
}
