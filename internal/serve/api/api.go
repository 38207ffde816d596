// Package api is belay's own HTTP API: handlers decode, call and encode. What they call is declared here as
// small interfaces; package app passes the real things. It decides nothing.
package api

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// maxRequest caps the body of a request: the largest honest one names a few hundred targets.
const maxRequest = 1 << 20

// Deployments begins, finds and steers deployments.
type Deployments interface {
	Deploy(ctx context.Context, req belay.DeployRequest) (belay.Deployment, error)
	Deployment(ctx context.Context, id string) (belay.Deployment, error)
	Deployments(ctx context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error)
	Act(ctx context.Context, id string, req belay.ActRequest) (belay.Deployment, error)
	Timeline(ctx context.Context, id string) ([]belay.Event, error)
	// Label keeps a person's word on a deployment that has ended.
	Label(ctx context.Context, id string, req belay.LabelRequest) (belay.Deployment, error)
	// Ticks returns all that was seen of a deployment, oldest first.
	Ticks(ctx context.Context, id string) ([]belay.Tick, error)
	// SubscribeDeployment delivers the newest state after each change; slow readers miss the ones between.
	SubscribeDeployment(id string) (updates <-chan belay.Deployment, cancel func())
}

// Rollbacks begins, finds and stops rollbacks.
type Rollbacks interface {
	RequestRollback(ctx context.Context, req belay.RollbackRequest) (belay.RollbackAnswer, error)
	Rollback(ctx context.Context, id string) (belay.Rollback, error)
	AbortRollback(ctx context.Context, id, actor string) error
	SubscribeRollback(id string) (updates <-chan belay.Rollback, cancel func())
}

// Services tells of configured services.
type Services interface {
	Services(ctx context.Context) ([]belay.ServiceStatus, error)
	Plan(ctx context.Context, ref belay.Ref) (belay.RollbackAnswer, error)
	LiftQuarantine(ctx context.Context, ref belay.Ref, key, actor string) error
}

// Learning tells what was learned of a service.
type Learning interface {
	Learned(ctx context.Context, ref belay.Ref) (belay.LearnedStatus, error)
	// Forget begins anew, and returns what is held of the service then.
	Forget(ctx context.Context, ref belay.Ref, actor string) (belay.LearnedStatus, error)
}

// Server tells of belay itself.
type Server interface {
	Health(ctx context.Context) belay.ServerHealth
	Ready(ctx context.Context) error
	Reload(ctx context.Context) error
}

// Options are the parts of a Handler; all are needed, except Token.
type Options struct {
	Deployments Deployments
	Evidence    Evidence
	Rollbacks   Rollbacks
	Services    Services
	Learning    Learning
	Server      Server
	Metrics     http.Handler
	Token       func() belay.Secret // of the running configuration; an empty one asks for none
	Hosts       []string            // names, beside loopback, that a request's Host header may carry
	Logger      *slog.Logger
}

type handler struct{ Options }

// New returns the handler of the whole API.
func New(o Options) http.Handler {
	h := handler{o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", h.health)
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "belay is running\n") })
	mux.HandleFunc("GET /-/ready", h.ready)
	mux.Handle("GET /metrics", h.guarded(h.Metrics.ServeHTTP))
	mux.Handle("POST /-/reload", h.guarded(h.reload))

	mux.Handle("POST /api/v1/deployments", h.guarded(h.deploy))
	mux.Handle("GET /api/v1/deployments", h.guarded(h.deployments))
	mux.Handle("GET /api/v1/deployments/{id}", h.guarded(h.deployment))
	mux.Handle("POST /api/v1/deployments/{id}/acts", h.guarded(h.act))
	mux.Handle("POST /api/v1/deployments/{id}/label", h.guarded(h.label))
	mux.Handle("GET /api/v1/deployments/{id}/ticks", h.guarded(h.ticks))
	mux.Handle("GET /api/v1/deployments/{id}/timeline", h.guarded(h.timeline))
	mux.Handle("GET /api/v1/deployments/{id}/evidence", h.guarded(h.evidence))
	mux.Handle("GET /api/v1/deployments/{id}/card", h.guarded(h.card))
	mux.Handle("GET /api/v1/deployments/{id}/card.svg", h.guarded(h.cardSVG))
	mux.Handle("GET /api/v1/deployments/{id}/watch", h.guarded(h.watchDeployment))

	mux.Handle("POST /api/v1/rollbacks", h.guarded(h.rollback))
	mux.Handle("GET /api/v1/rollbacks/{id}", h.guarded(h.getRollback))
	mux.Handle("POST /api/v1/rollbacks/{id}/abort", h.guarded(h.abortRollback))
	mux.Handle("GET /api/v1/rollbacks/{id}/watch", h.guarded(h.watchRollback))

	mux.Handle("GET /api/v1/services", h.guarded(h.services))
	mux.Handle("GET /api/v1/services/{service}/{environment}/plan", h.guarded(h.plan))
	mux.Handle("POST /api/v1/services/{service}/{environment}/quarantine/lift", h.guarded(h.liftQuarantine))
	mux.Handle("GET /api/v1/services/{service}/{environment}/learned", h.guarded(h.learned))
	mux.Handle("POST /api/v1/services/{service}/{environment}/learned/forget", h.guarded(h.forget))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, r, belay.Errorf(belay.CodeNotFound, "there is no %s %s", r.Method, r.URL.Path).WithNext("docs/api.md lists what there is"))
	})
	return h.checkHost(mux)
}

