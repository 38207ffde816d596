package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// answerTime is how long the application takes to answer.
const answerTime = 5 * time.Millisecond

// Backend is one instance of the application, in this process: it answers /, /healthz, /version and /metrics.
// Its health check passes whatever the share of errors is, as that of a release with a bad code path does.
type Backend struct {
	Addr string
	srv  *http.Server
	end  chan struct{}

	mu      sync.Mutex
	version string
	errors  float64
	count   map[[2]string]int // version, status
}

// NewBackend starts an instance.
func NewBackend(version string) (*Backend, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start an instance of the application: %w", err)
	}
	b := &Backend{Addr: ln.Addr().String(), end: make(chan struct{}), count: map[[2]string]int{}}
	b.Become(version, 0)
	b.srv = &http.Server{Handler: b, ReadHeaderTimeout: 5 * time.Second}
	go func() { defer close(b.end); _ = b.srv.Serve(ln) }()
	return b, nil
}

// Become replaces the release that runs: its version and the share of requests that it fails.
func (b *Backend) Become(version string, errors float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.version, b.errors = version, errors
	for _, status := range []string{"200", "500"} { // known before the first request, as client libraries do it
		b.count[[2]string{version, status}] += 0
	}
}

// Close stops the instance.
func (b *Backend) Close() {
	_ = b.srv.Close()
	<-b.end
}

// ServeHTTP answers.
func (b *Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		fmt.Fprintln(w, `{"status": "ok"}`)
	case "/version":
		b.mu.Lock()
		defer b.mu.Unlock()
		fmt.Fprint(w, b.version)
	case "/metrics":
		b.metrics(w)
	default:
		b.page(w)
	}
}

func (b *Backend) page(w http.ResponseWriter) {
	time.Sleep(answerTime)
	b.mu.Lock()
	version, status := b.version, http.StatusOK
	if rand.Float64() < b.errors { //nolint:gosec // not for secrets
		status = http.StatusInternalServerError
	}
	b.count[[2]string{version, fmt.Sprint(status)}]++
	b.mu.Unlock()
	w.Header().Set("X-Version", version)
	w.WriteHeader(status)
	fmt.Fprintln(w, "this is", version)
}

func (b *Backend) metrics(w http.ResponseWriter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintln(w, "# TYPE http_requests_total counter")
	for k, n := range b.count {
		if k[0] == b.version { // a new release is a new process
			fmt.Fprintf(w, "http_requests_total{version=%q,status=%q,route=\"/\",method=\"GET\"} %d\n", k[0], k[1], n)
		}
	}
}
