package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/belaydev/belay"
)

// lock is held by the runs of one step. The program inherits it: when belay is killed and started again while
// the program still runs, the lock says so.
type lock struct {
	path string
	file *os.File
}

const lockPoll = 50 * time.Millisecond

// lock waits until no other run of the step is under way.
func (d *Driver) lock(ctx context.Context, a belay.Action) (*lock, error) {
	if err := os.MkdirAll(d.opts.Locks, 0o700); err != nil {
		return nil, fmt.Errorf("lock step %s: %w", a.Key, err)
	}
	sum := sha256.Sum256([]byte(a.Key))
	path := filepath.Join(d.opts.Locks, hex.EncodeToString(sum[:12])+".lock")
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("lock step %s: %w", a.Key, err)
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil || errors.Is(err, syscall.EWOULDBLOCK) && abandoned(path) {
			return &lock{path: path, file: f}, nil
		}
		f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock step %s: %w", a.Key, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("run %s: an earlier run of this step has not ended: %w", a.Target, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// abandoned tells whether the program that was given the lock has ended and what it left behind (a server, say)
// holds it.
func abandoned(path string) bool {
	b, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	return err == nil && pid > 0 && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// note writes which process the lock is held for. Without it (belay was killed in this very moment) a later run
// waits until all that the program started has ended.
func (l *lock) note(pid int) {
	if err := l.file.Truncate(0); err == nil {
		_, _ = l.file.WriteAt([]byte(strconv.Itoa(pid)+"\n"), 0)
	}
}

// release gives the lock up, also where something that the program left behind has inherited it. Only one belay
// works in a data folder and runs a step once at a time, so nobody waits for the file that is removed.
func (l *lock) release() {
	_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN) // closing does it too, unless it was inherited
	_ = os.Remove(l.path)                                // a file that stays is no more than untidy
	l.file.Close()
}
