package sqlite

import (
	"context"
	"database/sql"
	"time"

	belay "github.com/belaydev/belay"
)

// NextDeliveries returns at most limit deliveries of a channel that are due, oldest first. Of the deliveries that
// tell of one deployment only the first that is neither delivered nor given up is ever returned: an event does
// not overtake an earlier one.
func (s *Store) NextDeliveries(ctx context.Context, channel string, now time.Time, limit int) ([]belay.Delivery, error) {
	rows, err := s.r.QueryContext(ctx, `
		WITH heads AS (SELECT min(id) AS id FROM outbox WHERE state = 'pending' AND channel = ? GROUP BY line)
		SELECT o.id, o.attempts, o.created_at, e.doc
		FROM heads JOIN outbox o ON o.id = heads.id JOIN events e ON e.seq = o.event
		WHERE o.next_attempt <= ? ORDER BY o.id LIMIT ?`, channel, nanos(now), limit)
	if err != nil {
		return nil, explain(s.path, "read the outbox", err)
	}
	defer func() { _ = rows.Close() }() // what went wrong, rows.Err tells
	var out []belay.Delivery
	for rows.Next() {
		var (
			d       = belay.Delivery{Channel: channel}
			created int64
			doc     string
		)
		if err := rows.Scan(&d.ID, &d.Attempt, &created, &doc); err != nil {
			return nil, explain(s.path, "read the outbox", err)
		}
		if d.Event, err = fromDoc(doc); err != nil {
			return nil, err
		}
		d.Attempt++
		d.Created = fromNanos(created)
		out = append(out, d)
	}
	if err := rows.Err(); err != nil {
		return nil, explain(s.path, "read the outbox", err)
	}
	return out, nil
}

// Backlog tells how much waits on a channel and when the next attempt is due.
func (s *Store) Backlog(ctx context.Context, channel string) (belay.Backlog, error) {
	var n, due int64
	err := s.r.QueryRowContext(ctx, `
		WITH heads AS (SELECT min(id) AS id, count(*) AS n FROM outbox WHERE state = 'pending' AND channel = ? GROUP BY line)
		SELECT coalesce(sum(heads.n), 0), coalesce(min(o.next_attempt), 0) FROM heads JOIN outbox o ON o.id = heads.id`, channel).
		Scan(&n, &due)
	if err != nil {
		return belay.Backlog{}, explain(s.path, "read the outbox", err)
	}
	return belay.Backlog{Pending: int(n), Due: fromNanos(due)}, nil
}

// MarkDelivered ends a delivery well.
func (s *Store) MarkDelivered(ctx context.Context, id int64, at time.Time) error {
	return s.write(ctx, "mark a notification delivered", func(tx *sql.Tx) error {
		return one(tx.ExecContext(ctx, `
			UPDATE outbox SET state = 'delivered', attempts = attempts + 1, ended_at = ?, error = ''
			WHERE id = ? AND state = 'pending'`, nanos(at), id))
	})
}

// MarkFailed records a failed attempt and when to make the next.
func (s *Store) MarkFailed(ctx context.Context, id int64, nextAttempt time.Time, errText string) error {
	return s.write(ctx, "mark a notification failed", func(tx *sql.Tx) error {
		return one(tx.ExecContext(ctx, `
			UPDATE outbox SET attempts = attempts + 1, next_attempt = ?, error = ?
			WHERE id = ? AND state = 'pending'`, nanos(nextAttempt), errText, id))
	})
}

// GiveUp ends a delivery that did not succeed and appends the event that says so, in one transaction.
func (s *Store) GiveUp(ctx context.Context, id int64, at time.Time, errText string, e belay.Event) error {
	rows, err := toRows([]belay.Event{e})
	if err != nil {
		return err
	}
	return s.update(ctx, "give up a notification", func(tx *sql.Tx) error {
		err := one(tx.ExecContext(ctx, `
			UPDATE outbox SET state = 'given_up', attempts = attempts + 1, ended_at = ?, error = ?
			WHERE id = ? AND state = 'pending'`, nanos(at), errText, id))
		if err != nil {
			return err
		}
		return s.insertEvents(ctx, tx, rows)
	})
}

// one turns "no such pending delivery" into an error.
func one(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		return belay.Errorf(belay.CodeNotFound, "no such notification waits")
	}
	return err
}
