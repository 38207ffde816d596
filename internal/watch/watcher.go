package watch

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/id"
	"github.com/belaydev/belay/internal/watch/state"
)

// watcher conducts one deployment. All but the first group of fields belongs to the goroutine of run.
type watcher struct {
	c        *Conductor
	id       string
	ref      belay.Ref
	release  belay.Release
	settings Settings
	log      *slog.Logger
	inbox    chan request
	done     chan struct{} // closed when this process does nothing more for it

	d      belay.Deployment
	ready  <-chan struct{} // closed when a pending deployment may begin
	waited bool            // for older ones: what is stable may have changed since

	// What Next answered and is not on record yet, and what waits for the record.
	dirty    bool
	unsaved  []belay.Event
	facts    []state.Command // MarkStable, Quarantine: rows of the store, written just before the deployment
	queue    []state.Command // acts, in order
	replies  []chan<- answer
	savedAt  time.Time
	retry    *time.Timer
	retryFor time.Duration // not 0: the store refuses, retry is set
	refused  time.Time     // since when it refuses
	pending  atomic.Int64  // how many decisions wait because it refuses

	act     *act
	results chan state.Input // of acts; nil when the act was cut off and its outcome is not known

	eye *eye
}

type request struct {
	in    state.Input
	reply chan<- answer // buffered; nil when nobody waits
}

type answer struct {
	d   belay.Deployment
	err error
}

