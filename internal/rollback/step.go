package rollback

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/belaydev/belay"
)

const (
	lookTimeout = 10 * time.Second       // one look, at most
	lastLook    = 5 * time.Second        // for the look after a step's deadline
	firstPoll   = 20 * time.Millisecond  // between looks, doubled up to
	slowestPoll = 500 * time.Millisecond // this
	longestWait = 10 * time.Second       // between acts
)

var (
	errBudget   = errors.New("the rollback's budget is used up")
	errDeadline = errors.New("the step's deadline passed")
)

// The records of a step's operations. Errors are kept as words: a replay needs no more.
type (
	// glance is one reading of a step's target.
	glance struct {
		Look belay.Look
		Err  string // why it could not be read; Look is then unknown
	}
	opening struct {
		At      time.Time
		Aborted string // who asked for it
		Over    bool
		Glance  glance
	}
	attempt struct {
		Err     string
		Final   bool   // trying again cannot help, or is not needed
		Glance  glance // before the act, from the second attempt on
		Unheard bool   `json:",omitempty"` // the target could not be reached, so nothing was done
	}
	settled struct {
		At     time.Time
		Glance glance
		Late   bool
	}
)

// stepEnd is how a step ended for its rung; why is empty when it is done.
type stepEnd struct {
	why     string
	aborted bool
	over    bool
}

// step looks, acts if needed and looks again.
func (r *run) step(s belay.Step, rec *belay.StepRecord) (stepEnd, error) {
	r.stepEnd, r.looked = time.Time{}, false
	open, err := record(r, "open "+s.Key, func(ctx context.Context) (opening, error) { return r.open(ctx, s, rec) })
	if err != nil {
		return stepEnd{}, err
	}
	if open.Aborted != "" {
		return stepEnd{why: open.Aborted + " aborted it before step " + s.Name, aborted: true}, nil
	}
	if open.Over {
		return stepEnd{why: fmt.Sprintf("the budget of %s was used up before step %s", r.rb.Plan.Budget, s.Name), over: true}, nil
	}
	begin(rec, open.At)
	rec.Before = open.Glance.words()
	switch open.Glance.Look.Progress {
	case belay.ProgressDone:
		rec.After = rec.Before
		return r.close(s, rec, belay.StepAlready, "")
	case belay.ProgressDrifted:
		return r.close(s, rec, belay.StepFailed, drifted(s, open.Glance))
	case belay.ProgressPending, belay.ProgressUnknown:
	}
	tried, err := r.attempts(s, rec)
	if err != nil {
		return stepEnd{}, err
	}
	if tried.Glance.Look.Progress == belay.ProgressDrifted {
		rec.After = tried.Glance.words()
		return r.close(s, rec, belay.StepFailed, drifted(s, tried.Glance))
	}
	end, err := record(r, "settle "+s.Key, func(ctx context.Context) (settled, error) { return r.settle(ctx, s, tried.Err == "") })
	if err != nil {
		return stepEnd{}, err
	}
	rec.After = end.Glance.words()
	state, why := verdict(s, tried, end)
	return r.close(s, rec, state, why)
}

// verdict is the end of a step whose act was tried.
func verdict(s belay.Step, tried attempt, end settled) (belay.StepState, string) {
	p := end.Glance.Look.Progress
	switch {
	case p == belay.ProgressDone: // even if the act reported an error: what counts is what is there
		return belay.StepDone, ""
	case p == belay.ProgressDrifted:
		return belay.StepFailed, drifted(s, end.Glance)
	case tried.Err != "":
		return belay.StepFailed, tried.Err
	case p == belay.ProgressUnknown && end.Glance.Err == "": // the driver has no way to look; the proof must do
		return belay.StepDone, ""
	case end.Glance.Err != "":
		return belay.StepFailed, fmt.Sprintf("%s accepted the change, but could not be read within %s: %s", s.Target, s.Deadline, end.Glance.Err)
	}
	return belay.StepFailed, fmt.Sprintf("%s accepted the change, but it did not take effect within %s: %s", s.Target, s.Deadline, end.Glance.Look.Detail)
}

