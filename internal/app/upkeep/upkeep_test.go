package upkeep_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belaydev/belay/internal/app/upkeep"
)

type store struct {
	before []time.Time
	err    error
}

func (s *store) Prune(_ context.Context, before time.Time) error {
	s.before = append(s.before, before)
	return s.err
}

func touch(t *testing.T, path string, age time.Duration) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestOnceForgetsWhatIsOld(t *testing.T) {
	dir := t.TempDir()
	old, fresh := filepath.Join(dir, "deploys", "d-1.log"), filepath.Join(dir, "deploys", "d-2.log")
	touch(t, old, 100*24*time.Hour)
	touch(t, fresh, time.Hour)
	s := &store{err: errors.New("busy")} // it does what it can
	u := upkeep.New(upkeep.Options{Store: s, History: func() time.Duration { return 90 * 24 * time.Hour }, Deploys: filepath.Join(dir, "deploys"),
		Steps: filepath.Join(dir, "none"), Log: slog.New(slog.DiscardHandler)})
	u.Once(t.Context())
	if exists(old) || !exists(fresh) {
		t.Errorf("old kept %t, fresh kept %t", exists(old), exists(fresh))
	}
	if len(s.before) != 1 || time.Since(s.before[0]) < 89*24*time.Hour {
		t.Errorf("pruned before %v", s.before)
	}
}

func TestLeftoversGoUnlessHeld(t *testing.T) {
	dir := t.TempDir()
	held, free := filepath.Join(dir, "a.lock"), filepath.Join(dir, "b.lock")
	for _, p := range []string{held, held + ".out", free, free + ".out"} {
		touch(t, p, time.Minute)
	}
	f, err := os.OpenFile(held, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	u := upkeep.New(upkeep.Options{Store: &store{}, Steps: dir, Log: slog.New(slog.DiscardHandler)})
	u.Leftovers()
	if !exists(held) || !exists(held+".out") {
		t.Error("the files of a program that still runs are gone")
	}
	if exists(free) || exists(free+".out") {
		t.Error("files that nobody holds stay")
	}
}

func TestItWorksNowAndThenUntilStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{}
		u := upkeep.New(upkeep.Options{Store: s, History: func() time.Duration { return time.Hour }, Log: slog.New(slog.DiscardHandler)})
		u.Start()
		time.Sleep(3*time.Hour + 2*time.Minute)
		u.Stop()
		if len(s.before) != 4 {
			t.Errorf("it worked %d times in three hours", len(s.before))
		}
		u.Stop()
	})
}
