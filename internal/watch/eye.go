package watch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/watch/state"
)

// eye looks at one deployment, one look at a time. A look may take long, so it has a goroutine of its own;
// everything else here belongs to the watcher's.
type eye struct {
	w       *watcher
	timer   *time.Timer
	looks   chan look
	cancel  context.CancelFunc // of the look under way; nil when there is none
	on      bool
	replay  bool // the judge must first see what was stored before the restart
	last    time.Time
	hurried bool // news came while looking
	stale   bool // the session is to be opened anew after the look under way

	known
	blamed bool // the store's refusal is in the log
}

// known is what a look leaves for the next one. Session and judge are there from the first successful one on.
type known struct {
	session  Session
	judge    Judge
	gathered float64      // time of the newest tick that a session gathered; -Inf before
	seen     float64      // while replaying: up to where the judge has seen what was stored
	before   *belay.Card  // while replaying: what it concluded from that
	backlog  []belay.Tick // looked at, judged, not stored yet
}

// look is what one look brought.
type look struct {
	known
	tick     belay.Tick
	err      error // nothing could be judged
	storeErr error
}

func newEye(w *watcher) *eye {
	return &eye{w: w, timer: stoppedTimer(), looks: make(chan look, 1), known: known{gathered: math.Inf(-1)}}
}

// set begins or ends looking.
func (e *eye) set(on bool) {
	switch {
	case on && !e.on:
		e.on = true
		e.timer.Reset(0)
	case !on && e.on:
		e.close()
	}
}

func (e *eye) close() {
	e.on = false
	e.timer.Stop()
	if e.cancel != nil {
		e.cancel()
		l := <-e.looks
		e.cancel, e.known = nil, l.known
	}
	if e.session != nil {
		e.session.Close()
		e.session = nil
	}
}

// renew opens the observation anew, now that the deploy has ended: what health checks said up to now may be of
// the old release, which was replaced in place.
func (e *eye) renew() {
	switch {
	case e.cancel != nil:
		e.stale = true
	case e.session != nil:
		e.session.Close()
		e.session = nil
		e.timer.Reset(max(0, hurryEvery-e.w.c.o.Now().Sub(e.last)))
	}
}

func (e *eye) updated() <-chan struct{} {
	if e.session == nil || e.cancel != nil || e.hurried {
		return nil // asked again after the look
	}
	return e.session.Updated()
}

// hurry moves the next look forward because there is news.
func (e *eye) hurry(open bool) {
	e.hurried = true // a closed channel is not asked again before the next look either
	if open {
		e.timer.Reset(max(0, hurryEvery-e.w.c.o.Now().Sub(e.last)))
	}
}

func (e *eye) look(ctx context.Context) {
	if !e.on || e.cancel != nil {
		return
	}
	e.last, e.hurried = e.w.c.o.Now(), false
	ctx, e.cancel = context.WithCancel(ctx)
	d, l := e.w.d, look{known: e.known}
	replay := e.replay
	go func() { e.looks <- e.w.look(ctx, d, l, replay) }() // close waits for it
}

// look gathers one tick and stores it. It runs beside the watcher and touches none of its state.
func (w *watcher) look(ctx context.Context, d belay.Deployment, l look, replay bool) look {
	o := w.c.o
	if l.judge == nil {
		l.judge, l.seen = o.Judge(d), -math.MaxFloat64
	}
	if replay {
		if l.err = w.recall(ctx, d, &l); l.err != nil {
			return l
		}
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	now := o.Now()
	blind := func(err error) {
		l.tick.T = now.Sub(d.CreatedAt).Seconds()
		l.tick.Sources = append(l.tick.Sources, belay.SourceStatus{Source: "observation", Detail: err.Error()})
	}
	var err error
	if l.session == nil {
		if l.session, err = o.Observer.Observe(ctx, d, l.gathered); err != nil {
			l.session = nil
			blind(err)
		}
	}
	if l.session != nil {
		if l.tick, err = l.session.Collect(ctx, now); err != nil {
			blind(err)
		}
		if d.Slot != "" && d.Serving == d.Weight && d.Weight > 0 && d.Weight < 100 {
			share := float64(d.Weight) / 100
			l.tick.Share = &share
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return l // nobody waits for this look: it is neither judged nor stored
	}
	if l.session != nil && err == nil {
		l.gathered = l.tick.T
	}
	l.backlog = append(l.backlog, l.tick)
	for len(l.backlog) > 0 && l.storeErr == nil {
		if l.storeErr = w.keep(ctx, l.backlog[0]); l.storeErr == nil {
			l.backlog = l.backlog[1:]
		}
	}
	if n := len(l.backlog); n > backlogLimit {
		l.backlog = l.backlog[n-backlogLimit:]
	}
	return l
}

// recall shows the judge what was stored before the restart. If time runs out, the next look goes on from there.
func (w *watcher) recall(ctx context.Context, d belay.Deployment, l *look) error {
	ctx, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	ticks, err := w.c.o.Store.Ticks(ctx, d.ID, math.Nextafter(l.seen, math.MaxFloat64))
	if err != nil {
		return fmt.Errorf("read stored ticks: %w", err)
	}
	for i, t := range ticks {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("judge stored ticks, %d of %d: %w", i, len(ticks), err)
		}
		card := l.judge.Observe(state.Counted(d, t))
		l.before, l.seen = &card, t.T
	}
	return nil
}

// keep stores a tick, also of a look that used up its time.
func (w *watcher) keep(ctx context.Context, t belay.Tick) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return w.c.o.Store.AppendTick(ctx, w.id, t)
}

// looked takes in a look: it is judged and decided upon.
func (w *watcher) looked(ctx context.Context, l look) {
	e := w.eye
	e.cancel()
	e.cancel, e.known = nil, l.known
	interval := w.settings.Policy.Interval
	if interval <= 0 {
		interval = time.Second
	}
	e.timer.Reset(max(hurryEvery, interval-w.c.o.Now().Sub(e.last)))
	if e.stale {
		e.stale = false
		e.renew()
	}
	if l.err != nil {
		if !e.blamed {
			w.log.Error("deployment is not judged, trying again", "error", l.err)
		}
		e.blamed = true
		return
	}
	switch failed := l.storeErr != nil; {
	case failed && !e.blamed:
		w.log.Error("evidence is not stored, watching goes on", "error", l.storeErr)
	case !failed && e.blamed:
		w.log.Info("evidence is stored again")
	}
	e.blamed, e.replay, e.before = l.storeErr != nil, false, nil
	if l.before != nil && l.before.Verdict == belay.VerdictRegressed {
		// The crash may have come between the evidence and the decision.
		w.apply(ctx, state.Looked{Card: *l.before, Now: w.c.o.Now()})
	}
	card := e.judge.Observe(state.Counted(w.d, l.tick))
	if len(card.Health) == 0 {
		card.Health = l.tick.Health // to be shown, if not to be judged by
	}
	in := state.Looked{Card: card, Now: w.c.o.Now()}
	if w.c.o.Foresee != nil && w.d.Outlook == "" {
		in.Outlook = w.c.o.Foresee(w.d, l.tick, card)
	}
	w.apply(ctx, in)
}
