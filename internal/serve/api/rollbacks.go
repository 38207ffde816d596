package api

import (
	"net/http"

	"github.com/belaydev/belay"
)

func (h handler) rollback(w http.ResponseWriter, r *http.Request) {
	var req belay.RollbackRequest
	if err := decode(w, r, &req); err != nil {
		h.fail(w, r, err)
		return
	}
	if req.Service == "" {
		h.fail(w, r, belay.Errorf(belay.CodeInvalid, "a rollback needs a service").WithNext("give \"service\", and \"environment\" if it has several"))
		return
	}
	a, err := h.Rollbacks.RequestRollback(r.Context(), req)
	h.answer(w, r, a, err)
}

func (h handler) getRollback(w http.ResponseWriter, r *http.Request) {
	rb, err := h.Rollbacks.Rollback(r.Context(), r.PathValue("id"))
	h.answer(w, r, rb, err)
}

func (h handler) abortRollback(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Actor string `json:"actor"`
	}
	if err := decode(w, r, &req); err != nil {
		h.fail(w, r, err)
		return
	}
	err := h.Rollbacks.AbortRollback(r.Context(), r.PathValue("id"), req.Actor)
	h.answer(w, r, struct{}{}, err)
}

func (h handler) watchRollback(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	updates, cancel := h.Rollbacks.SubscribeRollback(id)
	defer cancel()
	rb, err := h.Rollbacks.Rollback(r.Context(), id)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	send(r.Context(), w, rb, updates, func(rb belay.Rollback) bool { return rb.State.Final() })
}

func (h handler) services(w http.ResponseWriter, r *http.Request) {
	list, err := h.Services.Services(r.Context())
	if list == nil {
		list = []belay.ServiceStatus{}
	}
	h.answer(w, r, list, err)
}

func ref(r *http.Request) belay.Ref {
	return belay.Ref{Service: r.PathValue("service"), Environment: r.PathValue("environment")}
}

func (h handler) plan(w http.ResponseWriter, r *http.Request) {
	a, err := h.Services.Plan(r.Context(), ref(r))
	h.answer(w, r, a, err)
}

func (h handler) liftQuarantine(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Key   string `json:"key"`
		Actor string `json:"actor"`
	}
	if err := decode(w, r, &req); err != nil {
		h.fail(w, r, err)
		return
	}
	if req.Key == "" {
		h.fail(w, r, belay.Errorf(belay.CodeInvalid, "lifting a quarantine needs the release").WithNext("give \"key\": its digest, or its version when it has none"))
		return
	}
	h.answer(w, r, struct{}{}, h.Services.LiftQuarantine(r.Context(), ref(r), req.Key, req.Actor))
}

func (h handler) health(w http.ResponseWriter, r *http.Request) {
	s := h.Server.Health(r.Context())
	code := http.StatusOK
	if s.Status != "healthy" {
		code = http.StatusServiceUnavailable
	}
	writeJSON(w, code, s)
}

func (h handler) ready(w http.ResponseWriter, r *http.Request) {
	if err := h.Server.Ready(r.Context()); err != nil {
		writeText(w, http.StatusServiceUnavailable, "belay is not ready: "+err.Error()+"\n")
		return
	}
	writeText(w, http.StatusOK, "belay is ready\n")
}

func (h handler) reload(w http.ResponseWriter, r *http.Request) {
	h.answer(w, r, struct{}{}, h.Server.Reload(r.Context()))
}
