package notify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	belay "github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/alert/notify"
)

// memory is an outbox without a disk, with the rules of the real one (storetest holds those).
type memory struct {
	mu     sync.Mutex
	rows   []*entry
	events []belay.Event
	wake   []chan struct{}
	broken error // what every call answers with
}

type entry struct {
	belay.Delivery
	next  time.Time
	done  string
	error string
}

func (m *memory) add(channel string, events ...belay.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		m.rows = append(m.rows, &entry{Delivery: belay.Delivery{ID: int64(len(m.rows) + 1), Channel: channel, Event: e, Attempt: 1, Created: e.Time}, next: e.Time})
	}
	for _, ch := range m.wake {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func (m *memory) heads(channel string) (heads []*entry, pending int) {
	seen := map[string]bool{}
	for _, r := range m.rows {
		if r.Channel != channel || r.done != "" {
			continue
		}
		pending++
		if !seen[r.Event.Deployment] {
			heads = append(heads, r)
		}
		seen[r.Event.Deployment] = true
	}
	return heads, pending
}

func (m *memory) NextDeliveries(_ context.Context, channel string, now time.Time, limit int) (out []belay.Delivery, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	heads, _ := m.heads(channel)
	for _, r := range heads {
		if !r.next.After(now) && len(out) < limit {
			out = append(out, r.Delivery)
		}
	}
	return out, m.broken
}

func (m *memory) Backlog(_ context.Context, channel string) (b belay.Backlog, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	heads, pending := m.heads(channel)
	b.Pending = pending
	for _, r := range heads {
		if b.Due.IsZero() || r.next.Before(b.Due) {
			b.Due = r.next
		}
	}
	return b, m.broken
}

func (m *memory) end(id int64, how string, change func(*entry)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	r := m.rows[id-1]
	if r.done != "" {
		return belay.Errorf(belay.CodeNotFound, "no such notification waits")
	}
	r.done = how
	change(r)
	return nil
}

func (m *memory) MarkDelivered(_ context.Context, id int64, _ time.Time) error {
	return m.end(id, "delivered", func(*entry) {})
}

func (m *memory) MarkFailed(_ context.Context, id int64, next time.Time, text string) error {
	return m.end(id, "", func(r *entry) { r.next, r.error = next, text; r.Attempt++ })
}

func (m *memory) GiveUp(_ context.Context, id int64, _ time.Time, text string, e belay.Event) error {
	return m.end(id, "given up", func(r *entry) { r.error = text; m.events = append(m.events, e) })
}

func (m *memory) Subscribe() (<-chan struct{}, func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ch := make(chan struct{}, 1)
	m.wake = append(m.wake, ch)
	return ch, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.wake = slices.DeleteFunc(m.wake, func(c chan struct{}) bool { return c == ch })
	}
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	m.broken = err
	m.mu.Unlock()
}

// receiver is a notifier that keeps what it is told and answers as it is told to.
type receiver struct {
	mu     sync.Mutex
	told   []string // "<event>#<attempt>@<seconds since the start>"
	begin  time.Time
	answer func(ctx context.Context, e belay.Event, attempt int) (bool, error)
}

func (r *receiver) Notify(ctx context.Context, e belay.Event, attempt int) (bool, error) {
	r.mu.Lock()
	r.told = append(r.told, fmt.Sprintf("%s#%d@%g", e.ID, attempt, time.Since(r.begin).Seconds()))
	answer := r.answer
	r.mu.Unlock()
	if answer == nil {
		return false, nil
	}
	return answer(ctx, e, attempt)
}

func (r *receiver) want(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.told, want) {
		t.Errorf("told %v, want %v", r.told, want)
	}
}

type stage struct {
	*notify.Dispatcher
	box *memory
	rcv *receiver
	reg *prometheus.Registry
	log *bytes.Buffer
}

