package past

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge/stream"
	"github.com/belaydev/belay/internal/learn/backtest"
)

// Records are the deployments that a belay remembers: package client has them of a server, package app of the data
// folder.
type Records interface {
	Deployments(ctx context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error)
	GetRollback(ctx context.Context, id string) (belay.Rollback, error)
	// Ticks calls see with each tick of a deployment, in order, until it returns an error.
	Ticks(ctx context.Context, deployment string, see func(belay.Tick) error) error
}

// History is what a belay remembers.
type History struct {
	Records     Records
	Service     string // all when empty
	Environment string
	Since       time.Time
}

// page is how many deployments are read at once.
const page = 200

// Cases makes a case of each deployment that has ended, the oldest first. What cannot be one is said in left.
func (h History) Cases(ctx context.Context) (cases []backtest.Case, left []backtest.Left, err error) {
	list, err := h.list(ctx)
	if err != nil {
		return nil, nil, err
	}
	reverted := map[string]belay.Deployment{}
	for _, d := range list {
		if d.Reverts != "" {
			reverted[d.Reverts] = d
		}
	}
	for _, d := range list {
		switch {
		case d.Reverts != "":
			continue // a rollback without a deployment: told with the one that it took back
		case !d.State.Final():
			left = append(left, backtest.Left{ID: d.ID, Reason: "it has not ended yet"})
			continue
		case d.State == belay.StateRefused || d.State == belay.StateDeployFailed:
			left = append(left, backtest.Left{ID: d.ID, Reason: "nothing was brought out: " + strings.ReplaceAll(string(d.State), "_", " ")})
			continue
		}
		c, err := h.toCase(ctx, d)
		if err != nil {
			return nil, nil, err
		}
		if by, ok := reverted[d.ID]; ok {
			c.Actual.Note = fmt.Sprintf("taken back by hand on %s by %s (%s)", by.CreatedAt.Format(time.DateOnly), by.Actor, by.ID)
		}
		cases = append(cases, c)
	}
	return cases, left, nil
}

// list reads all pages, and returns the oldest first.
func (h History) list(ctx context.Context) ([]belay.Deployment, error) {
	f := belay.DeploymentFilter{Service: h.Service, Environment: h.Environment, Limit: page}
	var out []belay.Deployment
	for {
		list, err := h.Records.Deployments(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, d := range list {
			if d.CreatedAt.Before(h.Since) {
				list = nil // the rest is older
				break
			}
			out = append(out, d)
			f.Before = d.ID
		}
		if len(list) < page {
			slices.Reverse(out)
			return out, nil
		}
	}
}

func (h History) toCase(ctx context.Context, d belay.Deployment) (backtest.Case, error) {
	c := backtest.Case{
		ID: d.ID, Ref: d.Ref, Release: d.Release.String(), Previous: d.Previous.String(), At: d.CreatedAt, Truth: truth(d),
		Actual: backtest.Actual{Fate: backtest.FateKept, By: d.Promoted}, Deployed: math.MaxFloat64, Staged: d.Slot != "" && d.PreviousSlot != "",
	}
	if d.Previous.IsZero() {
		c.Previous = ""
	}
	if !d.DeployedAt.IsZero() {
		c.Deployed = d.DeployedAt.Sub(d.CreatedAt).Seconds()
	}
	if d.Card != nil && d.Card.Verdict == belay.VerdictRegressed {
		c.FirstBad = d.Card.FirstBad
	}
	switch {
	case d.State == belay.StateSuperseded:
		c.Actual.Note = "a newer deployment took its place"
	case d.TakenBack():
		c.Actual = backtest.Actual{Fate: backtest.FateTakenBack, By: d.Trigger}
		at, err := h.takenBack(ctx, d)
		if err != nil {
			return c, err
		}
		c.Actual.T = since(d.CreatedAt, at)
	}
	c.Ticks = h.ticks(ctx, d)
	return c, nil
}

// takenBack is when it was decided to take a deployment back.
func (h History) takenBack(ctx context.Context, d belay.Deployment) (time.Time, error) {
	if d.Trigger == "regressed" && !d.DetectedAt.IsZero() || d.Rollback == "" {
		return firstSet(d.DetectedAt, d.EndedAt), nil
	}
	rb, err := h.Records.GetRollback(ctx, d.Rollback)
	if err != nil && belay.CodeOf(err) != belay.CodeNotFound {
		return time.Time{}, err
	}
	return firstSet(rb.StartedAt, d.EndedAt), nil
}

func firstSet(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func truth(d belay.Deployment) backtest.Truth {
	good, known := d.Good()
	switch {
	case !known:
		return backtest.TruthUnknown
	case good:
		return backtest.TruthGood
	}
	return backtest.TruthBad
}

// errEnough ends a reading of ticks of which no more are wanted.
var errEnough = errors.New("no more is wanted")

func (h History) ticks(ctx context.Context, d belay.Deployment) iter.Seq2[stream.Tick, error] {
	return func(yield func(stream.Tick, error) bool) {
		var require requiring
		err := h.Records.Ticks(ctx, d.ID, func(t belay.Tick) error {
			if !yield(require.tick(t), nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(stream.Tick{}, fmt.Errorf("read what was seen of %s: %w", d.ID, err))
		}
	}
}

// requiring turns the ticks of a watch into what its judge is shown, as package session does: the error rate is needed
// for healthy from the first moment on at which a target could be scraped, and what was learned before counts once.
type requiring struct{ done, told bool }

func (r *requiring) tick(t belay.Tick) stream.Tick {
	if r.told {
		t.Learned = nil
	}
	r.told = r.told || t.Learned != nil
	out := stream.Tick{Tick: t}
	for _, s := range t.Sources {
		if !r.done && s.OK && strings.HasPrefix(s.Source, "scrape of ") {
			r.done = true
			out.Require = []string{config.ErrorRate}
		}
	}
	return out
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
