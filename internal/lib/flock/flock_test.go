package flock_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/belaydev/belay/internal/lib/flock"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	release, err := flock.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	// flock belongs to the open file, so a second open in this process is refused like another process.
	_, err = flock.Lock(path)
	if !errors.Is(err, flock.ErrHeld) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("second lock: %v; want ErrHeld with the process id", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	release, err = flock.Lock(path)
	if err != nil {
		t.Fatalf("lock after release: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
}
