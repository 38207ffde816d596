package rollback

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/belaydev/belay"
)

// record runs fn once and keeps what it returned; a replay gets the kept value. fn returns an error only when
// the engine stops: that is not kept, and fn runs again after the next start.
func record[T any](r *run, name string, fn func(ctx context.Context) (T, error)) (T, error) {
	if err := r.halt(r.ctx); err != nil {
		var none T
		return none, err
	}
	return keep(r, name, fn)
}

func keep[T any](r *run, name string, fn func(ctx context.Context) (T, error)) (T, error) {
	out, err := dbos.RunAsStep(r.ctx, fn, dbos.WithStepName(name))
	if err != nil {
		return out, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// guarded is record for what should not happen twice: Stop waits for it and for its record.
func guarded[T any](r *run, name string, fn func(ctx context.Context) (T, error)) (T, error) {
	r.e.acting.RLock()
	if r.e.isStopping() {
		r.e.acting.RUnlock() // before waiting: Stop waits for the lock
		var none T
		return none, r.halt(r.ctx)
	}
	defer r.e.acting.RUnlock()
	return keep(r, name, fn)
}

// halt returns an error when the engine stops: what was read while being stopped is not to be kept. It waits
// until the stop has reached ctx, because an error of a workflow that is not being stopped is recorded as its end.
func (r *run) halt(ctx context.Context) error {
	if r.e.isStopping() {
		<-ctx.Done()
	}
	return ctx.Err()
}

// left is what remains of the budget, on the wall clock: a restart does not renew it.
func (r *run) left() time.Duration {
	return r.rb.Plan.Budget.D() - r.e.now().Sub(r.rb.StartedAt)
}

// within bounds an operation by the step's deadline and the budget; extra is added to both. The deadline counts
// from when this process took the step up: time in which belay was not running is not held against it (it is,
// against the budget).
func (r *run) within(ctx context.Context, s belay.Step, extra time.Duration) (context.Context, context.CancelFunc) {
	if r.stepEnd.IsZero() {
		r.stepEnd = r.e.now().Add(s.Deadline.D())
	}
	limit, cause := r.stepEnd.Sub(r.e.now()), errDeadline
	if left := r.left(); left < limit {
		limit, cause = left, errBudget
	}
	return context.WithTimeoutCause(ctx, limit+extra, cause)
}

// pause waits, and tells whether it waited to the end.
func (r *run) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
	case <-r.e.stopping:
	}
	return false
}

// untilStop cancels an operation that may be repeated when the engine stops. The returned func ends the waiting.
func (e *Engine) untilStop(ctx context.Context, cancel context.CancelFunc) (end func()) {
	over, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-e.stopping:
			cancel()
		case <-ctx.Done():
		case <-over:
		}
	}()
	return func() { close(over); <-gone }
}

// glance looks once at a step's target; a stop interrupts it.
func (r *run) glance(ctx context.Context, s belay.Step) glance {
	ctx, cancel := r.within(ctx, s, lastLook)
	defer cancel()
	defer r.e.untilStop(ctx, cancel)()
	r.looked = true
	return r.read(ctx, s)
}

func (r *run) read(ctx context.Context, s belay.Step) glance {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTimeout, fmt.Errorf("no answer within %s", lookTimeout))
	defer cancel()
	look, err := r.e.inspect(ctx, action(r.rb.Plan, s))
	if err != nil {
		return glance{Look: belay.Look{Progress: belay.ProgressUnknown}, Err: words(ctx, err)}
	}
	return glance{Look: look}
}

func (e *Engine) inspect(ctx context.Context, a belay.Action) (belay.Look, error) {
	d := e.opts.Drivers[a.Driver]
	if d == nil {
		return belay.Look{}, belay.Errorf(belay.CodeInvalid, "this belay has no driver %q", a.Driver)
	}
	return protect(func() (belay.Look, error) { return d.Inspect(ctx, a) })
}

func (g glance) words() string {
	if g.Err != "" {
		return "could not be read: " + g.Err
	}
	return g.Look.Detail
}

func (e *Engine) aborted(ctx context.Context, id string) (abort, bool, error) {
	_, db := e.parts()
	return loadAbort(ctx, db, id)
}

// quarantine forbids the release that is taken back, when its rollback begins. A release that is taken back to
// itself (another configuration, another slot) is not.
func (r *run) quarantine(ctx context.Context) {
	p := r.rb.Plan
	if r.e.opts.History == nil || p.From.Key() == "" || p.From.Key() == p.To.Key() || p.Trigger == "drill" {
		return
	}
	q := belay.Quarantine{Ref: p.Ref, Key: p.From.Key(), Release: p.From, Rollback: r.rb.ID, Reason: p.Reason, Since: r.rb.StartedAt}
	if err := r.e.opts.History.Quarantine(ctx, q); err != nil && ctx.Err() == nil {
		r.e.log.ErrorContext(ctx, "release not put in quarantine", "service", p.Service, "rollback", r.rb.ID, "error", err)
	}
}