// open checks that the step may begin, writes that it does and takes the first look.
func (r *run) open(ctx context.Context, s belay.Step, rec *belay.StepRecord) (opening, error) {
	o := opening{At: r.e.now()}
	if a, found, err := r.e.aborted(ctx, r.rb.ID); err != nil {
		if ctx.Err() != nil {
			return o, ctx.Err()
		}
		r.e.log.ErrorContext(ctx, "abort not readable", "rollback", r.rb.ID, "error", err) // taking users back matters more
	} else if found {
		o.Aborted = a.Actor
		return o, nil
	}
	if o.Over = r.left() <= 0; o.Over {
		return o, nil
	}
	if rec.Key == r.rb.Steps[0].Key {
		r.quarantine(ctx)
	}
	began := *rec
	begin(rec, o.At)
	err := r.save(ctx, event(r.rb, rec.Key+"/started", belay.EventStep, o.At, fmt.Sprintf("step %s: %s", s.Name, s.Target)))
	*rec = began // what the record says comes from the operation's result
	if err != nil {
		return o, err
	}
	for n := range 2 { // an unreadable target gets a second chance, then the act: it may be what the bad release broke
		if n > 0 && !r.pause(ctx, firstPoll) {
			break
		}
		if o.Glance = r.glance(ctx, s); o.Glance.Err == "" {
			break
		}
	}
	return o, r.halt(ctx)
}

// attempts acts until an act is accepted, the attempts are used up or the deadline has passed. Before each act
// but the first it looks: the act that failed may have done its work. Without another rung, a target that cannot be
// reached (a proxy being restarted) is tried until the deadline: giving up would leave users on the bad release.
func (r *run) attempts(s belay.Step, rec *belay.StepRecord) (attempt, error) {
	var last attempt
	for n := 1; n <= s.Attempts || last.Unheard && r.rb.Rung == len(r.rb.Plan.Rungs)-1; n++ {
		if n > 1 {
			again, err := record(r, fmt.Sprintf("again %d %s", n, s.Key), func(ctx context.Context) (attempt, error) { return r.again(ctx, s, n) })
			if err != nil {
				return attempt{}, err
			}
			last.Glance = again.Glance
			if again.Final {
				return last, nil
			}
		}
		a, err := guarded(r, fmt.Sprintf("act %d %s", n, s.Key), func(ctx context.Context) (attempt, error) { return r.try(ctx, s) })
		if err != nil {
			return attempt{}, err
		}
		rec.Attempts = n
		last = a
		if a.Err == "" || a.Final {
			break
		}
	}
	return last, nil
}

// again waits before another attempt and looks whether it is needed; Final means that it is not, or that it is
// too late.
func (r *run) again(ctx context.Context, s belay.Step, n int) (attempt, error) {
	var a attempt
	ctx2, cancel := r.within(ctx, s, 0)
	defer cancel()
	wait := max(s.Backoff.D(), firstPoll)
	for i := 2; i < n && wait < longestWait; i++ {
		wait *= 2
	}
	if !r.pause(ctx2, min(wait, longestWait)) {
		a.Final = true
		return a, r.halt(ctx)
	}
	a.Glance = r.glance(ctx2, s)
	p := a.Glance.Look.Progress
	a.Final = p == belay.ProgressDone || p == belay.ProgressDrifted
	return a, r.halt(ctx)
}

