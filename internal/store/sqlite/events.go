package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	belay "github.com/belaydev/belay"
)

// row is an event with its JSON, made before the transaction begins.
type row struct {
	belay.Event
	doc string
}

func toRows(events []belay.Event) ([]row, error) {
	rows := make([]row, 0, len(events))
	for _, e := range events {
		switch {
		case e.ID == "":
			return nil, belay.Errorf(belay.CodeInvalid, "store event %q: it has no id", e.Message)
		case e.Kind == "":
			return nil, belay.Errorf(belay.CodeInvalid, "store event %s: it has no kind", e.ID)
		case e.Time.IsZero():
			return nil, belay.Errorf(belay.CodeInvalid, "store event %s: it has no time", e.ID)
		}
		e.Time = e.Time.UTC()
		doc, err := encode("event "+e.ID, e)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{e, doc})
	}
	return rows, nil
}

// fromDoc reads an event. Its Data is the json.RawMessage that was stored: exact, whatever its type was.
func fromDoc(doc string) (belay.Event, error) {
	w, err := decode[struct {
		belay.Event
		Data json.RawMessage `json:"data"`
	}]("event", doc)
	if err != nil {
		return belay.Event{}, err
	}
	if w.Data != nil {
		w.Event.Data = w.Data
	}
	return w.Event, nil
}

// Append adds events to the timeline, with the deliveries that tell of them, in one transaction. An event whose
// id is stored already is left as it is.
func (s *Store) Append(ctx context.Context, events ...belay.Event) error {
	rows, err := toRows(events)
	if err != nil || len(rows) == 0 {
		return err
	}
	return s.update(ctx, "store events", func(tx *sql.Tx) error { return s.insertEvents(ctx, tx, rows) })
}

func (s *Store) insertEvents(ctx context.Context, tx *sql.Tx, rows []row) error {
	for _, e := range rows {
		res, err := tx.ExecContext(ctx, `
			INSERT INTO events (id, time, service, environment, deployment, rollback, kind, doc)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			e.ID, nanos(e.Time), e.Service, e.Environment, e.Deployment, e.Rollback, string(e.Kind), e.doc)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			if err != nil {
				return err
			}
			continue // told already, or being told
		}
		seq, err := res.LastInsertId()
		if err != nil {
			return err
		}
		if err := s.insertDeliveries(ctx, tx, seq, e.Event); err != nil {
			return err
		}
	}
	return nil
}

// Events returns the events that the filter selects, in the order in which they were stored.
func (s *Store) Events(ctx context.Context, f belay.EventFilter) ([]belay.Event, error) {
	var q query
	if f.Deployment != "" {
		q.and(`deployment = ?`, f.Deployment)
		q.and(`deployment <> ''`) // lets SQLite use the partial index
	}
	if f.Rollback != "" {
		q.and(`rollback = ?`, f.Rollback)
		q.and(`rollback <> ''`)
	}
	q.ref(f.Service, f.Environment)
	if len(f.Kinds) > 0 {
		kinds := make([]any, len(f.Kinds))
		for i, k := range f.Kinds {
			kinds[i] = string(k)
		}
		q.and(`kind IN (?`+strings.Repeat(`, ?`, len(kinds)-1)+`)`, kinds...)
	}
	if f.After != "" {
		var seq int64
		err := s.r.QueryRowContext(ctx, `SELECT seq FROM events WHERE id = ?`, f.After).Scan(&seq)
		if err != nil {
			return nil, s.missing("event", f.After, err)
		}
		q.and(`seq > ?`, seq)
	}
	docs, err := s.docs(ctx, "events", q.sql(`SELECT doc FROM events`, `seq`, f.Limit), q.args...)
	if err != nil {
		return nil, err
	}
	out := make([]belay.Event, 0, len(docs))
	for _, doc := range docs {
		e, err := fromDoc(doc)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// missing tells why the row that a cursor names could not be read.
func (s *Store) missing(what, id string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return notFound(what, id)
	}
	return explain(s.path, "read "+what+" "+id, err)
}

// SetChannels says which notification channels there are and which kinds of events each is told of. It holds for
// events stored from now on; deliveries that wait already are kept.
func (s *Store) SetChannels(channels map[string][]belay.EventKind) {
	own := make(map[string][]belay.EventKind, len(channels))
	for name, kinds := range channels {
		own[name] = slices.Clone(kinds)
	}
	s.mu.Lock()
	s.channels = own
	s.mu.Unlock()
}

func (s *Store) insertDeliveries(ctx context.Context, tx *sql.Tx, seq int64, e belay.Event) error {
	// That a notification was given up is not itself notified: a dead channel would feed itself for ever.
	if e.Kind == belay.EventNotify {
		return nil
	}
	s.mu.Lock()
	channels := s.channels
	s.mu.Unlock()
	for name, kinds := range channels {
		if !slices.Contains(kinds, e.Kind) {
			continue
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO outbox (event, channel, line, state, attempts, next_attempt, created_at, ended_at, error)
			VALUES (?, ?, ?, 'pending', 0, ?, ?, 0, '')`,
			seq, name, line(e), nanos(e.Time), nanos(e.Time))
		if err != nil {
			return err
		}
	}
	return nil
}

// line names what an event must be told in order with: its deployment, else its rollback, else nothing but itself.
func line(e belay.Event) string {
	switch {
	case e.Deployment != "":
		return e.Deployment
	case e.Rollback != "":
		return e.Rollback
	}
	return e.ID
}