// play runs a test in a bubble with a started dispatcher of one channel, "ops", and no chance in its waits.
func play(t *testing.T, run func(t *testing.T, s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{box: &memory{}, rcv: &receiver{begin: time.Now()}, reg: prometheus.NewRegistry(), log: &bytes.Buffer{}}
		d, err := notify.New(notify.Options{
			Outbox: s.box, Registerer: s.reg, Concurrency: 2, Logger: slog.New(slog.NewTextHandler(s.log, nil)),
			Backoff: notify.Backoff{First: 2 * time.Second, Max: 5 * time.Minute, Chance: func() float64 { return 0 }},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Dispatcher = d
		d.SetChannels(map[string]notify.Notifier{"ops": s.rcv})
		d.Start()
		defer d.Stop()
		run(t, s)
	})
}

func event(id, deployment string) belay.Event {
	return belay.Event{
		ID: id, Time: time.Now(), Deployment: deployment, Ref: belay.Ref{Service: "shop", Environment: "production"},
		Kind: belay.EventState, State: belay.StateRolledBack, Message: "rolled back",
	}
}

// pass lets d go by and waits until everything has settled.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *stage) wantMetrics(t *testing.T, text string) {
	t.Helper()
	if err := testutil.GatherAndCompare(s.reg, strings.NewReader(text), "belay_notifications_total", "belay_notifications_pending"); err != nil {
		t.Error(err)
	}
}

func TestToldAtOnceAndInOrder(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		pass(10 * time.Second)
		s.box.add("ops", event("e1", "d1"), event("e2", "d1"), event("e3", "d1"))
		pass(0)
		s.rcv.want(t, "e1#1@10", "e2#1@10", "e3#1@10")
		s.wantMetrics(t, `
# HELP belay_notifications_pending Events that a channel has yet to be told of.
# TYPE belay_notifications_pending gauge
belay_notifications_pending{channel="ops"} 0
# HELP belay_notifications_total Attempts to tell a channel of an event, by outcome: delivered, retried or given_up.
# TYPE belay_notifications_total counter
belay_notifications_total{channel="ops",outcome="delivered"} 3
belay_notifications_total{channel="ops",outcome="given_up"} 0
belay_notifications_total{channel="ops",outcome="retried"} 0
`)
	})
}

func TestFailureHoldsUpItsOwnDeploymentOnly(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.rcv.answer = func(_ context.Context, e belay.Event, attempt int) (bool, error) {
			if e.ID == "e1" && attempt < 4 {
				return true, errors.New("HTTP 503")
			}
			return false, nil
		}
		s.box.add("ops", event("e1", "d1"), event("e2", "d1"))
		pass(0)
		s.box.add("ops", event("e3", "d2"))
		pass(0)
		s.rcv.want(t, "e1#1@0", "e3#1@0")
		pass(time.Minute) // half of 2, 4 and 8 seconds is certain
		s.rcv.want(t, "e1#1@0", "e3#1@0", "e1#2@1", "e1#3@3", "e1#4@7", "e2#1@7")
		if n := strings.Count(s.log.String(), "notification failed"); n != 1 {
			t.Errorf("%d log lines for one outage, want 1:\n%s", n, s.log)
		}
	})
}

func TestGivesUpWhenItMust(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.rcv.answer = func(_ context.Context, e belay.Event, _ int) (bool, error) {
			if e.ID == "e1" {
				return false, errors.New("HTTP 404")
			}
			return false, nil
		}
		s.box.add("ops", event("e1", "d1"), event("e2", "d1"))
		pass(0)
		s.rcv.want(t, "e1#1@0", "e2#1@0")
		if len(s.box.events) != 1 {
			t.Fatalf("%d events, want 1", len(s.box.events))
		}
		e := s.box.events[0]
		if e.Kind != belay.EventNotify || e.Deployment != "d1" || e.Service != "shop" || e.ID == "" ||
			e.Message != `ops was not told of "rolled back": given up after 1 attempt: HTTP 404` {
			t.Errorf("event %+v", e)
		}
		if !strings.Contains(s.log.String(), "level=ERROR") {
			t.Errorf("nobody is asked to act:\n%s", s.log)
		}
	})
}

