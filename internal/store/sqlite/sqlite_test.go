package sqlite_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	belay "github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/store/sqlite"
	"github.com/belaydev/belay/internal/store/storetest"
)

func open(t testing.TB, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "belay.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t testing.TB, dir string) storetest.Store { return open(t, dir) })
}

// sqlOf gives the tests a way to do what belay itself never does.
func sqlOf(t *testing.T, s *sqlite.Store) *sql.DB {
	t.Helper()
	db, err := s.DB()
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestTimelineIsAppendOnly(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	e := belay.Event{ID: "e-1", Time: time.Unix(1e9, 0), Kind: belay.EventState, Message: "as it was"}
	if err := s.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for _, stmt := range []string{
		`UPDATE events SET doc = '{}'`,
		`DELETE FROM events`,
		`REPLACE INTO events (seq, id, time, service, environment, deployment, rollback, kind, doc) VALUES (1, 'x', 0, '', '', '', '', '', '{}')`,
		`INSERT OR REPLACE INTO events (id, time, service, environment, deployment, rollback, kind, doc) VALUES ('e-1', 0, '', '', '', '', '', '{}')`,
	} {
		if _, err := sqlOf(t, s).ExecContext(t.Context(), stmt); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: error %v, want the refusal of the trigger", stmt, err)
		}
	}
	if err := s.Prune(t.Context(), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlOf(t, s).ExecContext(t.Context(), `DELETE FROM events`); err == nil {
		t.Error("retention left the door open")
	}
	got, err := s.Events(t.Context(), belay.EventFilter{})
	if err != nil || len(got) != 1 || got[0].Message != "as it was" {
		t.Errorf("events %+v, error %v", got, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	newer := func(t *testing.T, path string) {
		s := open(t, filepath.Dir(path))
		if _, err := sqlOf(t, s).ExecContext(t.Context(), `INSERT INTO belay_schema VALUES (99, 'from the future', 0)`); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write := func(data string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, path string)
		code belay.Code
		says []string
	}{
		"newer schema":   {newer, belay.CodeConflict, []string{"newer belay", "schema is 99", "backup"}},
		"not a database": {write(strings.Repeat("this is a text\n", 400)), belay.CodeUnavailable, []string{"damaged or is no database", "move it away", "-wal"}},
		"damaged pages":  {damaged, belay.CodeUnavailable, []string{"damaged", "move it away", "backup"}},
		"a folder": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, belay.CodeInternal, []string{"is a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "belay.db")
			c.make(t, path)
			s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if belay.CodeOf(err) != c.code {
				t.Errorf("code %q, want %q", belay.CodeOf(err), c.code)
			}
			for _, words := range append(c.says, path) {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("the error does not say %q:\n%v", words, err)
				}
			}
		})
	}
}

// damaged makes a database whose last pages, which opening alone does not read, are noise, and leaves a log as
// after a crash.
func damaged(t *testing.T, path string) {
	s := open(t, filepath.Dir(path))
	for i := range 50 {
		e := belay.Event{ID: strings.Repeat("x", i+1), Time: time.Unix(1e9, 0), Kind: belay.EventState, Message: strings.Repeat("m", 500)}
		if err := s.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, 16384), info.Size()-16384); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"-wal", []byte("left by a crash"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestHealthNoticesReplacedFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	if err := s.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "belay.db")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := s.Health(t.Context()); belay.CodeOf(err) != belay.CodeUnavailable {
		t.Errorf("error %v, want unavailable", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Health(t.Context()); err == nil || !strings.Contains(err.Error(), "replaced") {
		t.Errorf("error %v, want that it was replaced", err)
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	s := open(t, dir)
	defer s.Close()
	if err := s.Append(t.Context(), belay.Event{ID: "e", Time: time.Unix(1, 0), Kind: belay.EventState}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"belay.db", "belay.db-wal", "belay.db-shm"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", name, info.Mode().Perm())
		}
	}
}

// TestEngineShares writes through the pool of the workflow engine and through the store at once: neither may see
// "database is locked".
func TestEngineShares(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	db := sqlOf(t, s)
	if again := sqlOf(t, s); again != db {
		t.Error("DB makes a pool each time")
	}
	if _, err := db.ExecContext(t.Context(), `CREATE TABLE steps (id INTEGER PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	var level int
	if err := db.QueryRowContext(t.Context(), `PRAGMA synchronous`).Scan(&level); err != nil || level != 2 {
		t.Errorf("synchronous is %d, want 2 (FULL); error %v", level, err)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 50 {
				tx, err := db.BeginTx(t.Context(), nil)
				if err == nil {
					_, err = tx.ExecContext(t.Context(), `INSERT INTO steps DEFAULT VALUES`)
				}
				if err == nil {
					err = tx.Commit()
				}
				if err != nil {
					t.Errorf("engine: %v", err)
					return
				}
			}
		})
	}
	for i := range 100 {
		e := belay.Event{ID: strings.Repeat("x", i+1), Time: time.Unix(1e9, 0), Kind: belay.EventState}
		if err := s.Append(t.Context(), e); err != nil {
			t.Errorf("store: %v", err)
		}
	}
	wg.Wait()
}

// TestEvidenceStaysSmall stores the whole watch of a busy service, 40 minutes at one tick a second.
func TestEvidenceStaysSmall(t *testing.T) {
	const minutes, limit = 40, 2 << 20
	s := open(t, t.TempDir())
	defer s.Close()
	size, raw := fillTicks(t, s, minutes*60/10) // a tenth of it: the blocks are all alike
	if size*10 > limit {
		t.Errorf("40 minutes of evidence take %d KiB (%d KiB as JSON), want at most %d", size*10>>10, raw*10>>10, limit>>10)
	}
}

func fillTicks(t testing.TB, s *sqlite.Store, n int) (stored, raw int) {
	t.Helper()
	if err := s.SaveDeployment(t.Context(), belay.Deployment{ID: "d-1"}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		tick := storetest.Tick(i)
		b, err := json.Marshal(tick)
		if err != nil {
			t.Fatal(err)
		}
		raw += len(b)
		if err := s.AppendTick(t.Context(), "d-1", tick); err != nil {
			t.Fatal(err)
		}
	}
	db, err := s.DB()
	if err != nil {
		t.Fatal(err)
	}
	err = db.QueryRowContext(t.Context(), `SELECT (SELECT coalesce(sum(length(doc)), 0) FROM ticks) + (SELECT coalesce(sum(length(doc)), 0) FROM tick_blocks)`).Scan(&stored)
	if err != nil {
		t.Fatal(err)
	}
	return stored, raw
}

// A tick that brings days of history along is stored compressed, at once, and read like any other.
func TestABigTickIsStoredSmall(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	fillTicks(t, s, 3)
	big := belay.Tick{T: 1e6}
	for i := range 20000 {
		big.Samples = append(big.Samples, belay.Sample{T: float64(i-20000) * 60, Signal: "error_rate", Kind: belay.KindEvents, Arm: belay.ArmBaseline, Instance: belay.AllInstances, N: float64(1000 + i%17), X: float64(i % 5)})
	}
	for _, tick := range []belay.Tick{big, {T: 2e6}} {
		if err := s.AppendTick(t.Context(), "d-1", tick); err != nil {
			t.Fatal(err)
		}
	}
	db, err := s.DB()
	if err != nil {
		t.Fatal(err)
	}
	var loose, packed, bytes int
	err = db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM ticks), (SELECT sum(n) FROM tick_blocks), (SELECT sum(length(doc)) FROM tick_blocks)`).Scan(&loose, &packed, &bytes)
	if err != nil || loose != 1 || packed != 4 || bytes > 300<<10 {
		t.Errorf("%d ticks loose, %d packed into %d bytes, %v", loose, packed, bytes, err)
	}
	got, err := s.Ticks(t.Context(), "d-1", 1e6)
	if err != nil || len(got) != 2 || len(got[0].Samples) != 20000 || got[1].T != 2e6 {
		t.Errorf("%d ticks, %v", len(got), err)
	}
}

func BenchmarkSaveDeployment(b *testing.B) {
	s := open(b, b.TempDir())
	defer s.Close()
	s.SetChannels(map[string][]belay.EventKind{"ops": {belay.EventState}})
	d := belay.Deployment{ID: "d-1", Ref: belay.Ref{Service: "shop", Environment: "production"}, State: belay.StateWatching, CreatedAt: time.Unix(1e9, 0)}
	for i := 0; b.Loop(); i++ {
		e := belay.Event{ID: "e-" + strconv.Itoa(i), Time: time.Unix(1e9, 0), Ref: d.Ref, Deployment: d.ID, Kind: belay.EventState, Message: "watching"}
		if err := s.SaveDeployment(b.Context(), d, e); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "saves/s")
}

func BenchmarkAppendTick(b *testing.B) {
	s := open(b, b.TempDir())
	defer s.Close()
	if err := s.SaveDeployment(b.Context(), belay.Deployment{ID: "d-1"}); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if err := s.AppendTick(b.Context(), "d-1", storetest.Tick(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEvidence stores and reads back 40 minutes of a busy service at one tick a second.
func BenchmarkEvidence(b *testing.B) {
	s := open(b, b.TempDir())
	defer s.Close()
	stored, raw := fillTicks(b, s, 2400)
	for b.Loop() {
		ticks, err := s.Ticks(b.Context(), "d-1", 0)
		if err != nil || len(ticks) != 2400 {
			b.Fatal(len(ticks), err)
		}
	}
	b.ReportMetric(float64(stored)/1024, "KiB-stored")
	b.ReportMetric(float64(raw)/1024, "KiB-JSON")
}

func BenchmarkEvents100k(b *testing.B) {
	s := open(b, b.TempDir())
	defer s.Close()
	const total, batch, perDeployment = 100_000, 1000, 100
	for at := 0; at < total; at += batch {
		list := make([]belay.Event, batch)
		for i := range list {
			n := at + i
			list[i] = belay.Event{
				ID: "e-" + strconv.Itoa(n), Time: time.Unix(1e9, int64(n)), Ref: belay.Ref{Service: "shop", Environment: "production"},
				Deployment: "d-" + strconv.Itoa(n/perDeployment), Actor: "belay", Kind: belay.EventState, Message: "watching: health proven on 3 of 3 targets",
			}
		}
		if err := s.Append(b.Context(), list...); err != nil {
			b.Fatal(err)
		}
	}
	for name, f := range map[string]belay.EventFilter{
		"deployment":     {Deployment: "d-500"},
		"page_after":     {After: "e-50000", Limit: 100},
		"service_page":   {Service: "shop", Environment: "production", After: "e-90000", Limit: 100},
		"all":            {},
		"kind_not_there": {Kinds: []belay.EventKind{belay.EventProof}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Events(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	open(b, dir).Close()
	for b.Loop() {
		open(b, dir).Close()
	}
}
