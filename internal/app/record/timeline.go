package record

import (
	"context"
	"math"
	"slices"

	"github.com/belaydev/belay"
)

// Timeline returns the events of a deployment and of its rollback, oldest first.
func (r *Records) Timeline(ctx context.Context, id string) ([]belay.Event, error) {
	d, err := r.Store.Deployment(ctx, id)
	if err != nil {
		return nil, err
	}
	events, err := r.Store.Events(ctx, belay.EventFilter{Deployment: d.ID})
	if err != nil || d.Rollback == "" {
		return events, err
	}
	more, err := r.Store.Events(ctx, belay.EventFilter{Rollback: d.Rollback})
	if err != nil {
		return nil, err
	}
	return merged(events, more), nil
}

// merged puts the events of two lists into one, each once, by time. Each list keeps its own order, which is that
// in which things happened, whatever the clock did.
func merged(a, b []belay.Event) []belay.Event {
	seen := map[string]bool{}
	for _, e := range a {
		seen[e.ID] = true
	}
	b = slices.DeleteFunc(b, func(e belay.Event) bool { return seen[e.ID] })
	out := make([]belay.Event, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if b[0].Time.Before(a[0].Time) {
			out, b = append(out, b[0]), b[1:]
		} else {
			out, a = append(out, a[0]), a[1:]
		}
	}
	return append(append(out, a...), b...)
}

// Ticks returns all that was seen of a deployment, oldest first.
func (r *Records) Ticks(ctx context.Context, id string) ([]belay.Tick, error) {
	return r.Store.Ticks(ctx, id, -math.MaxFloat64)
}
