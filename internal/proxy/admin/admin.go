// Package admin is the HTTP API that a proxy is driven and read by: weights, slots, drains, counts, metrics. It
// checks who asks and how; what a change means is for package proxy.
package admin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// maxBody bounds the body of an admin request: 64 slots are a few kilobytes.
const maxBody = 64 << 10

// maxDrainWait bounds how long a drain request may wait.
const maxDrainWait = time.Hour

// Plane is the data plane. It has as many methods as the API has things to do.
type Plane interface {
	Ready() bool
	Status() proxyclient.Status
	// Snapshot leaves Seq to the caller.
	Snapshot() proxyclient.Snapshot
	// Mark is another one whenever Snapshot would be, and cheap.
	Mark() Mark
	SetWeights(weights map[string]int, o proxyclient.WeightOptions) (proxyclient.Changed, error)
	ConfigureSlot(name string, ch proxyclient.SlotChange) (proxyclient.Changed, error)
	RemoveSlot(name string) (proxyclient.Changed, error)
	WaitDrained(ctx context.Context, name string) (proxyclient.Drained, error)
}

// Mark tells two states of the counters apart.
type Mark struct{ Counted, Unrouted, Generation uint64 }

// Options are what the API needs to know.
type Options struct {
	Name      string
	Unix      bool // it listens on a socket file
	Token     belay.Secret
	Logger    *slog.Logger
	Registry  *prometheus.Registry
	Now       func() time.Time
	DrainTime time.Duration   // of a drain request that names none
	Stop      <-chan struct{} // closed to end the streams
}

type api struct {
	Options
	plane Plane
}

// New makes the handler of the API and registers the metrics of the proxy.
func New(plane Plane, o Options) (http.Handler, error) {
	a := &api{o, plane}
	if err := registerMetrics(a); err != nil {
		return nil, fmt.Errorf("register metrics of proxy %s: %w", o.Name, err)
	}
	v1 := http.NewServeMux()
	v1.HandleFunc("GET "+proxyclient.PathSlots, a.getSlots)
	v1.HandleFunc("PUT "+proxyclient.PathSlots+"/{name}", a.putSlot)
	v1.HandleFunc("DELETE "+proxyclient.PathSlots+"/{name}", a.deleteSlot)
	v1.HandleFunc("POST "+proxyclient.PathSlots+"/{name}/drain", a.postDrain)
	v1.HandleFunc("PUT "+proxyclient.PathWeights, a.putWeights)
	v1.HandleFunc("GET "+proxyclient.PathCounts, a.getCounts)
	v1.HandleFunc("GET "+proxyclient.PathStream, a.streamCounts)
	v1.Handle("GET /metrics", promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{ErrorLog: promLog{o.Logger}}))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/ready", a.getReady)
	mux.HandleFunc("GET /health", a.getHealth)
	mux.Handle("/", a.guard(v1))
	// A page in a browser on this machine must not be able to move traffic.
	return http.NewCrossOriginProtection().Handler(mux), nil
}

// guard asks for the token. Without one, it refuses host names other than localhost: a page whose name was made to
// point at this machine sends its own.
func (a *api) guard(next http.Handler) http.Handler {
	want := []byte("Bearer " + a.Token.Reveal())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case a.Token != "":
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
				w.Header().Set("WWW-Authenticate", "Bearer")
				answer(w, http.StatusUnauthorized, errorAnswer(belay.Errorf(belay.CodeDenied, "proxy %s: the token is missing or wrong", a.Name).
					WithNext("send the token of proxies.%s", a.Name)))
				return
			}
		case !a.Unix && !loopback(hostOf(r.Host)):
			answer(w, http.StatusForbidden, errorAnswer(belay.Errorf(belay.CodeDenied, "proxy %s: host %q is not this machine", a.Name, r.Host)))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

func hostOf(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		return h
	}
	return strings.Trim(hostport, "[]")
}

