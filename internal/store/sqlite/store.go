package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	belay "github.com/belaydev/belay"
)

const (
	driverName  = "sqlite"
	readers     = 4
	engineConns = 4
	busyTimeout = 10 * time.Second
	checkAtMost = 32 << 20 // a larger file is not read through after a crash: at 4 ms a MiB belay would start late
)

// Options of Open. The zero value is good.
type Options struct {
	Logger *slog.Logger     // nil: silent
	Now    func() time.Time // nil: time.Now; for the records that the store makes itself
}

// Store is the state of one belay in one file. Its methods may be called at the same time.
type Store struct {
	path string
	file fs.FileInfo // as it was opened, to notice that somebody replaced it
	opts Options

	w *sql.DB // one connection: SQLite has one writer, and waiting in Go is fairer than in SQLite
	r *sql.DB // a few, read only

	mu       sync.Mutex
	engine   *sql.DB // see DB
	channels map[string][]belay.EventKind
	waiting  map[chan struct{}]struct{}
}

// Open opens the database in the file path, makes it when there is none, and brings its schema up to date.
func Open(ctx context.Context, path string, opts Options) (*Store, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find database %s: %w", path, err)
	}
	crashed, err := prepare(abs)
	if err != nil {
		return nil, explain(abs, "open", err)
	}
	s := &Store{path: abs, opts: opts, waiting: map[chan struct{}]struct{}{}}
	if err := s.open(ctx, crashed); err != nil {
		return nil, errors.Join(explain(abs, "open", err), s.Close())
	}
	return s, nil
}

// prepare makes the folder and the file, readable by their owner alone, and tells whether the last user of the
// database did not close it.
func prepare(path string) (crashed bool, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	wal, err := os.Stat(path + "-wal")
	return err == nil && wal.Size() > 0 && info.Size() <= checkAtMost, nil
}

func (s *Store) open(ctx context.Context, crashed bool) error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	s.file = info
	if s.w, err = connect(s.path, 1, false); err != nil {
		return err
	}
	if s.r, err = connect(s.path, readers, true); err != nil {
		return err
	}
	if crashed {
		if err := quickCheck(ctx, s.w); err != nil {
			return err
		}
	}
	return migrate(ctx, s.w, embedded(), s.path, s.opts.Now())
}

// connect makes a pool whose every connection has our settings.
func connect(path string, conns int, readOnly bool) (*sql.DB, error) {
	q := url.Values{}
	q.Set("_txlock", "immediate") // a transaction that begins as a reader cannot wait for the lock later
	q.Set("_dqs", "0")            // a mistyped column is an error, not a string
	q.Set("_error_rc", "1")
	for _, p := range []string{
		"busy_timeout(" + strconv.FormatInt(busyTimeout.Milliseconds(), 10) + ")",
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
		"recursive_triggers(1)", // so that REPLACE cannot go round the triggers of the timeline
		"cache_size(-8000)",
	} {
		q.Add("_pragma", p)
	}
	if readOnly {
		q.Set("_txlock", "deferred")
		q.Set("_query_only", "1")
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	db, err := sql.Open(driverName, u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

func quickCheck(ctx context.Context, db *sql.DB) error {
	var result string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&result); err != nil {
		return err
	}
	if result != "ok" {
		return &damageError{result}
	}
	return nil
}

// DB returns a pool of its own on the same file, for the workflow engine, which brings its own tables. It is
// closed by Close.
func (s *Store) DB() (*sql.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engine == nil {
		db, err := connect(s.path, engineConns, false)
		if err != nil {
			return nil, explain(s.path, "open", err)
		}
		s.engine = db
	}
	return s.engine, nil
}

// Close ends all use of the file. Calls that come later fail.
func (s *Store) Close() error {
	s.mu.Lock()
	pools := []*sql.DB{s.r, s.engine, s.w} // the writer last: closing it merges the log into the file
	s.mu.Unlock()
	var errs []error
	for _, db := range pools {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close database %s: %w", s.path, err)
	}
	return nil
}

// Health tells whether the database can be read and written now.
func (s *Store) Health(ctx context.Context) error {
	info, err := os.Stat(s.path)
	if err != nil || !os.SameFile(info, s.file) {
		return belay.Errorf(belay.CodeUnavailable, "the database %s was removed or replaced while belay runs", s.path).
			WithNext("put the file back and restart belay")
	}
	var n int
	if err := s.r.QueryRowContext(ctx, `SELECT count(*) FROM retention`).Scan(&n); err != nil {
		return explain(s.path, "read", err)
	}
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return explain(s.path, "write", err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE retention SET one = 1`)
	if err := errors.Join(err, tx.Rollback()); err != nil {
		return explain(s.path, "write", err)
	}
	return nil
}

// Subscribe returns a channel that is woken after each commit of a deployment, rollback, event, stable release or
// quarantine; several commits may wake it once. Cancel ends the subscription.
func (s *Store) Subscribe() (woken <-chan struct{}, cancel func()) {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	s.waiting[ch] = struct{}{}
	s.mu.Unlock()
	return ch, func() {
		s.mu.Lock()
		delete(s.waiting, ch)
		s.mu.Unlock()
	}
}

func (s *Store) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ch := range s.waiting {
		select {
		case ch <- struct{}{}:
		default: // already has a wake-up to read
		}
	}
}

// update runs do in one transaction on the writer and wakes the subscribers after its commit.
func (s *Store) update(ctx context.Context, what string, do func(tx *sql.Tx) error) error {
	if err := s.write(ctx, what, do); err != nil {
		return err
	}
	s.wake()
	return nil
}

// write is update without the wake-up.
func (s *Store) write(ctx context.Context, what string, do func(tx *sql.Tx) error) error {
	tx, err := s.w.BeginTx(ctx, nil)
	if err != nil {
		return explain(s.path, what, err)
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // the first error is the one to tell
		return explain(s.path, what, err)
	}
	if err := tx.Commit(); err != nil {
		return explain(s.path, what, err)
	}
	return nil
}