// try is one act. When the last look is from a process that died, the act may have been done by it: so look again.
func (r *run) try(ctx context.Context, s belay.Step) (attempt, error) {
	ctx2, cancel := r.within(ctx, s, 0)
	defer cancel()
	if ctx2.Err() != nil && ctx.Err() == nil {
		return attempt{Err: late(ctx2, s), Final: true}, nil
	}
	if !r.looked {
		g := r.read(ctx2, s)
		if p := g.Look.Progress; p == belay.ProgressDone || p == belay.ProgressDrifted {
			return attempt{Final: true, Glance: g}, ctx.Err()
		}
	}
	r.looked = false
	d := r.e.opts.Drivers[s.Driver]
	if d == nil {
		return attempt{Err: fmt.Sprintf("this belay has no driver %q", s.Driver), Final: true}, nil
	}
	_, err := protect(func() (struct{}, error) { return struct{}{}, d.Do(ctx2, action(r.rb.Plan, s)) })
	switch {
	case err == nil:
		return attempt{}, nil
	case ctx.Err() != nil: // stopped in the middle: not kept, done again
		return attempt{}, ctx.Err()
	}
	return attempt{Err: words(ctx2, err), Final: final(err) || ctx2.Err() != nil, Unheard: belay.CodeOf(err) == belay.CodeUnavailable}, nil
}

// settle looks until the change has taken effect or the deadline has passed; once only when no act was accepted.
func (r *run) settle(ctx context.Context, s belay.Step, accepted bool) (settled, error) {
	var out settled
	wait := firstPoll
	for {
		ctx2, cancel := r.within(ctx, s, lastLook)
		out = settled{At: r.e.now(), Glance: r.glance(ctx2, s)}
		cancel()
		if err := r.halt(ctx); err != nil {
			return out, err
		}
		p := out.Glance.Look.Progress
		enough := p == belay.ProgressDone || p == belay.ProgressDrifted || p == belay.ProgressUnknown && out.Glance.Err == ""
		if enough || !accepted {
			return out, nil
		}
		ctx3, cancel := r.within(ctx, s, 0)
		ok := r.pause(ctx3, wait)
		cancel()
		if err := r.halt(ctx); err != nil {
			return out, err
		}
		if !ok {
			out.Late = true
			return out, nil
		}
		wait = min(wait*2, slowestPoll)
	}
}

// close writes how a step ended.
func (r *run) close(s belay.Step, rec *belay.StepRecord, state belay.StepState, why string) (stepEnd, error) {
	rec.State, rec.Error = state, why
	at, err := record(r, "close "+s.Key, func(ctx context.Context) (time.Time, error) {
		at := r.e.now()
		rec.Ended = at
		ev := event(r.rb, rec.Key+"/ended", belay.EventStep, at, sentence(s, *rec))
		ev.Data = *rec
		if err := r.save(ctx, ev); err != nil {
			return at, err
		}
		r.e.metrics.steps.WithLabelValues(s.Driver, string(state)).Inc()
		return at, nil
	})
	rec.Ended = at
	if err != nil || why == "" {
		return stepEnd{}, err
	}
	return stepEnd{why: fmt.Sprintf("%s: step %s failed: %s", r.rb.Plan.Rungs[rec.Rung].Name, s.Name, why)}, nil
}

func begin(rec *belay.StepRecord, at time.Time) { rec.State, rec.Started = belay.StepRunning, at }

func drifted(s belay.Step, g glance) string {
	return fmt.Sprintf("somebody else changed %s: %s; it was left as it is", s.Target, g.words())
}

func late(ctx context.Context, s belay.Step) string {
	if errors.Is(context.Cause(ctx), errBudget) {
		return errBudget.Error()
	}
	return fmt.Sprintf("its deadline of %s passed", s.Deadline)
}

func sentence(s belay.Step, rec belay.StepRecord) string {
	switch rec.State {
	case belay.StepAlready:
		return fmt.Sprintf("step %s: nothing to do, %s", s.Name, rec.After)
	case belay.StepFailed:
		return fmt.Sprintf("step %s failed: %s", s.Name, rec.Error)
	default:
		return fmt.Sprintf("step %s done: %s", s.Name, rec.After)
	}
}