func (a *api) getReady(w http.ResponseWriter, _ *http.Request) {
	if !a.plane.Ready() {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

// getHealth tells of the proxy itself. That the state file cannot be written is a failure: a restart would move
// traffic.
func (a *api) getHealth(w http.ResponseWriter, _ *http.Request) {
	type part struct {
		Status string `json:"status"`
		Detail string `json:"detail,omitempty"`
	}
	listener, state := part{Status: "healthy"}, part{Status: "healthy"}
	status, word := http.StatusOK, "healthy"
	if !a.plane.Ready() {
		listener = part{"unhealthy", "stopping"}
	}
	if !a.plane.Status().Saved {
		state = part{"unhealthy", "the newest change is not on disk"}
	}
	if !a.plane.Ready() || !a.plane.Status().Saved {
		status, word = http.StatusServiceUnavailable, "unhealthy"
	}
	answer(w, status, map[string]any{
		"status": word, "timestamp": a.Now().UTC().Format(time.RFC3339),
		"dependencies": map[string]part{"listener": listener, "state_file": state},
	})
}

func (a *api) getSlots(w http.ResponseWriter, _ *http.Request) {
	s := a.plane.Status()
	w.Header().Set("ETag", strconv.Quote(strconv.FormatUint(s.Generation, 10)))
	answer(w, http.StatusOK, s)
}

func (a *api) putWeights(w http.ResponseWriter, r *http.Request) {
	var weights map[string]int
	c := proxyclient.WeightOptions{Key: r.Header.Get(proxyclient.HeaderKey)}
	err := readBody(r, &weights)
	if err == nil && len(c.Key) > 200 {
		err = belay.Errorf(belay.CodeInvalid, "read %s: it is longer than 200 characters", proxyclient.HeaderKey)
	}
	if m := r.Header.Get("If-Match"); err == nil && m != "" && m != "*" {
		if c.Generation, err = strconv.ParseUint(strings.Trim(m, `"`), 10, 64); err != nil || c.Generation == 0 {
			err = belay.Errorf(belay.CodeInvalid, "read If-Match %q: want the generation of GET %s", m, proxyclient.PathSlots)
		}
	}
	finish(w, err, func() (proxyclient.Changed, error) { return a.plane.SetWeights(weights, c) })
}

func (a *api) putSlot(w http.ResponseWriter, r *http.Request) {
	var ch proxyclient.SlotChange
	err := readBody(r, &ch)
	finish(w, err, func() (proxyclient.Changed, error) { return a.plane.ConfigureSlot(r.PathValue("name"), ch) })
}

func (a *api) deleteSlot(w http.ResponseWriter, r *http.Request) {
	finish(w, nil, func() (proxyclient.Changed, error) { return a.plane.RemoveSlot(r.PathValue("name")) })
}

func finish(w http.ResponseWriter, err error, do func() (proxyclient.Changed, error)) {
	var c proxyclient.Changed
	if err == nil {
		c, err = do()
	}
	if err != nil {
		answerFailure(w, err)
		return
	}
	answer(w, http.StatusOK, c)
}

func (a *api) postDrain(w http.ResponseWriter, r *http.Request) {
	timeout := a.DrainTime
	if v := r.URL.Query().Get("timeout"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 || d > maxDrainWait {
			answerFailure(w, belay.Errorf(belay.CodeInvalid, "read timeout %q: want a duration from 0s to %s", v, maxDrainWait))
			return
		}
		timeout = d
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	d, err := a.plane.WaitDrained(ctx, r.PathValue("name"))
	if err != nil {
		answerFailure(w, err)
		return
	}
	answer(w, http.StatusOK, d)
}

// readBody reads exactly one JSON value without unknown fields.
func readBody(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("there is more after the value")
	}
	return belay.Errorf(belay.CodeInvalid, "read request: %w", err).WithNext("send JSON as the API describes it")
}

func errorAnswer(e *belay.Error) any {
	return map[string]proxyclient.Error{"error": {Code: string(e.Code), Message: e.Message, Next: e.Next}}
}

func answerFailure(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*belay.Error](err)
	if !ok {
		e = belay.Errorf(belay.CodeOf(err), "%w", err)
	}
	status := http.StatusInternalServerError
	switch e.Code {
	case belay.CodeInvalid:
		status = http.StatusBadRequest
	case belay.CodeNotFound:
		status = http.StatusNotFound
	case belay.CodeConflict:
		status = http.StatusConflict
	case belay.CodeDenied:
		status = http.StatusForbidden
	case belay.CodeUnavailable:
		status = http.StatusServiceUnavailable
	case belay.CodeInternal:
	}
	answer(w, status, errorAnswer(e))
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
}

// promLog hands errors of the metrics page to the log.
type promLog struct{ log *slog.Logger }

// Println logs.
func (l promLog) Println(v ...any) { l.log.Warn("metrics page broke", "error", fmt.Sprint(v...)) }
