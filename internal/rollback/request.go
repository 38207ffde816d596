package rollback

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/belaydev/belay"
)

// Run stores the plan and begins it. It is idempotent by the plan's ID: a second call joins what the first one
// began, even if that has ended. The loop guard binds when actor is "belay"; a person (or a pipeline) overrules
// it, and what was overruled is recorded with the plan's reason.
func (e *Engine) Run(ctx context.Context, p belay.Plan, actor string) error {
	c, _ := e.parts()
	if e.isStopping() || c == nil {
		return belay.Errorf(belay.CodeUnavailable, "belay is not running rollbacks: it is starting or stopping")
	}
	if actor == "" {
		actor = "belay"
	}
	rb, err := e.accept(ctx, p, actor)
	if err != nil {
		return err
	}
	if rb.State.Final() {
		return nil
	}
	if _, err := dbos.RunWorkflow(c, e.workflow, rb, dbos.WithWorkflowID(rb.ID)); err != nil {
		return fmt.Errorf("begin rollback %s: %w", rb.ID, err) // stored: the next start takes it up
	}
	return nil
}

// accept stores the rollback, or finds it.
func (e *Engine) accept(ctx context.Context, p belay.Plan, actor string) (belay.Rollback, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known, err := e.opts.Journal.Rollback(ctx, p.ID)
	switch {
	case err == nil && known.ID == p.ID:
		return known, nil
	case err != nil && belay.CodeOf(err) != belay.CodeNotFound:
		return belay.Rollback{}, fmt.Errorf("read rollback %s: %w", p.ID, err)
	}
	if err := e.runnable(p); err != nil {
		return belay.Rollback{}, err
	}
	active, err := e.opts.Journal.Rollbacks(ctx, belay.RollbackFilter{Service: p.Service, Environment: p.Environment, Active: true})
	if err != nil {
		return belay.Rollback{}, fmt.Errorf("read the rollbacks of %s: %w", p.Ref, err)
	}
	if len(active) > 0 {
		return belay.Rollback{}, belay.Errorf(belay.CodeConflict, "%s is being rolled back already, to %s by rollback %s", p.Ref, active[0].Plan.To, active[0].ID).
			WithNext("follow it with \"belay show %s\", or abort it first", active[0].ID)
	}
	objections, err := e.guard(ctx, p)
	if err != nil {
		return belay.Rollback{}, err
	}
	if len(objections) > 0 && Automatic(actor) {
		return belay.Rollback{}, refusal(p, objections)
	}
	now := e.now()
	rb := belay.Rollback{ID: p.ID, Plan: p, State: belay.RollbackRunning, Actor: actor, Steps: waiting(p, 0), StartedAt: now}
	events := []belay.Event{event(rb, "plan", belay.EventPlan, now, fmt.Sprintf("rollback from %s to %s begins: %s", p.From, p.To, p.Reason))}
	events[0].Data = p
	if len(objections) > 0 {
		events = append(events, event(rb, "overruled", belay.EventAct, now, fmt.Sprintf("%s overruled the loop guard (%s): %s", actor, strings.Join(objections, "; "), p.Reason)))
	}
	if err := e.opts.Journal.SaveRollback(ctx, rb, events...); err != nil {
		return belay.Rollback{}, fmt.Errorf("store rollback %s: %w", rb.ID, err)
	}
	e.tell(rb)
	return rb, nil
}

// runnable refuses a plan that cannot be run at all.
func (e *Engine) runnable(p belay.Plan) error {
	if p.RollForward != "" {
		return belay.Errorf(belay.CodeConflict, "%s cannot be rolled back: %s", p.Ref, p.RollForward)
	}
	if p.ID == "" || len(p.Rungs) == 0 || p.Budget <= 0 {
		return belay.Errorf(belay.CodeInvalid, "the rollback plan %q of %s has no id, no steps or no budget", p.ID, p.Ref)
	}
	for _, r := range p.Rungs {
		for _, s := range r.Steps {
			if e.opts.Drivers[s.Driver] == nil {
				return belay.Errorf(belay.CodeInvalid, "step %q of the rollback plan of %s uses the driver %q, which this belay does not have", s.Name, p.Ref, s.Driver)
			}
		}
	}
	return nil
}

