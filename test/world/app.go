//go:build story

package world

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// App is a small application in the test's own process. Which version it is stands in a file that scripts write:
// so it can be deployed and taken back by a deploy.sh and a rollback.sh. A version that ends in "-bad" fails half of
// its requests; one that ends in "-sick" fails its health check.
type App struct {
	Addr string
	file string

	mu    sync.Mutex
	count map[[2]string]int // version, status
	turn  int
}

// App starts the application with a version, writes the scripts deploy.sh, rollback.sh and current.sh, and stops
// with the test.
func (w *World) App(addr, version string) *App {
	w.T.Helper()
	a := &App{Addr: addr, file: filepath.Join(w.Dir, "version"), count: map[[2]string]int{}}
	w.Write("version", version, 0o644)
	w.Write("deploy.sh", "#!/bin/sh\nset -eu\nprintf %s \"$BELAY_VERSION\" > version.new\nmv version.new version\n", 0o755)
	w.Write("rollback.sh", "#!/bin/sh\nset -eu\necho \"$BELAY_STEP_KEY\" >> rollbacks\nprintf %s \"$BELAY_TO_VERSION\" > version.new\nmv version.new version\n", 0o755)
	w.Write("current.sh", "#!/bin/sh\ncat version\n", 0o755)
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		w.T.Fatal(err)
	}
	srv := &http.Server{Handler: a, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = srv.Serve(ln) }()
	w.T.Cleanup(func() { _ = srv.Close(); <-ended })
	return a
}

// Version is the one that runs.
func (a *App) Version() string {
	b, _ := os.ReadFile(a.file)
	return string(b)
}

// ServeHTTP answers /, /version, /healthz and /metrics.
func (a *App) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	v := a.Version()
	switch r.URL.Path {
	case "/version":
		fmt.Fprintf(rw, `{"version": %q}`, v)
	case "/healthz":
		if strings.HasSuffix(v, "-sick") {
			http.Error(rw, `{"status": "unhealthy"}`, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(rw, `{"status": "ok"}`)
	case "/metrics":
		a.metrics(rw)
	default:
		a.mu.Lock()
		a.turn++
		status := http.StatusOK
		if strings.HasSuffix(v, "-bad") && a.turn%2 == 0 {
			status = http.StatusInternalServerError
		}
		a.count[[2]string{v, fmt.Sprint(status)}]++
		a.mu.Unlock()
		rw.WriteHeader(status)
		fmt.Fprintln(rw, "this is", v)
	}
}

func (a *App) metrics(rw http.ResponseWriter) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.Version()
	for _, status := range []string{"200", "500"} { // known before the first request, as client libraries do it
		a.count[[2]string{v, status}] += 0
	}
	fmt.Fprintln(rw, "# TYPE http_requests_total counter")
	for k, n := range a.count {
		fmt.Fprintf(rw, "http_requests_total{version=%q,status=%q,route=\"/\",method=\"GET\"} %d\n", k[0], k[1], n)
	}
}
