package record

import (
	"context"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/session"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/picture"
	"github.com/belaydev/belay/internal/watch/state"
)

// Card is the decision card of a deployment, each signal with its trail: found by judging again what was seen.
func (r *Records) Card(ctx context.Context, id string) (belay.Card, error) {
	d, ticks, err := r.all(ctx, id)
	if err != nil {
		return belay.Card{}, err
	}
	return r.card(ctx, d, ticks)
}

// CardSVG is the decision card of a deployment as a picture.
func (r *Records) CardSVG(ctx context.Context, id string) ([]byte, error) {
	d, ticks, err := r.all(ctx, id)
	if err != nil {
		return nil, err
	}
	card, err := r.card(ctx, d, ticks)
	if err != nil {
		return nil, err
	}
	return picture.SVG(card, picture.Options{Candidate: d.Release.String(), Baseline: named(d.Previous)}), nil
}

func named(r belay.Release) string {
	if r.IsZero() {
		return ""
	}
	return r.String()
}

func (r *Records) card(ctx context.Context, d belay.Deployment, ticks []belay.Tick) (belay.Card, error) {
	if d.Card == nil {
		return belay.Card{}, nothing(d)
	}
	p, err := r.policy(d, ticks)
	if err != nil {
		return belay.Card{}, err
	}
	j := judge.New(p)
	watched := session.Requiring(j, config.ErrorRate)
	for i, t := range ticks {
		if t.T > d.Card.T {
			break
		}
		if i%1000 == 0 && ctx.Err() != nil {
			return belay.Card{}, ctx.Err()
		}
		watched.Observe(state.Counted(d, t))
	}
	card := *d.Card
	trails := map[string]belay.SignalEvidence{}
	for _, e := range j.Detailed().Signals {
		trails[e.Signal] = e
	}
	card.Signals = append([]belay.SignalEvidence{}, card.Signals...)
	for i := range card.Signals {
		if e, ok := trails[card.Signals[i].Signal]; ok {
			card.Signals[i].Trail = e.Trail
		}
	}
	return card, nil
}