func TestGivesUpAfterADay(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.rcv.answer = func(context.Context, belay.Event, int) (bool, error) { return true, errors.New("connection refused") }
		s.box.add("ops", event("e1", "d1"))
		pass(24*time.Hour - time.Second)
		if s.box.rows[0].done != "" {
			t.Fatal("given up before a day had passed")
		}
		pass(time.Second)
		if s.box.rows[0].done != "given up" || len(s.box.events) != 1 {
			t.Fatalf("after a day: %+v", s.box.rows[0])
		}
		last := s.rcv.told[len(s.rcv.told)-1]
		if !strings.HasSuffix(last, "@86400") {
			t.Errorf("the last attempt was %s, want one at the very end", last)
		}
		// 150 s apart at most (half of five minutes), so about 580; a wait that does not grow would make thousands.
		if n := len(s.rcv.told); n < 576 || n > 590 {
			t.Errorf("%d attempts in a day", n)
		}
	})
}

type busyError struct{ after time.Duration }

func (busyError) Error() string               { return "HTTP 429" }
func (b busyError) RetryAfter() time.Duration { return b.after }

func TestReceiverAsksForTime(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.rcv.answer = func(_ context.Context, _ belay.Event, attempt int) (bool, error) {
			switch attempt {
			case 1:
				return true, fmt.Errorf("tell ops: %w", busyError{90 * time.Second})
			case 2:
				return true, busyError{1000 * time.Hour}
			}
			return false, nil
		}
		s.box.add("ops", event("e1", "d1"))
		pass(2 * time.Hour)
		s.rcv.want(t, "e1#1@0", "e1#2@90", "e1#3@3690")
	})
}

func TestHangingReceiverIsBounded(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		release := make(chan struct{})
		s.rcv.answer = func(ctx context.Context, _ belay.Event, _ int) (bool, error) {
			select {
			case <-release:
				return false, nil
			case <-ctx.Done():
				return true, ctx.Err()
			}
		}
		other := &receiver{begin: time.Now()}
		s.SetChannels(map[string]notify.Notifier{"ops": s.rcv, "audit": other})
		s.box.add("ops", event("e1", "d1"), event("e2", "d2"), event("e3", "d3"), event("e4", "d1"))
		s.box.add("audit", event("e1", "d1"))
		pass(10 * time.Second)
		slices.Sort(s.rcv.told)
		s.rcv.want(t, "e1#1@0", "e2#1@0") // two at once, as configured
		other.want(t, "e1#1@0")           // and nobody else waits for them
		close(release)
		pass(0)
		slices.Sort(s.rcv.told)
		s.rcv.want(t, "e1#1@0", "e2#1@0", "e3#1@10", "e4#1@10")
	})
}

// TestHangingDoesNotHideTheNext has one delivery under way for an hour, which is due since the beginning, while
// another must be tried again in a second.
func TestHangingDoesNotHideTheNext(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.rcv.answer = func(ctx context.Context, e belay.Event, attempt int) (bool, error) {
			if e.ID == "e1" {
				<-ctx.Done()
				return true, ctx.Err()
			}
			return true, errors.New("HTTP 503")
		}
		s.box.add("ops", event("e1", "d1"))
		pass(0)
		s.box.add("ops", event("e2", "d2"))
		pass(3500 * time.Millisecond)
		s.rcv.want(t, "e1#1@0", "e2#1@0", "e2#2@1", "e2#3@3")
	})
}

// TestKilled stops between telling and writing it down, which is the moment that no one can avoid: the next start
// tells again, with the same id.
func TestKilled(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.rcv.answer = func(context.Context, belay.Event, int) (bool, error) {
			s.box.fail(errors.New("disk full"))
			return false, nil
		}
		s.box.add("ops", event("e1", "d1"))
		pass(10 * time.Second)
		s.rcv.want(t, "e1#1@0") // it insists on writing and does not tell again meanwhile
		s.Stop()
		s.box.fail(nil)

		d, err := notify.New(notify.Options{Outbox: s.box})
		if err != nil {
			t.Fatal(err)
		}
		s.rcv.answer = nil
		d.SetChannels(map[string]notify.Notifier{"ops": s.rcv})
		d.Start()
		defer d.Stop()
		pass(0)
		s.rcv.want(t, "e1#1@0", "e1#1@10")
		if s.box.rows[0].done != "delivered" {
			t.Errorf("delivery %+v", s.box.rows[0])
		}
	})
}

