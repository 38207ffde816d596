package sqlite

import (
	"context"
	"database/sql"
	"math"
	"time"
)

// pruneChunk is how many events go in one transaction: other writers wait that long.
const pruneChunk = 2000

// Prune deletes what ended before a moment: deployments with their evidence, rollbacks, their events, deliveries, and
// what was learned of services of which nothing was learned since. It keeps stable releases and quarantine with the deployments and rollbacks they name, and whatever
// is still at work.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	at := nanos(before)
	for _, stmt := range []string{
		`DELETE FROM outbox WHERE created_at < ?`,
		`DELETE FROM deployments WHERE active = 0 AND ended_at < ? AND id NOT IN (
			SELECT deployment FROM stable_releases WHERE seq IN (SELECT max(seq) FROM stable_releases GROUP BY service, environment))`,
		`DELETE FROM rollbacks WHERE active = 0 AND ended_at < ? AND id NOT IN (SELECT rollback FROM quarantines)`,
		`DELETE FROM learned WHERE updated_at < ?`,
	} {
		err := s.write(ctx, "prune", func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, stmt, at)
			return err
		})
		if err != nil {
			return err
		}
	}
	for {
		n, err := s.pruneEvents(ctx, at)
		if err != nil || n < pruneChunk {
			return err
		}
	}
}

func (s *Store) pruneEvents(ctx context.Context, before int64) (n int64, err error) {
	err = s.write(ctx, "prune events", func(tx *sql.Tx) error {
		const door = `UPDATE retention SET events_before = ?`
		if _, err := tx.ExecContext(ctx, door, before); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `
			DELETE FROM events WHERE seq IN (
				SELECT seq FROM events
				WHERE time < ? AND deployment NOT IN (SELECT id FROM deployments) AND rollback NOT IN (SELECT id FROM rollbacks)
					AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.event = events.seq)
				LIMIT ?)`, before, pruneChunk)
		if err != nil {
			return err
		}
		if n, err = res.RowsAffected(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, door, int64(math.MinInt64))
		return err
	})
	return n, err
}
