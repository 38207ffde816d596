package api

import "net/http"

func (h handler) learned(w http.ResponseWriter, r *http.Request) {
	s, err := h.Learning.Learned(r.Context(), ref(r))
	h.answer(w, r, s, err)
}

func (h handler) forget(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Actor string `json:"actor"`
	}
	if err := decode(w, r, &req); err != nil {
		h.fail(w, r, err)
		return
	}
	s, err := h.Learning.Forget(r.Context(), ref(r), req.Actor)
	h.answer(w, r, s, err)
}
