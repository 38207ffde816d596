package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	belay "github.com/belaydev/belay"
)

//go:embed migrations/*.sql
var migrations embed.FS

func embedded() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is named in the embed directive above
	}
	return sub
}

// migrate runs the numbered files that the database has not seen, each in one transaction with the record of it.
func migrate(ctx context.Context, db *sql.DB, files fs.FS, path string, now time.Time) error {
	names, err := fs.Glob(files, "*.sql") // sorted
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS belay_schema
		(version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT`); err != nil {
		return err
	}
	var have int
	if err := db.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM belay_schema`).Scan(&have); err != nil {
		return err
	}
	if have > len(names) {
		return belay.Errorf(belay.CodeConflict, "the database %s was written by a newer belay: its schema is %d, this one knows %d", path, have, len(names)).
			WithNext("start that newer belay, or put back the backup made before the upgrade")
	}
	for i, name := range names {
		number, _, _ := strings.Cut(name, "_")
		if v, err := strconv.Atoi(number); err != nil || v != i+1 {
			return fmt.Errorf("migration %s: want the number %04d", name, i+1)
		}
		if i < have {
			continue
		}
		script, err := fs.ReadFile(files, name)
		if err == nil {
			err = apply(ctx, db, migration{i + 1, name, string(script)}, now)
		}
		if err != nil {
			return fmt.Errorf("migrate to schema %d (%s): %w", i+1, name, err)
		}
	}
	return nil
}

type migration struct {
	version      int
	name, script string
}

func apply(ctx context.Context, db *sql.DB, m migration, now time.Time) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after the commit it does nothing
	if _, err := tx.ExecContext(ctx, m.script); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO belay_schema (version, name, applied_at) VALUES (?, ?, ?)`,
		m.version, m.name, nanos(now)); err != nil {
		return err
	}
	return tx.Commit()
}
