// Package record gives out what happened in a deployment: its timeline, and what its watch saw, as an evidence stream that judges alike wherever it is read, and as a
// decision card with charts. It is part of the composition root; it reads the store and changes nothing in it.
package record

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/stream"
	"github.com/belaydev/belay/internal/watch"
)

// Store keeps deployments and what was seen of them.
type Store interface {
	Deployment(ctx context.Context, id string) (belay.Deployment, error)
	Ticks(ctx context.Context, deployment string, fromT float64) ([]belay.Tick, error)
	Events(ctx context.Context, f belay.EventFilter) ([]belay.Event, error)
}

// Records are what was seen of one store's deployments.
type Records struct {
	Store Store
	// Subscribe delivers a deployment after each change, until it has ended.
	Subscribe func(id string) (updates <-chan belay.Deployment, cancel func())
	// Policy is how a deployment would be judged now: for those that began before policies were kept.
	Policy func(d belay.Deployment) judge.Policy

	opened sync.Map // deployments whose judge is of this process and has its policy on record
}

// Noting is s, whose first tick in this process carries the policy: the judge is as old as the process at most.
func (r *Records) Noting(s watch.Session, d belay.Deployment) watch.Session {
	if _, known := r.opened.LoadOrStore(d.ID, true); known {
		return s
	}
	raw, err := stream.EncodePolicy(r.Policy(d))
	if err != nil {
		return s
	}
	return &noting{Session: s, policy: raw}
}

type noting struct {
	watch.Session
	policy []byte
}

// Collect gathers one tick.
func (n *noting) Collect(ctx context.Context, now time.Time) (belay.Tick, error) {
	t, err := n.Session.Collect(ctx, now)
	t.Policy, n.policy = n.policy, nil
	return t, err
}

// policy is what d was judged by: what its newest judge put on record.
func (r *Records) policy(d belay.Deployment, ticks []belay.Tick) (judge.Policy, error) {
	for i := len(ticks) - 1; i >= 0; i-- {
		if len(ticks[i].Policy) > 0 {
			return stream.DecodePolicy(ticks[i].Policy)
		}
	}
	return r.Policy(d), nil
}

// all reads a deployment and everything that was seen of it.
func (r *Records) all(ctx context.Context, id string) (belay.Deployment, []belay.Tick, error) {
	d, err := r.Store.Deployment(ctx, id)
	if err != nil {
		return d, nil, err
	}
	ticks, err := r.Store.Ticks(ctx, d.ID, -math.MaxFloat64)
	return d, ticks, err
}
