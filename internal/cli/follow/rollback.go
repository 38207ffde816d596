package follow

import (
	"context"
	"errors"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/exit"
	"github.com/belaydev/belay/internal/cli/terminal"
)

// Rollbacks is what following a rollback asks of the server.
type Rollbacks interface {
	WatchRollback(ctx context.Context, id string, see func(belay.Rollback) bool) error
	GetRollback(ctx context.Context, id string) (belay.Rollback, error)
}

// Rollback follows a rollback to its certificate and returns how it went as an exit.Outcome; nil is verified.
func Rollback(ctx context.Context, api Rollbacks, t *terminal.Terminal, id string) error {
	var known belay.Rollback
	var streamed time.Time
	painter := t.Painter()
	lines := &rollbackLog{t: t, said: map[string]belay.StepState{}}
	err := track(ctx, subject{
		stream: func(ctx context.Context, see func(change) bool) error {
			return api.WatchRollback(ctx, id, func(r belay.Rollback) bool {
				return see(func() { known, streamed = r, time.Now() })
			})
		},
		read: func(ctx context.Context) (change, error) {
			began := time.Now()
			r, err := api.GetRollback(ctx, id)
			return func() {
				if !streamed.After(began) {
					known = r
				}
			}, err
		},
		over: func() bool { return known.State.Final() },
		draw: func(now time.Time, away *outage) {
			switch {
			case known.ID == "" || t.JSON:
			case t.Live():
				painter.Paint(func(columns, _ int) string {
					s := t.Style()
					s.Width = columns
					return s.RollbackLive(known, now, awayFor(away, now))
				})
			default:
				lines.progress(known, away)
			}
		},
	})
	if errors.Is(err, context.Canceled) {
		if t.Live() {
			painter.Finish(t.Style().RollbackFinal(known))
		}
		t.Warn("interrupted; the rollback goes on by itself: belay show %s", id)
		return exit.Outcome(exit.Interrupted)
	}
	if err != nil {
		if t.Live() {
			painter.Finish(t.Style().RollbackFinal(known))
		}
		return err
	}
	switch {
	case t.JSON:
		if err := t.Print(known, nil); err != nil {
			return err
		}
	case t.Live():
		painter.Finish(t.Style().RollbackFinal(known))
	default:
		lines.progress(known, nil)
		t.Say("\n" + t.Style().RollbackFinal(known))
	}
	return exit.With(exit.OfRollback(known.State))
}
