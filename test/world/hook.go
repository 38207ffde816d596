//go:build story

package world

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/belaydev/belay"
)

// Hook is a receiver of belay's webhooks.
type Hook struct {
	*httptest.Server
	mu    sync.Mutex
	got   []Delivery
	fails int // how many posts still to refuse
}

// Delivery is one post.
type Delivery struct {
	Key   string // Idempotency-Key
	Event belay.Event
}

// Hook starts a receiver that refuses the first posts.
func (w *World) Hook(fails int) *Hook {
	h := &Hook{fails: fails}
	h.Server = httptest.NewServer(http.HandlerFunc(h.receive))
	w.T.Cleanup(h.Close)
	return h
}

func (h *Hook) receive(rw http.ResponseWriter, r *http.Request) {
	var e belay.Event
	if err := json.NewDecoder(http.MaxBytesReader(rw, r.Body, 1<<20)).Decode(&e); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fails > 0 {
		h.fails--
		http.Error(rw, "not now", http.StatusServiceUnavailable)
		return
	}
	h.got = append(h.got, Delivery{Key: r.Header.Get("Idempotency-Key"), Event: e})
}

// Got returns what was received, repetitions included.
func (h *Hook) Got() []Delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Delivery(nil), h.got...)
}

// States returns the states that were told of one deployment, repetitions of a key left out.
func (h *Hook) States(deployment string) []belay.State {
	var out []belay.State
	seen := map[string]bool{}
	for _, d := range h.Got() {
		if d.Event.Deployment == deployment && d.Event.Kind == belay.EventState && !seen[d.Key] {
			seen[d.Key] = true
			out = append(out, d.Event.State)
		}
	}
	return out
}
