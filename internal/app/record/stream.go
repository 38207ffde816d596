package record

import (
	"bytes"
	"context"
	"math"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/session"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge/stream"
	"github.com/belaydev/belay/internal/judge/stream/recording"
	"github.com/belaydev/belay/internal/watch/state"
)

// Record writes the evidence stream of a deployment; with follow it goes on until the deployment has ended. Each call of
// out has whole ticks. Judging the stream comes to what the watch came to.
func (r *Records) Record(ctx context.Context, id string, follow bool, out func(part []byte) error) error {
	d, ticks, err := r.all(ctx, id)
	if err != nil {
		return err
	}
	var updates <-chan belay.Deployment
	if follow && !d.State.Final() {
		var cancel func()
		updates, cancel = r.Subscribe(d.ID)
		defer cancel()
		// Read again: what came between the first read and the subscription would otherwise be missed.
		if d, ticks, err = r.all(ctx, d.ID); err != nil {
			return err
		}
	}
	w := &writer{out: out}
	for {
		if err := w.write(r, d, ticks); err != nil {
			return err
		}
		if updates == nil || d.State.Final() {
			return w.end(d)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, open := <-updates:
			if d, err = r.Store.Deployment(ctx, d.ID); err != nil {
				return err
			}
			if !open && !d.State.Final() {
				return belay.Errorf(belay.CodeUnavailable, "belay stops").WithNext("record it again when it is back")
			}
		}
		if ticks, err = r.Store.Ticks(ctx, d.ID, w.next); err != nil {
			return err
		}
	}
}

// writer turns ticks of a watch into a stream.
type writer struct {
	out     func([]byte) error
	buf     bytes.Buffer
	to      *stream.Writer
	rec     *recording.Recorder
	shown   shown
	judge   judged
	policy  []byte
	next    float64 // what is older is written
	written int     // ticks
}

// judged is the judge as the watch has it, around nobody.
type judged interface {
	Observe(t belay.Tick) belay.Card
}

// shown is what the watch would have shown to its judge.
type shown struct {
	require []string
	tick    belay.Tick
}

// Observe takes the place of judging.
func (s *shown) Observe(t belay.Tick) belay.Card { s.tick = t; return belay.Card{} }

// Require takes the place of what a judge is told besides.
func (s *shown) Require(signal string) { s.require = append(s.require, signal) }

func (w *writer) write(r *Records, d belay.Deployment, ticks []belay.Tick) error {
	if len(ticks) == 0 {
		return nil
	}
	if w.to == nil {
		p, err := r.policy(d, ticks)
		if err != nil {
			return err
		}
		w.to, w.rec = stream.NewWriter(&w.buf), recording.New(p)
		w.judge = session.Requiring(&w.shown, config.ErrorRate)
		if err := w.to.Policy(p); err != nil {
			return err
		}
		if w.policy, err = stream.EncodePolicy(p); err != nil {
			return err
		}
	} else if anew(w.policy, ticks) {
		return belay.Errorf(belay.CodeConflict, "the policy of %s changed while it was recorded: what was written so far is judged otherwise now", d.ID).WithNext("record it again")
	}
	for _, t := range ticks {
		w.shown = shown{}
		w.judge.Observe(state.Counted(d, t))
		for _, s := range w.rec.Record(stream.Tick{Tick: w.shown.tick, Require: w.shown.require}) {
			if err := w.to.Tick(s); err != nil {
				return err
			}
		}
		w.next = math.Nextafter(t.T, math.MaxFloat64)
		w.written++
	}
	defer w.buf.Reset()
	return w.out(w.buf.Bytes())
}

// anew tells whether a new judge judges by something else.
func anew(policy []byte, ticks []belay.Tick) bool {
	for _, t := range ticks {
		if len(t.Policy) > 0 && !bytes.Equal(t.Policy, policy) {
			return true
		}
	}
	return false
}

func (w *writer) end(d belay.Deployment) error {
	if w.written > 0 {
		return nil
	}
	return nothing(d)
}

func nothing(d belay.Deployment) error {
	e := belay.Errorf(belay.CodeConflict, "nothing was seen of deployment %s", d.ID)
	if !d.State.Final() {
		return e.WithNext("its watch has not begun: wait for it, or record it with following")
	}
	return e.WithNext("it was refused, failed before its watch, or is older than server.history")
}
