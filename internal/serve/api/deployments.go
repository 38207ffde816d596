package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/belaydev/belay"
)

func (h handler) deploy(w http.ResponseWriter, r *http.Request) {
	var req belay.DeployRequest
	if err := decode(w, r, &req); err != nil {
		h.fail(w, r, err)
		return
	}
	if req.Service == "" || req.Release.IsZero() {
		h.fail(w, r, belay.Errorf(belay.CodeInvalid, "a deployment needs a service and a version").WithNext("give \"service\" and \"version\", or \"digest\""))
		return
	}
	d, err := h.Deployments.Deploy(r.Context(), req)
	h.answer(w, r, d, err)
}

func (h handler) deployments(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := atoi(q.Get("limit"), 50, 1000)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	list, err := h.Deployments.Deployments(r.Context(), belay.DeploymentFilter{
		Service: q.Get("service"), Environment: q.Get("environment"), Before: q.Get("before"),
		Active: q.Get("active") == "true", Limit: limit,
	})
	if list == nil {
		list = []belay.Deployment{}
	}
	h.answer(w, r, list, err)
}

func (h handler) deployment(w http.ResponseWriter, r *http.Request) {
	d, err := h.Deployments.Deployment(r.Context(), r.PathValue("id"))
	h.answer(w, r, d, err)
}

func (h handler) act(w http.ResponseWriter, r *http.Request) {
	var req belay.ActRequest
	if err := decode(w, r, &req); err != nil {
		h.fail(w, r, err)
		return
	}
	d, err := h.Deployments.Deployment(r.Context(), r.PathValue("id"))
	if err == nil {
		d, err = h.Deployments.Act(r.Context(), d.ID, req)
	}
	h.answer(w, r, d, err)
}

func (h handler) label(w http.ResponseWriter, r *http.Request) {
	var req belay.LabelRequest
	if err := decode(w, r, &req); err != nil {
		h.fail(w, r, err)
		return
	}
	d, err := h.Deployments.Label(r.Context(), r.PathValue("id"), req)
	h.answer(w, r, d, err)
}

// ticks writes what was seen of a deployment, as JSON lines.
func (h handler) ticks(w http.ResponseWriter, r *http.Request) {
	d, err := h.Deployments.Deployment(r.Context(), r.PathValue("id"))
	var list []belay.Tick
	if err == nil {
		list, err = h.Deployments.Ticks(r.Context(), d.ID)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	rc, enc := http.NewResponseController(w), json.NewEncoder(w)
	for _, t := range list {
		_ = rc.SetWriteDeadline(time.Now().Add(streamPatience)) // a client that reads nothing is let go
		if enc.Encode(t) != nil {
			panic(http.ErrAbortHandler) // so that the client does not take what it has for all
		}
	}
}

func (h handler) timeline(w http.ResponseWriter, r *http.Request) {
	d, err := h.Deployments.Deployment(r.Context(), r.PathValue("id"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	list, err := h.Deployments.Timeline(r.Context(), d.ID)
	if list == nil {
		list = []belay.Event{}
	}
	h.answer(w, r, list, err)
}

func (h handler) watchDeployment(w http.ResponseWriter, r *http.Request) {
	d, err := h.Deployments.Deployment(r.Context(), r.PathValue("id"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	updates, cancel := h.Deployments.SubscribeDeployment(d.ID)
	defer cancel()
	// Read again: a change between the first read and the subscription would otherwise be missed.
	if d, err = h.Deployments.Deployment(r.Context(), d.ID); err != nil {
		h.fail(w, r, err)
		return
	}
	send(r.Context(), w, d, updates, func(d belay.Deployment) bool { return d.State.Final() })
}

// send streams first and then every update as JSON lines until one is final, the updates end or nobody listens.
func send[T any](ctx context.Context, w http.ResponseWriter, first T, updates <-chan T, final func(T) bool) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	rc, enc := http.NewResponseController(w), json.NewEncoder(w)
	write := func(v T) bool {
		_ = rc.SetWriteDeadline(time.Now().Add(streamPatience)) // a client that reads nothing is let go
		return enc.Encode(v) == nil && rc.Flush() == nil && !final(v)
	}
	if !write(first) {
		return
	}
	pause := time.NewTicker(streamInterval)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case v, ok := <-updates:
			if !ok || !write(v) {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

func atoi(s string, def, limit int) (int, error) {
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > limit {
		return 0, belay.Errorf(belay.CodeInvalid, "limit %q is not a number from 1 to %d", s, limit).WithNext("leave it out for %d; ?before=ID reads on", def)
	}
	return n, nil
}
