package rollback

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // the workflow engine's own registration

	"github.com/belaydev/belay"
)

// What a stored workflow belongs to. A new version of belay takes over the workflows of the old one as long as
// these stay; whoever changes the order or the names of the recorded operations must change planVersion.
const (
	appName      = "belay-rollback"
	planVersion  = "plan-v1"
	executor     = "local"
	workflowName = "rollback"
)

// openDatabase opens workflows.db. synchronous=FULL: the record of an act must survive a power cut.
func openDatabase(ctx context.Context, dir string) (*sql.DB, error) {
	path := filepath.Join(dir, "workflows.db")
	dsn := (&url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: "_txlock=immediate" +
		"&_pragma=busy_timeout(5000)&_pragma=foreign_keys(ON)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(4)
	_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS belay_aborts (
		rollback TEXT PRIMARY KEY, actor TEXT NOT NULL, at INTEGER NOT NULL) STRICT`)
	if err != nil {
		return nil, errors.Join(belay.Errorf(belay.CodeUnavailable, "open %s: %w", path, err).
			WithNext("let the user who runs belay read and write it; if it is damaged, move it away together with its -wal and -shm files"), db.Close())
	}
	return db, nil
}

// launch starts the workflow engine on db; it resumes what was pending. Nothing of it contacts a network: it has
// no key and no URL of its maker's service.
func (e *Engine) launch(ctx context.Context, db *sql.DB) (dbos.Context, error) {
	c, err := dbos.NewContext(context.WithoutCancel(ctx), dbos.Config{
		AppName: appName, ApplicationVersion: planVersion, ExecutorID: executor,
		SQLiteSystemDB: db, SystemDBStartupTimeout: 20 * time.Second,
		SchedulerPollingInterval: time.Hour, // no schedules
		Logger:                   slog.New(quiet{e.opts.Logger.With("component", "dbos").Handler()}),
	})
	if err != nil {
		return nil, fmt.Errorf("open rollback workflows: %w", err)
	}
	// No limit on recoveries: the plan's budget ends a rollback that keeps crashing.
	dbos.RegisterWorkflow(c, e.workflow, dbos.WithWorkflowName(workflowName), dbos.WithMaxRecoveryAttempts(0))
	if err := dbos.Launch(c); err != nil {
		return nil, fmt.Errorf("start rollback workflows: %w", err)
	}
	return c, nil
}

// abort is a person's wish to stop a rollback.
type abort struct {
	Actor string
	At    time.Time
}

func saveAbort(ctx context.Context, db *sql.DB, id string, a abort) error {
	_, err := db.ExecContext(ctx, `INSERT OR IGNORE INTO belay_aborts (rollback, actor, at) VALUES (?, ?, ?)`, id, a.Actor, a.At.UnixNano())
	if err != nil {
		return fmt.Errorf("store the abort of rollback %s: %w", id, err)
	}
	return nil
}

func loadAbort(ctx context.Context, db *sql.DB, id string) (abort, bool, error) {
	var a abort
	var at int64
	err := db.QueryRowContext(ctx, `SELECT actor, at FROM belay_aborts WHERE rollback = ?`, id).Scan(&a.Actor, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return abort{}, false, nil
	}
	if err != nil {
		return abort{}, false, fmt.Errorf("read the abort of rollback %s: %w", id, err)
	}
	a.At = time.Unix(0, at).UTC()
	return a, true, nil
}

// quiet makes the workflow engine's running commentary debug output: its "info" is about itself.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return q.Handler.Enabled(ctx, lower(l))
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = lower(r.Level)
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(name string) slog.Handler   { return quiet{q.Handler.WithGroup(name)} }

func lower(l slog.Level) slog.Level {
	if l == slog.LevelInfo {
		return slog.LevelDebug
	}
	return l
}