func newWatcher(c *Conductor, d belay.Deployment, settings Settings) *watcher {
	w := &watcher{
		c: c, id: d.ID, ref: d.Ref, release: d.Release, settings: settings, d: d,
		log:   c.log.With("service", d.Service, "environment", d.Environment, "deployment", d.ID),
		inbox: make(chan request), done: make(chan struct{}), results: make(chan state.Input, 1),
		savedAt: c.o.Now(), retry: stoppedTimer(),
	}
	w.eye = newEye(w)
	return w
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// tell hands over a request and tells whether it was taken.
func (w *watcher) tell(ctx context.Context, r request) bool {
	select {
	case w.inbox <- r:
		return true
	case <-w.done:
	case <-ctx.Done():
	}
	return false
}

// run goes on until the deployment's final state is on record or ctx is done.
func (w *watcher) run(ctx context.Context, resumed bool) {
	defer w.close(ctx)
	if w.d.State != belay.StatePending {
		w.ready = nil
		if resumed {
			w.eye.replay = true
			w.apply(ctx, state.Restarted{Now: w.c.o.Now()})
		}
	}
	for !w.d.State.Final() || w.dirty {
		select {
		case <-ctx.Done():
			return
		case <-w.ready:
			w.begin(ctx)
		case r := <-w.inbox:
			w.answer(ctx, r)
		case in := <-w.results:
			w.acted(ctx, in)
		case <-w.retry.C:
			w.flush(ctx)
		case <-w.eye.timer.C:
			w.eye.look(ctx)
		case _, open := <-w.eye.updated():
			w.eye.hurry(open)
		case l := <-w.eye.looks:
			w.looked(ctx, l)
		}
	}
}

// close ends what is under way. An act that ended well just before the stop is put on record: it happened.
func (w *watcher) close(ctx context.Context) {
	if w.act != nil {
		w.act.cancel()
		w.acted(ctx, <-w.results)
	}
	w.eye.close()
	w.retry.Stop()
	for _, r := range w.replies {
		r <- answer{err: errStopped()}
	}
}

func (w *watcher) begin(ctx context.Context) {
	w.ready = nil
	if w.waited && w.d.Reverts == "" {
		placed, err := w.c.place(ctx, w.d, w.settings)
		if err != nil {
			w.log.Warn("stable release unknown, deployment waits", "error", err)
			again := make(chan struct{})
			time.AfterFunc(time.Second, func() { close(again) })
			w.ready = again
			return
		}
		w.d = placed
	}
	w.apply(ctx, state.Accepted{Now: w.c.o.Now()})
}

func (w *watcher) answer(ctx context.Context, r request) {
	if in, ok := r.in.(state.Asked); ok {
		if err := state.Permits(w.d, in.Act); err != nil {
			r.reply <- answer{w.d, err}
			return
		}
	}
	if r.reply != nil {
		w.replies = append(w.replies, r.reply)
		w.dirty = true // a person is answered when the outcome is on record
	}
	w.apply(ctx, r.in)
}

// apply makes one step of the state machine and puts it on record before anything is done about it.
func (w *watcher) apply(ctx context.Context, in state.Input) {
	before := w.d
	next, cmds := state.Next(w.d, in, w.settings.Policy)
	w.d = next
	for _, cmd := range cmds {
		switch cmd := cmd.(type) {
		case state.Record:
			cmd.Event.ID = id.New("e", cmd.Event.Time)
			w.unsaved = append(w.unsaved, cmd.Event)
		case state.MarkStable, state.Quarantine:
			w.facts = append(w.facts, cmd)
		default:
			w.enqueue(cmd)
		}
	}
	w.c.metrics.count(before, next)
	if next.State != before.State {
		w.log.Info("deployment changed state", "state", next.State, "reason", next.Reason)
	}
	if len(cmds) > 0 || w.c.o.Now().Sub(w.savedAt) >= saveEvery {
		w.dirty = true
	}
	switch {
	case !w.dirty:
		w.c.topics.publish(w.d)
	case w.retryFor == 0:
		w.flush(ctx)
	}
	w.eye.set(state.Observed(w.d.State))
	if before.DeployedAt.IsZero() && !next.DeployedAt.IsZero() {
		w.eye.renew()
	}
	if !w.eye.on && len(w.eye.backlog) > 0 && w.retryFor == 0 {
		w.dirty = true
		w.flush(ctx)
	}
	w.tally()
	w.startAct(ctx)
}

// tally makes known what the store has not taken.
func (w *watcher) tally() {
	n := 0
	if w.retryFor > 0 {
		n = len(w.unsaved) + len(w.facts)
	}
	w.pending.Store(int64(n))
}

// flush puts on record what was decided, then lets the acts begin. While the store refuses, watching goes on and
// decisions pile up in order; none is lost, and only a rollback is acted upon: users come first.
func (w *watcher) flush(ctx context.Context) {
	began := w.c.o.Now()
	if err := w.save(ctx); err != nil {
		if w.retryFor == 0 {
			w.refused = began
			w.log.Error("decision is not on record, trying again", "state", w.d.State, "error", err)
		}
		w.retryFor = backoff(w.retryFor)
		if left := recordPatience - w.c.o.Now().Sub(w.refused); left > 0 {
			w.retryFor = min(w.retryFor, left)
		}
		w.retry.Reset(w.retryFor)
		w.tally()
		w.startAct(ctx)
		return
	}
	if w.retryFor > 0 {
		w.log.Info("decision is on record", "state", w.d.State)
	}
	w.dirty, w.unsaved, w.retryFor, w.savedAt = false, nil, 0, w.c.o.Now()
	w.tally()
	w.c.topics.publish(w.d)
	for _, r := range w.replies {
		r <- answer{d: w.d}
	}
	w.replies = nil
	w.startAct(ctx)
}

// save writes the facts, and evidence that could not be stored while it was looked at, before the deployment: a
// final state is the last thing that is ever written of it, so what belongs to it must be there by then. A stop
// does not cut it off.
func (w *watcher) save(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	for len(w.facts) > 0 {
		var err error
		switch f := w.facts[0].(type) {
		case state.MarkStable:
			err = w.c.o.Store.SetStable(ctx, f.Stable)
		case state.Quarantine:
			err = w.c.o.Store.Quarantine(ctx, f.Quarantine)
		}
		if err != nil {
			return err
		}
		w.facts = slices.Delete(w.facts, 0, 1)
	}
	for e := w.eye; !e.on && len(e.backlog) > 0; e.backlog = e.backlog[1:] {
		if err := w.c.o.Store.AppendTick(ctx, w.id, e.backlog[0]); err != nil {
			return err
		}
	}
	return w.c.o.Store.SaveDeployment(ctx, w.d, w.unsaved...)
}
