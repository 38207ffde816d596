package proxy

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// maxBody bounds the body of an admin request: 64 slots are a few kilobytes.
const maxBody = 64 << 10

// maxDrainWait bounds how long a drain request may wait.
const maxDrainWait = time.Hour

// checkAdmin refuses an admin API that strangers could reach without a token.
func checkAdmin(name, address string, token belay.Secret) error {
	if strings.HasPrefix(address, "unix:") || token != "" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return belay.Errorf(belay.CodeInvalid, "make proxy %s: read admin address %q: want host:port or unix:/path", name, address)
	}
	if !loopback(host) {
		return belay.Errorf(belay.CodeDenied, "make proxy %s: admin address %s can be reached from other machines and no token is set", name, address).
			WithNext("set a token, or use 127.0.0.1 or unix:/path")
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func listenAdmin(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	path, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return lc.Listen(ctx, "tcp", address)
	}
	// A socket that a killed proxy left: the lock on the state file, taken before, says that nobody uses it. A
	// live one is asked, for proxies without a state file.
	if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); err == nil {
		return nil, errors.Join(fmt.Errorf("socket %s is in use", path), c.Close())
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (p *Proxy) newAdminServer() *http.Server {
	return &http.Server{
		Handler:           p.adminHandler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return p.base },
	}
}

func (p *Proxy) adminHandler() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("GET "+proxyclient.PathSlots, p.getSlots)
	api.HandleFunc("PUT "+proxyclient.PathSlots+"/{name}", p.putSlot)
	api.HandleFunc("DELETE "+proxyclient.PathSlots+"/{name}", p.deleteSlot)
	api.HandleFunc("POST "+proxyclient.PathSlots+"/{name}/drain", p.postDrain)
	api.HandleFunc("PUT "+proxyclient.PathWeights, p.putWeights)
	api.HandleFunc("GET "+proxyclient.PathCounts, p.getCounts)
	api.HandleFunc("GET "+proxyclient.PathStream, p.streamCounts)
	api.Handle("GET /metrics", promhttp.HandlerFor(p.opt.Registry, promhttp.HandlerOpts{ErrorLog: promLog{p.log}}))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/ready", p.getReady)
	mux.HandleFunc("GET /health", p.getHealth)
	mux.Handle("/", p.guard(api))
	// A page in a browser on this machine must not be able to move traffic.
	return http.NewCrossOriginProtection().Handler(mux)
}

// guard asks for the token. Without one, it refuses host names other than localhost: a page whose name was made to
// point at this machine sends its own.
func (p *Proxy) guard(next http.Handler) http.Handler {
	want := []byte("Bearer " + p.opt.Token.Reveal())
	unix := strings.HasPrefix(p.opt.Admin, "unix:")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case p.opt.Token != "":
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
				w.Header().Set("WWW-Authenticate", "Bearer")
				answer(w, http.StatusUnauthorized, errorAnswer(belay.Errorf(belay.CodeDenied, "proxy %s: the token is missing or wrong", p.opt.Name).
					WithNext("send the token of proxies.%s", p.opt.Name)))
				return
			}
		case !unix && !loopback(hostOf(r.Host)):
			answer(w, http.StatusForbidden, errorAnswer(belay.Errorf(belay.CodeDenied, "proxy %s: host %q is not this machine", p.opt.Name, r.Host)))
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

