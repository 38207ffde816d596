// Package labels keeps what people say of deployments that have ended: whether taking them back, or keeping them, was
// right. It is part of the composition root; who counts the labels, and what for, is not its business.
package labels

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/id"
)

// Store keeps deployments.
type Store interface {
	Deployment(ctx context.Context, id string) (belay.Deployment, error)
	SaveDeployment(ctx context.Context, d belay.Deployment, events ...belay.Event) error
}

// Labels are the labels of one store's deployments.
type Labels struct {
	Store Store
	Now   func() time.Time
	Actor func(name string) string // who it is for the record, from what a request says

	mu sync.Mutex // held from reading a deployment to writing it: nobody else writes one that has ended
}

const maxReason = 2000

// Label keeps a person's word. The timeline has every word, the deployment the newest.
func (l *Labels) Label(ctx context.Context, deployment string, req belay.LabelRequest) (belay.Deployment, error) {
	req.Actor = l.Actor(req.Actor)
	if len(req.Reason) > maxReason {
		return belay.Deployment{}, belay.Errorf(belay.CodeInvalid, "the reason is longer than %d characters", maxReason)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	d, err := l.Store.Deployment(ctx, deployment)
	if err != nil {
		return d, err
	}
	if err := labelable(d, req.Label); err != nil {
		return d, err
	}
	now := l.Now().UTC()
	e := belay.Event{ID: id.New("e", now), Time: now, Ref: d.Ref, Deployment: d.ID, Rollback: d.Rollback, Actor: req.Actor, Kind: belay.EventLabel}
	label := belay.Label{Word: req.Label, Reason: req.Reason, Actor: req.Actor, Time: now}
	if d.Label = &label; req.Label == belay.LabelNone {
		d.Label = nil
	}
	e.Message, e.Data = told(d, label), label
	return d, l.Store.SaveDeployment(ctx, d, e)
}

func labelable(d belay.Deployment, word belay.LabelWord) error {
	switch {
	case word != belay.LabelNone && word != belay.LabelRight && word != belay.LabelWrong:
		return belay.Errorf(belay.CodeInvalid, "there is no label %q", word).WithNext("use right or wrong, or none to take the label away")
	case !d.State.Final():
		return belay.Errorf(belay.CodeConflict, "deployment %s has not ended: it is %s", d.ID, words(d.State)).WithNext("label it when what becomes of it is known")
	case d.State == belay.StateRefused || d.State == belay.StateDeployFailed:
		return belay.Errorf(belay.CodeConflict, "deployment %s was never judged: it is %s", d.ID, words(d.State)).WithNext("label one that was kept or taken back")
	case word == belay.LabelNone && d.Label == nil:
		return belay.Errorf(belay.CodeConflict, "deployment %s has no label", d.ID)
	}
	return nil
}

// told is the entry of the timeline, in one sentence.
func told(d belay.Deployment, l belay.Label) string {
	what := "keeping " + d.Release.String()
	if d.TakenBack() {
		what = "taking back " + d.Release.String()
	}
	var text string
	if l.Word == belay.LabelNone {
		text = "the label on " + what + " was taken away"
	} else {
		text = what + " was " + string(l.Word)
	}
	if l.Reason != "" {
		text += ": " + l.Reason
	}
	return text
}

func words(s belay.State) string { return strings.ReplaceAll(string(s), "_", " ") }
