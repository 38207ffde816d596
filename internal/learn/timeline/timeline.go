// Package timeline tells people what happened in one deployment: every event in its order, how long after the
// deployment it came, and how long detecting, deciding, going back and proving took. It only reads and formats; it
// judges nothing and stores nothing.
package timeline

import (
	"context"
	"iter"
	"slices"
	"time"

	belay "github.com/belaydev/belay"
)

// Reader gives the records that a timeline is made of.
type Reader interface {
	Deployment(ctx context.Context, id string) (belay.Deployment, error)
	Rollback(ctx context.Context, id string) (belay.Rollback, error)
	Events(ctx context.Context, f belay.EventFilter) ([]belay.Event, error)
}

// Log gives events as they are stored.
type Log interface {
	Events(ctx context.Context, f belay.EventFilter) ([]belay.Event, error)
	// Subscribe returns a channel that is woken after events were stored.
	Subscribe() (woken <-chan struct{}, cancel func())
}

// Timeline is the story of one deployment.
type Timeline struct {
	Deployment belay.Deployment `json:"deployment"`
	Rollback   *belay.Rollback  `json:"rollback,omitempty"`
	Start      time.Time        `json:"start"` // offsets count from here: deployed, or created when it never was
	Entries    []Entry          `json:"entries"`
	Durations  Durations        `json:"durations"`
}

// Entry is an event with its distance from the start of the timeline.
type Entry struct {
	belay.Event
	Offset belay.Duration `json:"offset"`
}

// Durations says how long each part took; nil is a part that did not happen, or has not ended.
type Durations struct {
	Deploy    *belay.Duration `json:"deploy,omitempty"`    // accepted -> deployed
	Detection *belay.Duration `json:"detection,omitempty"` // deployed -> judged regressed
	Decision  *belay.Duration `json:"decision,omitempty"`  // judged regressed -> the rollback began
	Rollback  *belay.Duration `json:"rollback,omitempty"`  // the rollback began -> its last step ended
	Proof     *belay.Duration `json:"proof,omitempty"`     // last step ended -> certificate
	Total     *belay.Duration `json:"total,omitempty"`     // accepted -> final state
}

// For reads the timeline of a deployment.
func For(ctx context.Context, r Reader, deployment string) (Timeline, error) {
	d, err := r.Deployment(ctx, deployment)
	if err != nil {
		return Timeline{}, err
	}
	events, err := r.Events(ctx, belay.EventFilter{Deployment: d.ID})
	if err != nil {
		return Timeline{}, err
	}
	if d.Rollback == "" {
		return Build(d, nil, events), nil
	}
	rb, err := r.Rollback(ctx, d.Rollback)
	if belay.CodeOf(err) == belay.CodeNotFound { // decided, and not begun yet
		return Build(d, nil, events), nil
	}
	if err != nil {
		return Timeline{}, err
	}
	more, err := r.Events(ctx, belay.EventFilter{Rollback: rb.ID})
	if err != nil {
		return Timeline{}, err
	}
	return Build(d, &rb, merge(events, more)), nil
}

// merge adds the events of a rollback that do not name its deployment. The order of storing is kept within each
// list; between the two, the time decides.
func merge(events, more []belay.Event) []belay.Event {
	have := make(map[string]bool, len(events))
	for _, e := range events {
		have[e.ID] = true
	}
	for _, e := range more {
		if have[e.ID] {
			continue
		}
		at := slices.IndexFunc(events, func(o belay.Event) bool { return o.Time.After(e.Time) })
		if at < 0 {
			at = len(events)
		}
		events = slices.Insert(events, at, e)
	}
	return events
}

// Build makes the timeline of a deployment, its rollback if there is one, and their events, oldest first.
func Build(d belay.Deployment, rb *belay.Rollback, events []belay.Event) Timeline {
	t := Timeline{Deployment: d, Rollback: rb, Start: d.DeployedAt, Entries: make([]Entry, len(events)), Durations: measure(d, rb)}
	if t.Start.IsZero() {
		t.Start = d.CreatedAt
	}
	for i, e := range events {
		t.Entries[i] = Entry{Event: e, Offset: belay.Duration(e.Time.Sub(t.Start))}
	}
	return t
}

func measure(d belay.Deployment, rb *belay.Rollback) Durations {
	m := Durations{
		Deploy:    between(d.CreatedAt, d.DeployedAt),
		Detection: between(d.DeployedAt, d.DetectedAt),
		Total:     between(d.CreatedAt, d.EndedAt),
	}
	if rb == nil {
		return m
	}
	m.Decision = between(d.DetectedAt, rb.StartedAt)
	var last time.Time
	for _, s := range rb.Steps {
		if s.Ended.IsZero() && s.State == belay.StepRunning {
			return m // it is not over yet
		}
		if s.Ended.After(last) {
			last = s.Ended
		}
	}
	m.Rollback = between(rb.StartedAt, last)
	if rb.Certificate != nil {
		m.Proof = between(last, rb.Certificate.IssuedAt)
	}
	return m
}

// between is nil unless both moments are known.
func between(from, to time.Time) *belay.Duration {
	if from.IsZero() || to.IsZero() {
		return nil
	}
	d := belay.Duration(to.Sub(from))
	return &d
}

// Follow gives the events that the filter selects, those stored already and then each as it is stored, until the
// context ends, the caller stops, or reading fails. The filter's limit is how many are read at once.
func Follow(ctx context.Context, log Log, f belay.EventFilter) iter.Seq2[belay.Event, error] {
	return func(yield func(belay.Event, error) bool) {
		woken, cancel := log.Subscribe() // before the first read: nothing falls between the two
		defer cancel()
		for {
			list, err := log.Events(ctx, f)
			if err != nil {
				if ctx.Err() == nil {
					yield(belay.Event{}, err)
				}
				return
			}
			for _, e := range list {
				if !yield(e, nil) {
					return
				}
				f.After = e.ID
			}
			if len(list) > 0 {
				continue // there may be more than the limit
			}
			select {
			case <-ctx.Done():
				return
			case <-woken:
			}
		}
	}
}
