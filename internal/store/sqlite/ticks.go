package sqlite

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	belay "github.com/belaydev/belay"
)

// blockTicks is how many ticks are packed together. One tick compresses badly and a hundred compress thirty-fold,
// because they say nearly the same. One of bigTick bytes, which may bring days of history along, is packed at once.
const blockTicks, bigTick = 60, 64 << 10

// AppendTick adds one look to the evidence of a deployment. Ticks come in the order of T; one that is not later
// than the newest stored is there already and is left out, so that a caller may repeat itself after a crash.
func (s *Store) AppendTick(ctx context.Context, deployment string, tick belay.Tick) error {
	doc, err := json.Marshal(tick)
	if err != nil {
		return belay.Errorf(belay.CodeInvalid, "store tick %g of deployment %s: %w", tick.T, deployment, err)
	}
	err = s.write(ctx, "store tick of deployment "+deployment, func(tx *sql.Tx) error {
		var (
			newest sql.NullFloat64
			loose  int
		)
		// A row that is not packed yet is always newer than any block.
		err := tx.QueryRowContext(ctx, `
			SELECT coalesce(max(t), (SELECT max(last_t) FROM tick_blocks WHERE deployment = ?1)), count(*)
			FROM ticks WHERE deployment = ?1`, deployment).Scan(&newest, &loose)
		if err != nil {
			return err
		}
		if newest.Valid && tick.T <= newest.Float64 {
			return nil
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO ticks (deployment, t, doc) VALUES (?, ?, ?)`, deployment, tick.T, doc); err != nil {
			return err
		}
		if loose+1 < blockTicks && len(doc) < bigTick {
			return nil
		}
		return packTicks(ctx, tx, deployment)
	})
	if e, ok := errors.AsType[*driver.Error](err); ok && e.Code() == lib.SQLITE_CONSTRAINT_FOREIGNKEY {
		return notFound("deployment", deployment)
	}
	return err
}

// packTicks moves the loose ticks of a deployment into one compressed block.
func packTicks(ctx context.Context, tx *sql.Tx, deployment string) error {
	loose, err := looseTicks(ctx, tx, deployment)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	for _, l := range loose {
		if _, err := z.Write(append(l.doc, '\n')); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	first, last := loose[0].t, loose[len(loose)-1].t
	if _, err := tx.ExecContext(ctx, `INSERT INTO tick_blocks (deployment, last_t, first_t, n, doc) VALUES (?, ?, ?, ?, ?)`,
		deployment, last, first, len(loose), buf.Bytes()); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM ticks WHERE deployment = ?`, deployment)
	return err
}

type looseTick struct {
	t   float64
	doc []byte
}

func looseTicks(ctx context.Context, tx *sql.Tx, deployment string) ([]looseTick, error) {
	rows, err := tx.QueryContext(ctx, `SELECT t, doc FROM ticks WHERE deployment = ? ORDER BY t`, deployment)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what went wrong, rows.Err tells
	var out []looseTick
	for rows.Next() {
		var l looseTick
		if err := rows.Scan(&l.t, &l.doc); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, rows.Err()
}

// Ticks returns the evidence of a deployment from fromT on, oldest first.
func (s *Store) Ticks(ctx context.Context, deployment string, fromT float64) ([]belay.Tick, error) {
	what := "read ticks of deployment " + deployment
	// One transaction: between two reads a tick could move from the rows to a block.
	tx, err := s.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, explain(s.path, what, err)
	}
	defer func() { _ = tx.Rollback() }() // it only read
	out, err := packedTicks(ctx, tx, deployment, fromT)
	if err != nil {
		return nil, explain(s.path, what, err)
	}
	loose, err := looseTicks(ctx, tx, deployment)
	if err != nil {
		return nil, explain(s.path, what, err)
	}
	for _, l := range loose {
		if l.t < fromT {
			continue
		}
		var t belay.Tick
		if err := json.Unmarshal(l.doc, &t); err != nil {
			return nil, fmt.Errorf("%s: tick %g: %w", what, l.t, err)
		}
		out = append(out, t)
	}
	return out, nil
}

func packedTicks(ctx context.Context, tx *sql.Tx, deployment string, fromT float64) ([]belay.Tick, error) {
	rows, err := tx.QueryContext(ctx, `SELECT n, doc FROM tick_blocks WHERE deployment = ? AND last_t >= ? ORDER BY last_t`, deployment, fromT)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what went wrong, rows.Err tells
	var out []belay.Tick
	for rows.Next() {
		var (
			n   int
			doc []byte
		)
		if err := rows.Scan(&n, &doc); err != nil {
			return nil, err
		}
		ticks, err := unpack(doc)
		if err != nil {
			return nil, err
		}
		if len(ticks) != n {
			return nil, fmt.Errorf("a block holds %d ticks, want %d", len(ticks), n)
		}
		for _, t := range ticks {
			if t.T >= fromT {
				out = append(out, t)
			}
		}
	}
	return out, rows.Err()
}

func unpack(doc []byte) ([]belay.Tick, error) {
	z, err := gzip.NewReader(bytes.NewReader(doc))
	if err != nil {
		return nil, err
	}
	var out []belay.Tick
	for dec := json.NewDecoder(z); ; {
		var t belay.Tick
		if err := dec.Decode(&t); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
}
