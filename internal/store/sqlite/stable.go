package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	belay "github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/id"
)

// Stable returns the release that a rollback of ref goes back to; false when none was ever set.
func (s *Store) Stable(ctx context.Context, ref belay.Ref) (belay.StableRelease, bool, error) {
	list, err := s.StableHistory(ctx, ref, 1)
	if err != nil || len(list) == 0 {
		return belay.StableRelease{}, false, err
	}
	return list[0], true, nil
}

// StableHistory returns at most limit releases that were stable, newest first; 0 is all of them.
func (s *Store) StableHistory(ctx context.Context, ref belay.Ref, limit int) ([]belay.StableRelease, error) {
	var q query
	q.and(`service = ?`, ref.Service)
	q.and(`environment = ?`, ref.Environment)
	stmt := q.sql(`SELECT doc FROM stable_releases`, `seq DESC`, limit)
	return records[belay.StableRelease](ctx, s, "stable releases of "+ref.String(), stmt, q.args...)
}

// SetStable makes a release the stable one. Setting again what is stable already, whatever the time, changes
// nothing, so that a caller may repeat itself after a crash.
func (s *Store) SetStable(ctx context.Context, r belay.StableRelease) error {
	ref := r.Ref
	what := "stable release of " + ref.String()
	doc, err := encode(what, r)
	if err != nil {
		return err
	}
	return s.update(ctx, "store "+what, func(tx *sql.Tx) error {
		var now string
		err := tx.QueryRowContext(ctx, `SELECT doc FROM stable_releases WHERE service = ? AND environment = ? ORDER BY seq DESC LIMIT 1`,
			r.Service, r.Environment).Scan(&now)
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return err
		default:
			cur, err := decode[belay.StableRelease](what, now)
			if err != nil {
				return err
			}
			again := r
			cur.Since, again.Since = time.Time{}, time.Time{}
			if cur == again {
				return nil
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO stable_releases (service, environment, deployment, since, doc) VALUES (?, ?, ?, ?, ?)`,
			r.Service, r.Environment, r.Deployment, nanos(r.Since), doc)
		return err
	})
}

// Quarantine forbids a release; a quarantine of the same release is replaced.
func (s *Store) Quarantine(ctx context.Context, q belay.Quarantine) error {
	if q.Key == "" {
		return belay.Errorf(belay.CodeInvalid, "quarantine a release of %s: its version and digest are unknown", q.Ref)
	}
	doc, err := encode("quarantine of "+q.Key, q)
	if err != nil {
		return err
	}
	return s.update(ctx, "store quarantine of "+q.Key, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO quarantines (service, environment, key, rollback, since, doc) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (service, environment, key) DO UPDATE SET
				rollback = excluded.rollback, since = excluded.since, doc = excluded.doc`,
			q.Service, q.Environment, q.Key, q.Rollback, nanos(q.Since), doc)
		return err
	})
}

// forbids finds what Quarantined finds and LiftQuarantine lifts.
const forbids = `service = ?1 AND environment = ?2 AND (key = ?3 OR json_extract(doc, '$.release.version') = ?3)`

// Quarantined tells whether the release with this key is forbidden in ref, and why. A release that was forbidden by
// its digest is found by its version too: who leaves out the digest does not get around it.
func (s *Store) Quarantined(ctx context.Context, ref belay.Ref, key string) (belay.Quarantine, bool, error) {
	list, err := records[belay.Quarantine](ctx, s, "quarantine of "+key,
		`SELECT doc FROM quarantines WHERE `+forbids+` ORDER BY key = ?3 DESC, since DESC LIMIT 1`, ref.Service, ref.Environment, key)
	if err != nil || len(list) == 0 {
		return belay.Quarantine{}, false, err
	}
	return list[0], true, nil
}

// Quarantines returns all that is forbidden, newest first.
func (s *Store) Quarantines(ctx context.Context) ([]belay.Quarantine, error) {
	return records[belay.Quarantine](ctx, s, "quarantines", `SELECT doc FROM quarantines ORDER BY since DESC, service, environment, key`)
}

// LiftQuarantine allows a release again, by its key or its version, and records who did it in the timeline.
func (s *Store) LiftQuarantine(ctx context.Context, ref belay.Ref, key, actor string) error {
	now := s.opts.Now()
	rows, err := toRows([]belay.Event{{
		ID: id.New("e", now), Time: now, Ref: ref, Actor: actor, Kind: belay.EventAct,
		Message: fmt.Sprintf("quarantine of %s lifted", key),
	}})
	if err != nil {
		return err
	}
	return s.update(ctx, "lift quarantine of "+key, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM quarantines WHERE `+forbids,
			ref.Service, ref.Environment, key)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return belay.Errorf(belay.CodeNotFound, "%s is not in quarantine for %s", key, ref)
		}
		return s.insertEvents(ctx, tx, rows)
	})
}