func (p *Proxy) getReady(w http.ResponseWriter, _ *http.Request) {
	if !p.Ready() {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

// getHealth tells of the proxy itself. That the state file cannot be written is a failure: a restart would move
// traffic.
func (p *Proxy) getHealth(w http.ResponseWriter, _ *http.Request) {
	type part struct {
		Status string `json:"status"`
		Detail string `json:"detail,omitempty"`
	}
	listener, state := part{Status: "healthy"}, part{Status: "healthy"}
	status, word := http.StatusOK, "healthy"
	if !p.Ready() {
		listener = part{"unhealthy", "stopping"}
	}
	if !p.isSaved() {
		state = part{"unhealthy", "the newest change is not on disk"}
	}
	if !p.Ready() || !p.isSaved() {
		status, word = http.StatusServiceUnavailable, "unhealthy"
	}
	answer(w, status, map[string]any{
		"status": word, "timestamp": p.now().UTC().Format(time.RFC3339),
		"dependencies": map[string]part{"listener": listener, "state_file": state},
	})
}

func (p *Proxy) isSaved() bool { return p.state.saved.Load() >= p.table.Load().generation }

func (p *Proxy) getSlots(w http.ResponseWriter, _ *http.Request) {
	s := p.status()
	w.Header().Set("ETag", strconv.Quote(strconv.FormatUint(s.Generation, 10)))
	answer(w, http.StatusOK, s)
}

func (p *Proxy) status() proxyclient.Status {
	t := p.table.Load()
	return proxyclient.Status{Proxy: p.opt.Name, BootID: p.bootID, Generation: t.generation, Saved: p.isSaved(), Slots: p.slots(t)}
}

func (p *Proxy) slots(t *table) []proxyclient.Slot {
	out := make([]proxyclient.Slot, 0, len(t.routes))
	for _, r := range t.routes {
		draining := p.control.retiredInFlight(r.slot.Name)
		limit, _ := r.slot.drainTime()
		out = append(out, proxyclient.Slot{
			Name: r.slot.Name, Address: r.slot.Address, Release: r.slot.Release, Weight: r.slot.Weight,
			InFlight: r.backend.inFlight.Load() + draining, Draining: draining, Drain: limit.String(),
		})
	}
	return out
}

func (p *Proxy) putWeights(w http.ResponseWriter, r *http.Request) {
	var weights map[string]int
	c := condition{key: r.Header.Get(proxyclient.HeaderKey)}
	err := readBody(r, &weights)
	if err == nil && len(c.key) > 200 {
		err = belay.Errorf(belay.CodeInvalid, "read %s: it is longer than 200 characters", proxyclient.HeaderKey)
	}
	if m := r.Header.Get("If-Match"); err == nil && m != "" && m != "*" {
		if c.generation, err = strconv.ParseUint(strings.Trim(m, `"`), 10, 64); err != nil || c.generation == 0 {
			err = belay.Errorf(belay.CodeInvalid, "read If-Match %q: want the generation of GET %s", m, proxyclient.PathSlots)
		}
	}
	p.finish(w, err, func() (proxyclient.Changed, error) { return p.setWeights(weights, c) })
}

func (p *Proxy) putSlot(w http.ResponseWriter, r *http.Request) {
	var ch proxyclient.SlotChange
	err := readBody(r, &ch)
	p.finish(w, err, func() (proxyclient.Changed, error) { return p.configureSlot(r.PathValue("name"), ch) })
}

func (p *Proxy) deleteSlot(w http.ResponseWriter, r *http.Request) {
	p.finish(w, nil, func() (proxyclient.Changed, error) { return p.removeSlot(r.PathValue("name")) })
}

func (p *Proxy) finish(w http.ResponseWriter, err error, do func() (proxyclient.Changed, error)) {
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

func (p *Proxy) postDrain(w http.ResponseWriter, r *http.Request) {
	timeout := DefaultDrain
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
	d, err := p.waitDrained(ctx, r.PathValue("name"))
	if err != nil {
		answerFailure(w, err)
		return
	}
	answer(w, http.StatusOK, d)
}

func readBody(r *http.Request, v any) error {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return belay.Errorf(belay.CodeInvalid, "read request: %w", err)
	}
	if err := decodeStrict(data, v); err != nil {
		return belay.Errorf(belay.CodeInvalid, "read request: %w", err).WithNext("send JSON as the API describes it")
	}
	return nil
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