// checkHost refuses requests whose Host is neither an address nor a known name: a web page whose own name was
// rebound to a loopback address must not reach an API that trusts loopback.
func (h handler) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		host = strings.ToLower(strings.Trim(host, "[]"))
		known := host == "localhost" || net.ParseIP(host) != nil
		for _, n := range h.Hosts {
			known = known || strings.EqualFold(n, host)
		}
		if !known {
			h.fail(w, r, belay.Errorf(belay.CodeDenied, "host name %q is not this server's", host).
				WithNext("set server.external_url to it, or use the server's address"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// guarded asks for the token and, of requests that change something, for a body that no web form can send.
func (h handler) guarded(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if want := h.Token(); want != "" {
			scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare([]byte(strings.TrimSpace(got)), []byte(want.Reveal())) != 1 {
				w.Header().Set("WWW-Authenticate", "Bearer")
				h.fail(w, r, belay.Errorf(belay.CodeDenied, "a valid token is needed").
					WithNext("send it as \"Authorization: Bearer ...\"; the commands take it from BELAY_TOKEN"))
				return
			}
		}
		if r.Method != http.MethodGet {
			ct, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
			if err != nil || ct != "application/json" {
				h.fail(w, r, belay.Errorf(belay.CodeInvalid, "the body of %s %s is not sent as JSON", r.Method, r.URL.Path).
					WithNext("send the header Content-Type: application/json"))
				return
			}
		}
		next(w, r)
	})
}

// decode reads exactly one JSON value without unknown keys.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return belay.Errorf(belay.CodeInvalid, "the body is larger than %d bytes", maxRequest).WithNext("send less; a deployment of more targets takes them from the configuration")
		}
		return belay.Errorf(belay.CodeInvalid, "read the body: %w", err).WithNext("docs/api.md shows what it may hold")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return belay.Errorf(belay.CodeInvalid, "read the body: more than one JSON value").WithNext("send one")
	}
	return nil
}

func (h handler) answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	if err != nil {
		h.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, v)
}

// status is the one place where an error's code becomes an HTTP status.
func status(code belay.Code) int {
	switch code {
	case belay.CodeInvalid:
		return http.StatusBadRequest
	case belay.CodeNotFound:
		return http.StatusNotFound
	case belay.CodeConflict:
		return http.StatusConflict
	case belay.CodeDenied:
		return http.StatusForbidden
	case belay.CodeUnavailable:
		return http.StatusServiceUnavailable
	case belay.CodeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusInternalServerError
}

func (h handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	var p belay.Problem
	p.Error.Code = belay.CodeOf(err)
	e, ok := errors.AsType[*belay.Error](err)
	switch {
	case ok && p.Error.Code != belay.CodeInternal:
		// The whole chain: what was being done, then the sentence.
		p.Error.Message, p.Error.Next = strings.TrimSuffix(err.Error(), "; "+e.Next), e.Next
	case errors.Is(err, context.Canceled):
		// Mostly nobody listens any more; but it may be that belay stops, and then somebody does.
		p.Error.Code, p.Error.Message, p.Error.Next = belay.CodeUnavailable, "the request was cut off: belay is stopping", "ask again when it is back"
	default:
		h.Logger.Error("request not served", "method", r.Method, "path", r.URL.Path, "error", err)
		p.Error.Message = "belay has a defect, or its data folder has: " + err.Error()
		p.Error.Next = "see the server's log"
	}
	code := status(p.Error.Code)
	if p.Error.Code == belay.CodeDenied && w.Header().Get("WWW-Authenticate") != "" {
		code = http.StatusUnauthorized
	}
	writeJSON(w, code, p)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, `{"error":{"code":"internal","message":"encode the answer"}}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n'))
}

func writeText(w http.ResponseWriter, code int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, s)
}

const (
	streamInterval = 100 * time.Millisecond // the shortest time between two states on a stream
	streamPatience = 10 * time.Second       // for a client to take in what was sent
)