func TestOutcomeIsWrittenWhenTheOutboxIsBack(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.rcv.answer = func(context.Context, belay.Event, int) (bool, error) {
			s.box.fail(errors.New("disk full"))
			return false, nil
		}
		s.box.add("ops", event("e1", "d1"))
		pass(time.Minute)
		s.box.fail(nil)
		s.rcv.answer = nil
		pass(2 * time.Minute)
		s.rcv.want(t, "e1#1@0")
		if s.box.rows[0].done != "delivered" {
			t.Errorf("delivery %+v", s.box.rows[0])
		}
	})
}

func TestStopCutsOffWithoutCounting(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.rcv.answer = func(ctx context.Context, _ belay.Event, _ int) (bool, error) {
			<-ctx.Done()
			return true, ctx.Err()
		}
		s.box.add("ops", event("e1", "d1"))
		pass(time.Second)
		s.Stop()
		if r := s.box.rows[0]; r.Attempt != 1 || r.done != "" {
			t.Errorf("delivery %+v, want one that was never tried", r)
		}
		s.Start() // a stopped dispatcher stays stopped
		s.box.add("ops", event("e2", "d2"))
		pass(time.Hour)
		s.rcv.want(t, "e1#1@0")
	})
}

func TestStartStopInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			d, err := notify.New(notify.Options{Outbox: &memory{}})
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for _, do := range []func(){
				d.Start, d.Stop, d.Start, d.Stop,
				func() { d.SetChannels(map[string]notify.Notifier{"a": &receiver{}, "b": &receiver{}}) },
			} {
				wg.Go(do)
			}
			wg.Wait()
			d.Stop() // a worker left behind would fail the bubble
		}
	})
}

func TestSetChannelsDropsWhatIsGone(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.rcv.answer = func(context.Context, belay.Event, int) (bool, error) { return true, errors.New("no") }
		s.box.add("ops", event("e1", "d1"))
		pass(0)
		s.SetChannels(nil)
		pass(time.Hour)
		s.rcv.want(t, "e1#1@0")
		s.wantMetrics(t, `
# HELP belay_notifications_total Attempts to tell a channel of an event, by outcome: delivered, retried or given_up.
# TYPE belay_notifications_total counter
belay_notifications_total{channel="ops",outcome="delivered"} 0
belay_notifications_total{channel="ops",outcome="given_up"} 0
belay_notifications_total{channel="ops",outcome="retried"} 1
`)
		s.rcv.answer = nil
		s.SetChannels(map[string]notify.Notifier{"ops": s.rcv})
		pass(0)
		s.rcv.want(t, "e1#1@0", "e1#2@3600")
	})
}

func TestBackoff(t *testing.T) {
	b := notify.Backoff{First: time.Second, Max: time.Minute}
	for _, c := range []struct {
		attempt   int
		low, high time.Duration
	}{
		{1, 500 * time.Millisecond, time.Second},
		{2, time.Second, 2 * time.Second},
		{6, 16 * time.Second, 32 * time.Second},
		{7, 30 * time.Second, time.Minute},
		{1000, 30 * time.Second, time.Minute},
	} {
		b.Chance = func() float64 { return 0 }
		if got := b.After(c.attempt); got != c.low {
			t.Errorf("attempt %d: shortest wait %s, want %s", c.attempt, got, c.low)
		}
		b.Chance = func() float64 { return 0.999999 }
		if got := b.After(c.attempt).Round(time.Millisecond); got != c.high {
			t.Errorf("attempt %d: longest wait %s, want %s", c.attempt, got, c.high)
		}
	}
}
