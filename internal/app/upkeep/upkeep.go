// Package upkeep keeps the data folder small: it prunes what ended long ago and removes files that a crash left
// behind. It is part of the composition root; what may be forgotten, the store knows.
package upkeep

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Store forgets what ended before a moment, except what is still needed.
type Store interface {
	Prune(ctx context.Context, before time.Time) error
}

// Options are the parts of Upkeep. Interval is an hour when zero.
type Options struct {
	Store    Store
	History  func() time.Duration // how long what has ended is kept
	Steps    string               // folder with the locks and outputs of rollback steps
	Deploys  string               // folder with the outputs of deploy commands
	Log      *slog.Logger
	Interval time.Duration
	Now      func() time.Time
}

// Upkeep works now and then until it is stopped.
type Upkeep struct {
	o      Options
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// New returns an Upkeep that does nothing before Start.
func New(o Options) *Upkeep {
	if o.Interval <= 0 {
		o.Interval = time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Upkeep{o: o}
}

// firstAfter lets a start be quick: nothing of this is urgent.
const firstAfter = time.Minute

// Start begins to work in the background.
func (u *Upkeep) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	u.cancel = cancel
	u.wg.Go(func() {
		timer := time.NewTimer(min(firstAfter, u.o.Interval))
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			u.Once(ctx)
			timer.Reset(u.o.Interval)
		}
	})
}

// Stop ends the work and waits.
func (u *Upkeep) Stop() {
	if u.cancel != nil {
		u.cancel()
	}
	u.wg.Wait()
}

// Once forgets what is older than the history that is kept. It only logs what it cannot do: belay can do its work
// with a full folder, and the next time comes.
func (u *Upkeep) Once(ctx context.Context) {
	before := u.o.Now().Add(-u.o.History())
	if err := u.o.Store.Prune(ctx, before); err != nil && ctx.Err() == nil {
		u.o.Log.Warn("old records not pruned", "error", err)
	}
	if err := removeOld(u.o.Deploys, before, func(string) bool { return true }); err != nil {
		u.o.Log.Warn("old outputs not removed", "error", err)
	}
}

// Leftovers removes the locks and outputs that steps of earlier processes left behind and that nobody holds. It
// is called before the rollback engine starts: no step runs, except those of programs that outlived a crash, and
// these hold their locks.
func (u *Upkeep) Leftovers() {
	err := removeOld(u.o.Steps, u.o.Now(), func(path string) bool {
		lock := path
		if filepath.Ext(path) == ".out" {
			lock = path[:len(path)-len(".out")]
		}
		return !held(lock)
	})
	if err != nil {
		u.o.Log.Warn("files of old rollback steps not removed", "error", err)
	}
}

// held tells whether a process holds the lock at path.
func held(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		return true
	}
	defer f.Close() // gives the lock up
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil
}

// removeOld removes the files of dir that were not written since before and that may go.
func removeOld(dir string, before time.Time, may func(path string) bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || !info.ModTime().Before(before) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if may(path) {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
