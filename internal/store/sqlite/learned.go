package sqlite

import (
	"context"
	"database/sql"
	"math"
	"time"

	belay "github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/id"
)

// Learned returns what was learned of a service; false when nothing ever was.
func (s *Store) Learned(ctx context.Context, ref belay.Ref) (belay.Learned, bool, error) {
	return s.learned(ctx, ref, math.MaxInt64)
}

// LearnedBefore returns what was learned of a service from the time before a moment and no later one; false when
// nothing was. Not much of the past is kept: what was known before the newest learning, and that after it.
func (s *Store) LearnedBefore(ctx context.Context, ref belay.Ref, at time.Time) (belay.Learned, bool, error) {
	return s.learned(ctx, ref, nanos(at))
}

func (s *Store) learned(ctx context.Context, ref belay.Ref, at int64) (belay.Learned, bool, error) {
	list, err := records[belay.Learned](ctx, s, "what was learned of "+ref.String(),
		`SELECT doc FROM learned WHERE service = ? AND environment = ? AND until <= ? ORDER BY until DESC LIMIT 1`,
		ref.Service, ref.Environment, at)
	if err != nil || len(list) == 0 {
		return belay.Learned{}, false, err
	}
	return list[0], true, nil
}

// SetLearned replaces what was learned of a service. What does not reach further than what is known changes nothing,
// so that no hour is learned twice, and nothing comes back that was forgotten in the meantime.
func (s *Store) SetLearned(ctx context.Context, ref belay.Ref, l belay.Learned) error {
	what := "what was learned of " + ref.String()
	if ref.Service == "" || l.Until.IsZero() {
		return belay.Errorf(belay.CodeInvalid, "store %s: it does not say of which service, or of which time", what)
	}
	doc, err := encode(what, l)
	if err != nil {
		return err
	}
	return s.write(ctx, "store "+what, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `
			INSERT INTO learned (service, environment, until, updated_at, doc) SELECT ?1, ?2, ?3, ?4, ?5
			WHERE NOT EXISTS (SELECT 1 FROM learned WHERE service = ?1 AND environment = ?2 AND until >= ?3)`,
			ref.Service, ref.Environment, nanos(l.Until), nanos(s.opts.Now()), doc)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			DELETE FROM learned WHERE service = ?1 AND environment = ?2 AND until NOT IN (
				SELECT until FROM learned WHERE service = ?1 AND environment = ?2 ORDER BY until DESC LIMIT 2)`,
			ref.Service, ref.Environment)
		return err
	})
}

// ForgetLearned begins anew: what was learned of a service is gone, nothing is learned from the time before now, and
// the timeline says who asked for that.
func (s *Store) ForgetLearned(ctx context.Context, ref belay.Ref, actor string) error {
	now := s.opts.Now().UTC()
	what := "what was learned of " + ref.String()
	doc, err := encode(what, belay.Learned{Signals: []belay.LearnedSignal{}, Until: now})
	if err != nil {
		return err
	}
	rows, err := toRows([]belay.Event{{
		ID: id.New("e", now), Time: now, Ref: ref, Actor: actor, Kind: belay.EventAct,
		Message: "what was learned of " + ref.String() + " is forgotten; learning begins anew",
	}})
	if err != nil {
		return err
	}
	return s.update(ctx, "forget "+what, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM learned WHERE service = ? AND environment = ?`, ref.Service, ref.Environment)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return belay.Errorf(belay.CodeNotFound, "nothing was learned of %s yet", ref)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO learned (service, environment, until, updated_at, doc) VALUES (?, ?, ?, ?, ?)`,
			ref.Service, ref.Environment, nanos(now), nanos(now), doc)
		if err != nil {
			return err
		}
		return s.insertEvents(ctx, tx, rows)
	})
}
