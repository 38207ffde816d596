package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/watch/state"
)

// act is a command at work. There is one at a time: a weight that is set late must not undo a rollback.
type act struct {
	cmd    state.Command
	cancel context.CancelFunc
}

func (w *watcher) enqueue(cmd state.Command) {
	isWeight := func(c state.Command) bool { _, ok := c.(state.SetWeight); return ok }
	switch cmd := cmd.(type) {
	case state.Revert:
		w.queue = nil // nothing that was wanted before matters now
	case state.SetWeight:
		w.queue = slices.DeleteFunc(w.queue, isWeight)
		if w.act != nil && w.act.cmd == state.Command(cmd) {
			return // being done
		}
	default:
	}
	w.queue = append(w.queue, cmd)
}

// startAct begins the next act. What is under way makes room for a rollback, but it is waited for. A rollback
// alone begins without its record when the store refuses it for long.
func (w *watcher) startAct(ctx context.Context) {
	if ctx.Err() != nil || len(w.queue) == 0 {
		return
	}
	_, back := w.queue[0].(state.Revert)
	if w.dirty && (!back || w.retryFor == 0 || w.c.o.Now().Sub(w.refused) < recordPatience) {
		return
	}
	if w.act != nil {
		if back {
			w.act.cancel()
		}
		return
	}
	if w.dirty {
		w.log.Error("rollback begins before its decision is on record: the store refuses it", "rollback", w.d.Rollback)
	}
	cmd := w.queue[0]
	w.queue = w.queue[1:]
	actx, cancel := context.WithCancel(ctx)
	w.act = &act{cmd, cancel}
	d := w.d
	go func() { w.results <- w.perform(actx, d, cmd) }() // close waits for it
}

func (w *watcher) acted(ctx context.Context, in state.Input) {
	w.act.cancel()
	w.act = nil
	if in != nil {
		w.apply(ctx, in)
	}
	w.startAct(ctx)
}

// perform carries out cmd. It answers nil when it was cut off and cannot say how it ended.
func (w *watcher) perform(ctx context.Context, d belay.Deployment, cmd state.Command) state.Input {
	switch cmd := cmd.(type) {
	case state.RunDeploy:
		err := w.deploy(ctx, d, cmd.Drain)
		if err != nil && ctx.Err() != nil {
			return nil
		}
		return state.DeployEnded{Err: err, Untouched: errors.Is(err, ErrNothingChanged), Now: w.c.o.Now()}
	case state.SetWeight:
		err := w.setWeight(ctx, d, cmd.Percent)
		if err != nil && ctx.Err() != nil {
			return nil
		}
		return state.TrafficSet{Weight: cmd.Percent, Err: err, Now: w.c.o.Now()}
	case state.Revert:
		return w.revert(ctx, d, cmd)
	}
	return nil
}

func (w *watcher) deploy(ctx context.Context, d belay.Deployment, drain bool) error {
	if drain {
		if err := w.setWeight(ctx, d, 0); err != nil {
			return fmt.Errorf("take traffic off slot %s before it is replaced: %w: %w", d.Slot, err, ErrNothingChanged)
		}
	}
	return w.c.o.Deployer.Deploy(ctx, d)
}

func (w *watcher) setWeight(ctx context.Context, d belay.Deployment, pct int) error {
	ctx, cancel := context.WithTimeout(ctx, trafficTimeout)
	defer cancel()
	return w.c.o.Traffic.SetWeight(ctx, d, pct)
}

// revert begins the rollback and waits for its end, however often the rollback engine is out of reach. A defect,
// such as a store that does not answer, is given a while: a rollback must not be given up for a busy disk. While the
// store refuses the watcher too, it is tried without end.
func (w *watcher) revert(ctx context.Context, d belay.Deployment, r state.Revert) state.Input {
	refused := func(err error) state.Input { return state.RollbackRefused{Err: err, Now: w.c.o.Now()} }
	began := w.c.o.Now()
	for wait := time.Duration(0); ; {
		rb, err := w.revertOnce(ctx, d, r)
		refusing := w.pending.Load() > 0
		if refusing {
			began = w.c.o.Now()
		}
		switch code := belay.CodeOf(err); {
		case err == nil:
			return state.RollbackEnded{Rollback: rb, Now: w.c.o.Now()}
		case ctx.Err() != nil:
			return nil
		case code == belay.CodeInternal && w.c.o.Now().Sub(began) < revertPatience:
		case code != belay.CodeUnavailable:
			return refused(err)
		}
		if wait == 0 {
			w.log.Error("rollback out of reach, trying again", "rollback", d.Rollback, "store_refuses", refusing, "error", err)
		}
		wait = backoff(wait)
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

func (w *watcher) revertOnce(ctx context.Context, d belay.Deployment, r state.Revert) (belay.Rollback, error) {
	rollback, err := w.c.o.Reverter.Revert(ctx, d, r.Trigger, r.Reason, r.Actor)
	if err != nil {
		return belay.Rollback{}, err
	}
	if rollback != d.Rollback {
		return belay.Rollback{}, belay.Errorf(belay.CodeInternal, "rollback %s was begun in place of %s", rollback, d.Rollback)
	}
	rb, err := w.c.o.Reverter.Wait(ctx, rollback)
	if err != nil && belay.CodeOf(err) != belay.CodeNotFound {
		// It was begun: not being able to follow it says nothing about it.
		return rb, belay.Errorf(belay.CodeUnavailable, "follow rollback %s: %w", rollback, err)
	}
	return rb, err
}
