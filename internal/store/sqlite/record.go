package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	belay "github.com/belaydev/belay"
)

// nanos is how a time is stored: nanoseconds since 1970, 0 for the zero time.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// encode writes a record as JSON. What cannot be written (a NaN, say) is the caller's mistake.
func encode(what string, v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", belay.Errorf(belay.CodeInvalid, "store %s: %w", what, err)
	}
	return string(b), nil
}

// decode reads a record; all its times come out in UTC.
func decode[T any](what, doc string) (T, error) {
	var v T
	if err := json.Unmarshal([]byte(doc), &v); err != nil {
		return v, fmt.Errorf("read %s from its stored JSON: %w", what, err)
	}
	inUTC(reflect.ValueOf(&v).Elem())
	return v, nil
}

// inUTC sets every time.Time below v to UTC, whichever zone it was written in.
func inUTC(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			inUTC(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		if k := v.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Pointer || k == reflect.Slice {
			for i := range v.Len() {
				inUTC(v.Index(i))
			}
		}
	case reflect.Struct:
		if t, ok := v.Addr().Interface().(*time.Time); ok {
			if !t.IsZero() {
				*t = t.UTC()
			}
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				inUTC(v.Field(i))
			}
		}
	default: // holds no time
	}
}

// query is a SELECT with conditions that depend on a filter. The conditions are constants of this package; values
// go in as arguments alone.
type query struct {
	conds []string
	args  []any
}

func (q *query) and(cond string, args ...any) {
	q.conds = append(q.conds, cond)
	q.args = append(q.args, args...)
}

func (q *query) ref(service, environment string) {
	if service != "" {
		q.and(`service = ?`, service)
	}
	if environment != "" {
		q.and(`environment = ?`, environment)
	}
}

func (q *query) sql(sel, order string, limit int) string {
	var b strings.Builder
	b.WriteString(sel)
	if len(q.conds) > 0 {
		b.WriteString(" WHERE " + strings.Join(q.conds, " AND "))
	}
	b.WriteString(" ORDER BY " + order)
	if limit > 0 {
		b.WriteString(" LIMIT ?")
		q.args = append(q.args, limit)
	}
	return b.String()
}

// docs returns the first column, a record's JSON, of every row.
func (s *Store) docs(ctx context.Context, what, stmt string, args ...any) ([]string, error) {
	rows, err := s.r.QueryContext(ctx, stmt, args...)
	if err != nil {
		return nil, explain(s.path, "read "+what, err)
	}
	defer func() { _ = rows.Close() }() // what went wrong, rows.Err tells
	var out []string
	for rows.Next() {
		var doc string
		if err := rows.Scan(&doc); err != nil {
			return nil, explain(s.path, "read "+what, err)
		}
		out = append(out, doc)
	}
	if err := rows.Err(); err != nil {
		return nil, explain(s.path, "read "+what, err)
	}
	return out, nil
}

// records decodes every row of docs.
func records[T any](ctx context.Context, s *Store, what, stmt string, args ...any) ([]T, error) {
	docs, err := s.docs(ctx, what, stmt, args...)
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(docs))
	for _, doc := range docs {
		v, err := decode[T](what, doc)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// table is a kind of record that people name by id or by the beginning of one.
type table struct {
	name string // of the table
	what string // for people
}

// byID returns the id and JSON of the record whose id is id, or is the only one that begins with it.
func (s *Store) byID(ctx context.Context, t table, id string) (string, error) {
	if id == "" {
		return "", belay.Errorf(belay.CodeInvalid, "the id of a %s is empty", t.what)
	}
	var doc string
	err := s.r.QueryRowContext(ctx, `SELECT doc FROM `+t.name+` WHERE id = ?`, id).Scan(&doc)
	if err == nil {
		return doc, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return "", explain(s.path, "read "+t.what+" "+id, err)
	}
	const limit = 4 // enough to show that, and between which, it is ambiguous
	ids, err := s.docs(ctx, t.what+" "+id, `SELECT id FROM `+t.name+` WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`,
		id, id+"\U0010FFFF", limit)
	if err != nil {
		return "", err
	}
	switch len(ids) {
	case 0:
		return "", notFound(t.what, id)
	case 1:
		docs, err := s.docs(ctx, t.what+" "+id, `SELECT doc FROM `+t.name+` WHERE id = ?`, ids[0])
		if err != nil || len(docs) == 0 {
			return "", err
		}
		return docs[0], nil
	}
	shown := strings.Join(ids[:min(len(ids), limit-1)], ", ")
	if len(ids) == limit {
		shown += ", ..."
	}
	return "", belay.Errorf(belay.CodeInvalid, "more than one %s begins with %q: %s", t.what, id, shown).
		WithNext("give more of the id")
}
