package sqlite

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	belay "github.com/belaydev/belay"
)

func TestMigrateFailedFileLeavesNothing(t *testing.T) {
	db, err := connect(filepath.Join(t.TempDir(), "x.db"), 1, false)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	good := &fstest.MapFile{Data: []byte(`CREATE TABLE a (x); CREATE TABLE b (x);`)}
	files := fstest.MapFS{"0001_good.sql": good, "0002_bad.sql": {Data: []byte(`CREATE TABLE c (x); CREATE TABLE a (x);`)}}
	err = migrate(t.Context(), db, files, "x.db", time.Unix(1, 0))
	if err == nil || !strings.Contains(err.Error(), "migrate to schema 2 (0002_bad.sql)") {
		t.Fatalf("error %v, want that the second file failed", err)
	}
	tables := func() (names string) {
		err := db.QueryRowContext(t.Context(), `SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name)`).Scan(&names)
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	if got := tables(); got != "a b belay_schema" {
		t.Errorf("tables %q: want those of the first file alone", got)
	}
	// Repaired, it goes on where it stopped and does not run the first again.
	files["0002_bad.sql"] = &fstest.MapFile{Data: []byte(`CREATE TABLE c (x);`)}
	for range 2 {
		if err := migrate(t.Context(), db, files, "x.db", time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if got := tables(); got != "a b belay_schema c" {
		t.Errorf("tables %q", got)
	}
	if err := migrate(t.Context(), db, fstest.MapFS{"0001_good.sql": good}, "x.db", time.Unix(1, 0)); err == nil {
		t.Error("a database with two migrations was accepted by a belay that knows one")
	}
	files["0004_gap.sql"] = good
	if err := migrate(t.Context(), db, files, "x.db", time.Unix(1, 0)); err == nil || !strings.Contains(err.Error(), "want the number 0003") {
		t.Errorf("error %v, want that a number is missing", err)
	}
}

// TestUpgradeFromTheFirstSchema opens a data folder of the belay before anything was learned.
func TestUpgradeFromTheFirstSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "belay.db")
	db, err := connect(path, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	first, err := fs.ReadFile(embedded(), "0001_init.sql")
	if err != nil {
		t.Fatal(err)
	}
	if err := migrate(t.Context(), db, fstest.MapFS{"0001_init.sql": {Data: first}}, path, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO stable_releases (service, environment, deployment, since, doc)
		VALUES ('shop', 'production', '', 1, '{"service":"shop","environment":"production","release":{"version":"1.0"}}')`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and once more
		s, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ref := belay.Ref{Service: "shop", Environment: "production"}
		if r, known, err := s.Stable(t.Context(), ref); err != nil || !known || r.Release.Version != "1.0" {
			t.Errorf("stable release %+v, known %t, error %v", r, known, err)
		}
		if err := s.SetLearned(t.Context(), ref, belay.Learned{Until: time.Unix(1e9, 0), Seconds: 3600}); err != nil {
			t.Errorf("learn: %v", err)
		}
		if l, found, err := s.Learned(t.Context(), ref); err != nil || !found || l.Seconds != 3600 {
			t.Errorf("learned %+v, found %t, error %v", l, found, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
