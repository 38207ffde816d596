package rollback

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"github.com/belaydev/belay"
)

// run is one execution of a rollback's workflow. Its record is changed only by what recorded operations
// returned, so that a resumed execution rebuilds the same record.
type run struct {
	e       *Engine
	ctx     dbos.Context
	rb      belay.Rollback
	pending []belay.Event // not yet in the journal
	stepEnd time.Time     // deadline of the step at work, from when this process took it up; zero: not yet
	looked  bool          // this process looked at the step's target since the last act
}

// workflow is the durable function. It is replayed from its start after a crash: what was recorded is not done
// again, so the order and the names of the recorded operations are its stored format (see planVersion).
func (e *Engine) workflow(ctx dbos.Context, in belay.Rollback) (state belay.RollbackState, err error) {
	r := &run{e: e, ctx: ctx, rb: snapshot(in)}
	r.rb.State, r.rb.Rung, r.rb.Steps = belay.RollbackRunning, 0, nil
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("belay panicked: %v", p)
			e.log.ErrorContext(ctx, "rollback workflow panicked", "rollback", in.ID, "error", err, "stack", string(debug.Stack()))
		}
		// Without an error of the context it is not a stop: nobody would ever go on with it.
		if err != nil && ctx.Err() == nil && !errors.Is(err, dbos.ErrConflictingWorkflowID) {
			e.giveUp(ctx, r.rb, err)
		}
	}()
	if err := r.climb(); err != nil {
		return "", err
	}
	return r.rb.State, nil
}

// climb tries rung after rung until one ends with a certificate that is not failed.
func (r *run) climb() error {
	for i := range r.rb.Plan.Rungs {
		r.rb.Rung = i
		r.rb.Steps = append(r.rb.Steps, waiting(r.rb.Plan, i)...)
		why, stop, err := r.rung(i)
		if err != nil || r.rb.State.Final() {
			return err
		}
		last := i == len(r.rb.Plan.Rungs)-1
		if last || stop {
			return r.finish(belay.RollbackFailed, why)
		}
		next := r.rb.Plan.Rungs[i+1].Name
		r.note(fmt.Sprintf("%d/next", i), fmt.Sprintf("%s; going to the next rung: %s", why, next))
	}
	return r.finish(belay.RollbackFailed, "the plan has no steps")
}

// rung runs the steps of one rung and proves the result. why says how it failed; stop forbids further rungs.
func (r *run) rung(i int) (why string, stop bool, err error) {
	base := len(r.rb.Steps) - len(r.rb.Plan.Rungs[i].Steps)
	for k := range r.rb.Plan.Rungs[i].Steps {
		end, err := r.step(r.rb.Plan.Rungs[i].Steps[k], &r.rb.Steps[base+k])
		if err != nil {
			return "", false, err
		}
		if end.why == "" {
			continue
		}
		for j := range r.rb.Steps {
			if r.rb.Steps[j].State == belay.StepWaiting {
				r.rb.Steps[j].State = belay.StepSkipped
			}
		}
		if end.aborted {
			return "", true, r.finish(belay.RollbackAborted, end.why)
		}
		return end.why, end.over, nil
	}
	return r.prove()
}

// prove asks the prover and ends the rollback, unless the certificate is failed.
func (r *run) prove() (why string, stop bool, err error) {
	r.rb.State = belay.RollbackProving
	c, err := record(r, "prove", func(ctx context.Context) (belay.Certificate, error) {
		if err := r.save(ctx); err != nil {
			return belay.Certificate{}, err
		}
		return r.certify(ctx)
	})
	if err != nil {
		return "", false, err
	}
	r.rb.Certificate = &c
	r.certificate(c)
	switch c.Result {
	case belay.ResultVerified:
		return "", false, r.finish(belay.RollbackVerified, "")
	case belay.ResultUnverified:
		return "", false, r.finish(belay.RollbackUnverified, "the rollback was done, but it could not be proven: "+reading(c, belay.CheckUnknown))
	case belay.ResultFailed:
	}
	r.rb.State = belay.RollbackRunning
	why = fmt.Sprintf("%s: the proof failed: %s", r.rb.Plan.Rungs[r.rb.Rung].Name, reading(c, belay.CheckFailed))
	return why, false, nil
}

