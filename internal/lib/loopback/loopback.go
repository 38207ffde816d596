// Package loopback finds free addresses on 127.0.0.1 for servers that tests and benchmarks start as processes of
// their own, and that therefore cannot take port 0 and say later what it became.
//
// An address that was found free can be lost before its server listens: to an outgoing connection, or to another
// test that looks at the same moment. So the ports lie below the range that systems give to outgoing connections,
// and each is reserved for this process with a lock that the kernel releases when the process ends.
package loopback

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/belaydev/belay/internal/lib/flock"
)

// The ports that are given out: above the well-known ones, below the ephemeral range of Linux (32768) and of the
// systems that follow IANA (49152).
const lowest, highest = 12000, 31999

// Reserver gives out addresses. The zero value is ready; it keeps what it reserved until the process ends.
type Reserver struct {
	mu   sync.Mutex
	next int
	held []func() error // the locks; one that is forgotten is released
}

// Reserve returns n free addresses, 127.0.0.1:PORT, that no other caller of any process of this user gets as long
// as this process lives.
func (r *Reserver) Reserve(ctx context.Context, n int) ([]string, error) {
	dir := filepath.Join(os.TempDir(), "belay-ports-"+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("reserve %d ports: %w", n, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == 0 {
		r.next = lowest + rand.IntN(highest-lowest+1) //nolint:gosec // which ports are looked at first is no secret
	}
	var out []string
	for range highest - lowest + 1 {
		if len(out) == n {
			break
		}
		port := r.next
		if r.next++; r.next > highest {
			r.next = lowest
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		lock, err := reserve(ctx, filepath.Join(dir, strconv.Itoa(port)), addr)
		if err != nil {
			return nil, fmt.Errorf("reserve %s: %w", addr, err)
		}
		if lock != nil {
			out, r.held = append(out, addr), append(r.held, lock)
		}
	}
	if len(out) < n {
		return nil, fmt.Errorf("reserve %d ports: only %d between %d and %d are free", n, len(out), lowest, highest)
	}
	return out, nil
}

// reserve takes the lock of an address; nil without an error says that it is in use.
func reserve(ctx context.Context, path, addr string) (func() error, error) {
	release, err := flock.Lock(path)
	if errors.Is(err, flock.ErrHeld) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil { // somebody listens there
		return nil, release()
	}
	return release, ln.Close()
}