func (e *Engine) guard(ctx context.Context, p belay.Plan) ([]string, error) {
	f := Facts{Now: e.now()}
	var err error
	filter := belay.RollbackFilter{Service: p.Service, Environment: p.Environment, Since: f.Now.Add(-time.Hour)}
	if f.Recent, err = e.opts.Journal.Rollbacks(ctx, filter); err != nil {
		return nil, fmt.Errorf("read the rollbacks of %s: %w", p.Ref, err)
	}
	limits := e.opts.Limits(p.Ref)
	if e.opts.History == nil {
		limits.AllowUnverified = true
		return limits.Check(p, f), nil
	}
	if f.Stable, err = e.opts.History.StableHistory(ctx, p.Ref, 0); err != nil {
		return nil, fmt.Errorf("read the verified releases of %s: %w", p.Ref, err)
	}
	q, found, err := e.opts.History.Quarantined(ctx, p.Ref, p.To.Key())
	if err != nil {
		return nil, fmt.Errorf("read the quarantine of %s: %w", p.Ref, err)
	}
	if found {
		f.Quarantine = &q
	}
	return limits.Check(p, f), nil
}

// Guard says why belay would not run the plan by itself; nothing when it would.
func (e *Engine) Guard(ctx context.Context, p belay.Plan) ([]string, error) { return e.guard(ctx, p) }

// Get returns a rollback.
func (e *Engine) Get(ctx context.Context, id string) (belay.Rollback, error) {
	return e.opts.Journal.Rollback(ctx, id)
}

// Look reads the target of every step of the plan's first rung and changes nothing.
func (e *Engine) Look(ctx context.Context, p belay.Plan) []belay.StepLook {
	var looks []belay.StepLook
	if len(p.Rungs) == 0 {
		return nil
	}
	for _, s := range p.Rungs[0].Steps {
		ctx, cancel := context.WithTimeout(ctx, min(s.Deadline.D(), lookTimeout))
		look, err := e.inspect(ctx, action(p, s))
		cancel()
		l := belay.StepLook{Key: s.Key, Look: look}
		if err != nil {
			l.Error = err.Error()
		}
		looks = append(looks, l)
	}
	return looks
}

// Abort stops a rollback before its next step. It is durable, it does not interrupt a step, and once the last
// step is done it stops only what a failed proof would have begun. Aborting twice is aborting once.
func (e *Engine) Abort(ctx context.Context, id, actor string) error {
	_, db := e.parts()
	if db == nil {
		return belay.Errorf(belay.CodeUnavailable, "belay is not running rollbacks: it is starting or stopping")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	rb, err := e.opts.Journal.Rollback(ctx, id)
	if err != nil {
		return err
	}
	if rb.State.Final() {
		return belay.Errorf(belay.CodeConflict, "rollback %s cannot be aborted: it is %s", rb.ID, rb.State)
	}
	now := e.now()
	if err := saveAbort(ctx, db, rb.ID, abort{Actor: actor, At: now}); err != nil {
		return err
	}
	ev := event(rb, "abort", belay.EventAct, now, actor+" asked to abort the rollback; the step under way ends first")
	ev.Actor = actor
	if err := e.opts.Journal.SaveRollback(ctx, rb, ev); err != nil {
		return fmt.Errorf("store rollback %s: %w", rb.ID, err)
	}
	return nil
}

// Wait returns the rollback once it has ended.
func (e *Engine) Wait(ctx context.Context, id string) (belay.Rollback, error) {
	updates, cancel := e.Subscribe(id)
	defer cancel()
	rb, err := e.opts.Journal.Rollback(ctx, id)
	for err == nil && !rb.State.Final() {
		select {
		case rb = <-updates:
		case <-ctx.Done():
			err = fmt.Errorf("wait for rollback %s: %w", id, context.Cause(ctx))
		}
	}
	return rb, err
}

// Subscribe delivers the newest state of a rollback after each change; a slow reader misses the ones between.
// The caller reads the present state itself, after subscribing, and calls cancel when done.
func (e *Engine) Subscribe(id string) (updates <-chan belay.Rollback, cancel func()) {
	ch := make(chan belay.Rollback, 1)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.subs[id] == nil {
		e.subs[id] = map[chan belay.Rollback]struct{}{}
	}
	e.subs[id][ch] = struct{}{}
	return ch, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.subs[id], ch)
		if len(e.subs[id]) == 0 {
			delete(e.subs, id)
		}
	}
}

// tell hands a state to the subscribers; e.mu is held.
func (e *Engine) tell(rb belay.Rollback) {
	for ch := range e.subs[rb.ID] {
		select {
		case <-ch: // the one that was not read is replaced
		default:
		}
		ch <- snapshot(rb)
	}
}