// certify returns the prover's certificate, or one that says why there is none.
func (r *run) certify(ctx context.Context) (belay.Certificate, error) {
	began := r.e.now()
	left := r.left()
	ctx2, cancel := context.WithTimeoutCause(ctx, left, errBudget)
	defer cancel()
	defer r.e.untilStop(ctx2, cancel)()
	var c belay.Certificate
	err := errBudget
	if left > 0 {
		c, err = protect(func() (belay.Certificate, error) { return r.e.opts.Prover.Prove(ctx2, snapshot(r.rb)) })
	}
	if err := r.halt(ctx); err != nil {
		return c, err
	}
	c.Rollback, c.Ref, c.Release, c.Rung = r.rb.ID, r.rb.Plan.Ref, r.rb.Plan.To, r.rb.Rung
	c.IssuedAt = r.e.now()
	c.Took = belay.Duration(c.IssuedAt.Sub(began))
	if err != nil {
		c.Checks = append(c.Checks, belay.Check{Name: "proof", Result: belay.CheckUnknown, Want: "every reading taken", Got: words(ctx2, err), At: c.IssuedAt})
	}
	if c.Result == "" || err != nil {
		c.Result = c.Judge()
	}
	return c, nil
}

// finish writes the end. A rollback that failed without a certificate gets one that says why; so every one that
// was not aborted ends with exactly one. An end that was written and not recorded (the process died in between)
// stays as it was written.
func (r *run) finish(state belay.RollbackState, why string) error {
	ended, err := guarded(r, "finish", func(ctx context.Context) (time.Time, error) {
		if known, err := r.e.opts.Journal.Rollback(ctx, r.rb.ID); err == nil && known.ID == r.rb.ID && known.State.Final() {
			return known.EndedAt, nil
		}
		at := r.e.now()
		rb, events := r.ending(state, why, at)
		if err := r.commit(ctx, rb, events); err != nil {
			return at, err
		}
		r.e.metrics.rollbackEnded(rb)
		r.e.log.InfoContext(ctx, "rollback ended", "service", rb.Plan.Service, "rollback", rb.ID, "state", string(state),
			"reason", why, "duration", at.Sub(rb.StartedAt).String())
		return at, nil
	})
	if err != nil {
		return err
	}
	r.rb, _ = r.ending(state, why, ended)
	return nil
}

// ending is the record as it will be, and the events that tell of it.
func (r *run) ending(state belay.RollbackState, why string, at time.Time) (belay.Rollback, []belay.Event) {
	rb := snapshot(r.rb)
	rb.State, rb.Reason, rb.EndedAt = state, why, at
	var events []belay.Event
	if state == belay.RollbackFailed || state == belay.RollbackAborted {
		events = append(events, event(rb, "end", belay.EventStep, at, fmt.Sprintf("rollback %s: %s", state, why)))
	}
	if state == belay.RollbackFailed && (rb.Certificate == nil || rb.Certificate.Rung != rb.Rung) {
		rb.Certificate = &belay.Certificate{
			Rollback: rb.ID, Ref: rb.Plan.Ref, Release: rb.Plan.To, Result: belay.ResultFailed, Rung: rb.Rung, IssuedAt: at,
			Checks: []belay.Check{{Name: "steps", Result: belay.CheckFailed, Want: "every step done", Got: why, At: at}},
		}
		ev := event(rb, "end/proof", belay.EventProof, at, "certificate failed: "+why)
		ev.Data = rb.Certificate
		events = append(events, ev)
	}
	if state == belay.RollbackAborted {
		rb.Certificate = nil
	}
	return rb, events
}

// giveUp closes a rollback that its workflow cannot go on with.
func (e *Engine) giveUp(ctx context.Context, rb belay.Rollback, cause error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	r := &run{e: e, rb: rb}
	now := e.now()
	final, events := r.ending(belay.RollbackFailed, "belay could not go on with it: "+cause.Error(), now)
	e.log.ErrorContext(ctx, "rollback given up", "rollback", rb.ID, "service", rb.Plan.Service, "error", cause)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.opts.Journal.SaveRollback(ctx, final, events...); err != nil {
		e.log.ErrorContext(ctx, "rollback not stored", "rollback", rb.ID, "error", err)
		return
	}
	e.metrics.rollbackEnded(final)
	e.tell(final)
}

// reading names the first check with the result.
func reading(c belay.Certificate, want belay.CheckResult) string {
	for _, k := range c.Checks {
		if k.Result == want {
			return fmt.Sprintf("%s: want %s, got %s", k.Name, k.Want, k.Got)
		}
	}
	return "nothing could be read"
}
