package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/belaydev/belay"
)

// Evidence gives out what was seen of deployments.
type Evidence interface {
	// Record calls out with parts of the evidence stream of a deployment, whole lines each; with follow until the
	// deployment has ended.
	Record(ctx context.Context, id string, follow bool, out func(part []byte) error) error
	// Card is the decision card, each signal with its trail.
	Card(ctx context.Context, id string) (belay.Card, error)
	// CardSVG is the decision card as a picture.
	CardSVG(ctx context.Context, id string) ([]byte, error)
}

func (h handler) evidence(w http.ResponseWriter, r *http.Request) {
	follow := false
	if s := r.URL.Query().Get("follow"); s != "" {
		var err error
		if follow, err = strconv.ParseBool(s); err != nil {
			h.fail(w, r, belay.Errorf(belay.CodeInvalid, "follow %q is neither true nor false", s).WithNext("leave it out for what there is now"))
			return
		}
	}
	rc, begun := http.NewResponseController(w), false
	patience := func() { _ = rc.SetWriteDeadline(time.Now().Add(streamPatience)) } // a client that reads nothing is let go
	err := h.Evidence.Record(r.Context(), r.PathValue("id"), follow, func(part []byte) error {
		if !begun {
			w.Header().Set("Content-Type", "application/x-ndjson")
			w.Header().Set("Cache-Control", "no-store")
			begun = true
		}
		patience()
		_, err := w.Write(part)
		return errors.Join(err, rc.Flush())
	})
	switch {
	case err != nil && begun:
		panic(http.ErrAbortHandler) // so that the client does not take what it has for all
	case err != nil:
		h.fail(w, r, err)
	default:
		patience() // the last part may be older than that: a rollback takes its time, and shows no evidence
	}
}

func (h handler) card(w http.ResponseWriter, r *http.Request) {
	c, err := h.Evidence.Card(r.Context(), r.PathValue("id"))
	h.answer(w, r, c, err)
}

func (h handler) cardSVG(w http.ResponseWriter, r *http.Request) {
	svg, err := h.Evidence.CardSVG(r.Context(), r.PathValue("id"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = w.Write(svg)
}
