// Package traffic reads the counts that a belay proxy streams and turns them into samples, so that judging does not
// wait for a scrape. It knows slots and releases, not deployments; what the counts mean is for package judge.
package traffic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 3 * time.Second
	// silence is how long the newest line may be old. The proxy sends one each second at least.
	silence = 3 * time.Second
)

// Client is what this package needs of a proxy.
type Client interface {
	Name() string
	// Stream calls fn with each snapshot until the context or the stream ends; it always returns an error.
	Stream(ctx context.Context, fn func(proxyclient.Snapshot)) error
}

// Source keeps the counts of one proxy. It may be used from several goroutines.
type Source struct {
	client Client
	log    *slog.Logger

	life    sync.Mutex
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	totals   totals
	at       time.Time // of the newest line, by this machine's clock
	since    time.Time // not reachable from then on; zero while it is
	why      error
	sessions map[*Session]struct{}
}

// New makes a source of a proxy's counts. It reads nothing until it is started.
func New(client Client, logger *slog.Logger) *Source {
	return &Source{
		client: client, log: logger.With("proxy", client.Name()),
		since: time.Now(), why: errors.New("not connected yet"), sessions: map[*Session]struct{}{},
	}
}

// Start begins to read, and to connect again whenever the stream ends. A second start does nothing.
func (s *Source) Start(context.Context) error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.cancel != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.running.Go(func() { s.follow(ctx) })
	return nil
}

// Stop ends reading for good. Stopping twice, or before a start, is safe.
func (s *Source) Stop(context.Context) error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.cancel == nil {
		s.cancel = func() {}
	}
	s.cancel()
	s.running.Wait()
	return nil
}

func (s *Source) follow(ctx context.Context) {
	backoff := firstBackoff
	for {
		err := s.client.Stream(ctx, func(v proxyclient.Snapshot) {
			backoff = firstBackoff
			s.take(v, time.Now())
		})
		if ctx.Err() != nil {
			return
		}
		s.lost(err, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// take adds a line.
func (s *Source) take(v proxyclient.Snapshot, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.since.IsZero() {
		s.log.Info("proxy counts connected", "boot_id", v.BootID)
	}
	s.at, s.since, s.why = now, time.Time{}, nil
	if v.Heartbeat {
		return
	}
	s.totals.add(v)
	s.notify()
}

// lost notes the end of a stream. It is logged once, not per attempt.
func (s *Source) lost(err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since = now
		s.log.Warn("proxy counts lost", "error", err)
	}
	s.why = err
	s.notify() // that nothing is seen any more is news too
}

func (s *Source) notify() {
	for v := range s.sessions {
		select {
		case v.updated <- struct{}{}:
		default: // it has not looked since the last one
		}
	}
}

// status says whether counts can be read. The lock is held.
func (s *Source) status(now time.Time) belay.SourceStatus {
	name := "proxy " + s.client.Name()
	switch {
	case !s.since.IsZero():
		return belay.SourceStatus{Source: name, Detail: fmt.Sprintf("no counts since %s: %v", s.since.UTC().Format(time.TimeOnly+" UTC"), s.why)}
	case now.Sub(s.at) > silence:
		return belay.SourceStatus{Source: name, Detail: fmt.Sprintf("no counts since %s: the connection is silent", s.at.UTC().Format(time.TimeOnly+" UTC"))}
	}
	return belay.SourceStatus{Source: name, OK: true}
}

// Status says whether counts can be read.
func (s *Source) Status(now time.Time) belay.SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status(now)
}

// key names a counter.
type key struct{ slot, release, stratum string }

// totals are counters that go on growing when the proxy restarts and its own begin at zero again.
type totals struct {
	boot string
	le   []float64
	base map[key]proxyclient.Counter // of earlier boots
	now  map[key]proxyclient.Counter // base and the newest line; nil before the first line
	line []proxyclient.Counter       // the newest one
}

func (t *totals) add(v proxyclient.Snapshot) {
	if v.BootID != t.boot {
		// What the last line no longer had is of releases long gone: it is let go with the boot.
		base := make(map[key]proxyclient.Counter, len(t.line))
		for _, c := range t.line {
			k := key{c.Slot, c.Release, c.Stratum}
			base[k] = t.now[k]
		}
		t.boot, t.base = v.BootID, base
	}
	t.le, t.line = v.LE, v.Counters
	next := make(map[key]proxyclient.Counter, len(v.Counters))
	for k, c := range t.base {
		next[k] = c
	}
	for _, c := range v.Counters {
		k := key{c.Slot, c.Release, c.Stratum}
		next[k] = plus(t.base[k], c, 1)
	}
	t.now = next
}

// plus returns a + sign*b. A count never goes below zero: a counter that the proxy has forgotten and begun anew
// says nothing rather than something wrong.
func plus(a, b proxyclient.Counter, sign int) proxyclient.Counter {
	out := b
	for i := range out.Classes {
		out.Classes[i] = sum(a.Classes[i], b.Classes[i], sign)
	}
	out.Cancelled = sum(a.Cancelled, b.Cancelled, sign)
	out.Refused = sum(a.Refused, b.Refused, sign)
	out.Broken = sum(a.Broken, b.Broken, sign)
	out.Timeout = sum(a.Timeout, b.Timeout, sign)
	out.First = plusHistogram(a.First, b.First, sign)
	out.Full = plusHistogram(a.Full, b.Full, sign)
	return out
}

func plusHistogram(a, b proxyclient.Histogram, sign int) proxyclient.Histogram {
	n := max(len(a.Counts), len(b.Counts))
	out := proxyclient.Histogram{Counts: make([]uint64, n), Sum: max(0, a.Sum+float64(sign)*b.Sum)}
	for i := range n {
		out.Counts[i] = sum(at(a.Counts, i), at(b.Counts, i), sign)
	}
	return out
}

func at(v []uint64, i int) uint64 {
	if i < len(v) {
		return v[i]
	}
	return 0
}

func sum(a, b uint64, sign int) uint64 {
	switch {
	case sign > 0:
		return a + b
	case a < b:
		return 0
	}
	return a - b
}