// note keeps an event for the next write.
func (r *run) note(phase, message string) {
	r.pending = append(r.pending, event(r.rb, phase, belay.EventStep, r.e.now(), message))
}

// certificate keeps the event of a certificate for the next write.
func (r *run) certificate(c belay.Certificate) {
	message := "certificate " + string(c.Result)
	switch c.Result {
	case belay.ResultVerified:
		message += ": " + c.Release.String() + " is back"
	case belay.ResultUnverified:
		message += ": " + reading(c, belay.CheckUnknown)
	case belay.ResultFailed:
		message += ": " + reading(c, belay.CheckFailed)
	}
	ev := event(r.rb, fmt.Sprintf("%d/proof", r.rb.Rung), belay.EventProof, c.IssuedAt, message)
	ev.Data = c
	r.pending = append(r.pending, ev)
}

// save writes the record as it is. A journal that cannot be written does not keep users from being taken back:
// after a few tries the rollback goes on, and what was not written is written with the next record.
func (r *run) save(ctx context.Context, events ...belay.Event) error {
	r.pending = append(r.pending, events...)
	err := r.write(ctx, snapshot(r.rb), 3)
	if err != nil && ctx.Err() == nil {
		r.e.log.ErrorContext(ctx, "rollback goes on without its record", "rollback", r.rb.ID, "error", err)
		return nil
	}
	return err
}

// commit writes the end; it tries until the engine stops, because nothing is written after it.
func (r *run) commit(ctx context.Context, rb belay.Rollback, events []belay.Event) error {
	r.pending = append(r.pending, events...)
	return r.write(ctx, rb, -1)
}

func (r *run) write(ctx context.Context, rb belay.Rollback, tries int) error {
	wait := 50 * time.Millisecond
	for n := 1; ; n++ {
		r.e.mu.Lock()
		err := r.e.opts.Journal.SaveRollback(ctx, rb, r.pending...)
		if err == nil {
			r.e.tell(rb)
		}
		r.e.mu.Unlock()
		if err == nil {
			r.pending = nil
			return nil
		}
		if n == 1 && ctx.Err() == nil {
			r.e.log.WarnContext(ctx, "rollback not stored yet", "rollback", rb.ID, "error", err)
		}
		if n == tries {
			return err
		}
		if !r.pause(ctx, wait) {
			if herr := r.halt(ctx); herr != nil {
				return herr
			}
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// event makes an event of a rollback. Its id follows from the rollback and the phase alone, so that a replay
// inserts it once.
func event(rb belay.Rollback, phase string, kind belay.EventKind, at time.Time, message string) belay.Event {
	id := phase
	if !strings.HasPrefix(phase, rb.ID+"/") {
		id = rb.ID + "/" + phase
	}
	return belay.Event{
		ID: id, Time: at, Ref: rb.Plan.Ref, Deployment: rb.Plan.Deployment, Rollback: rb.ID,
		Actor: rb.Actor, Kind: kind, Message: message,
	}
}

func waiting(p belay.Plan, rung int) []belay.StepRecord {
	var out []belay.StepRecord
	for _, s := range p.Rungs[rung].Steps {
		out = append(out, belay.StepRecord{Key: s.Key, Rung: rung, Name: s.Name, State: belay.StepWaiting})
	}
	return out
}

func action(p belay.Plan, s belay.Step) belay.Action {
	return belay.Action{Step: s, Ref: p.Ref, Rollback: p.ID, From: p.From, To: p.To, FromSlot: p.FromSlot, ToSlot: p.ToSlot}
}

// snapshot shares nothing that changes with rb.
func snapshot(rb belay.Rollback) belay.Rollback {
	rb.Steps = slices.Clone(rb.Steps)
	if rb.Certificate != nil {
		c := *rb.Certificate
		rb.Certificate = &c
	}
	return rb
}

// protect turns a driver's or prover's panic into an error: one defect must not end every rollback.
func protect[T any](f func() (T, error)) (out T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// words says why an operation failed: the reason for which its context ended, if that was it.
func words(ctx context.Context, err error) string {
	cause := context.Cause(ctx)
	if cause == nil || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return err.Error()
	}
	if text := err.Error(); !strings.Contains(text, cause.Error()) && errors.Unwrap(err) != nil {
		return cause.Error() + ": " + text
	}
	return cause.Error()
}
