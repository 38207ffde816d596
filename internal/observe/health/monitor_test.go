package health

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/belaydev/belay"
)

// script answers probes from a string: "+" passes, "-" fails, "?" is blind; the last one repeats.
type script struct {
	mu      sync.Mutex
	answers map[string]string // by target
	count   map[string]int
}

func newScript(answers map[string]string) *script {
	return &script{answers: answers, count: map[string]int{}}
}

func (s *script) probe(_ context.Context, _ Check, target string) Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.answers[target]
	i := min(s.count[target], len(a)-1)
	s.count[target]++
	switch a[i] {
	case '+':
		return Result{OK: true, Detail: "HTTP 200", Release: "1"}
	case '-':
		return Result{Detail: "HTTP 503", Broken: []string{"db"}}
	}
	return Result{Blind: true, Detail: "may not"}
}

func (s *script) probed(target string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[target]
}

func assign(target string, rise, fall int) []Assignment {
	return []Assignment{{Check: Check{Name: "web", Kind: KindHTTP, Interval: time.Second, Rise: rise, Fall: fall}, Target: target, Arm: belay.ArmCandidate}}
}

func TestMonitorCountsRiseAndFallApart(t *testing.T) {
	for _, c := range []struct {
		name, answers string
		rise, fall    int
		states        string // after each probe: u(nknown) h(ealthy) d(own)
	}{
		{"rises", "+++", 3, 2, "uuh"},
		{"falls", "---", 3, 2, "udd"},
		{"first answer counts when rise is one", "+-", 1, 1, "hd"},
		{"flapping keeps its state", "++-+-+-+", 2, 2, "uhhhhhhh"},
		{"falls slower than it rises", "++---+++", 2, 3, "uhhhddhh"},
		{"flapping from the start stays unknown", "+-+-+-", 2, 2, "uuuuuu"},
		{"blind is neither", "++?+-?--", 2, 2, "uhuuuuud"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := NewMonitor(Options{probe: newScript(map[string]string{"a": c.answers}).probe})
				m.Watch("d1", assign("a", c.rise, c.fall))
				m.Start()
				defer m.Stop()
				got := ""
				for range c.answers {
					synctest.Wait()
					switch m.Status("d1")[0].State {
					case belay.HealthUnknown:
						got += "u"
					case belay.HealthHealthy:
						got += "h"
					case belay.HealthUnhealthy:
						got += "d"
					}
					time.Sleep(time.Second)
				}
				if got != c.states {
					t.Errorf("got %s, want %s", got, c.states)
				}
			})
		})
	}
}

func TestMonitorStatusAndChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var changes []string
		reg := prometheus.NewRegistry()
		s := newScript(map[string]string{"a": "+", "b": "-"})
		m := NewMonitor(Options{probe: s.probe, Reg: reg, OnChange: func(key string) {
			mu.Lock()
			defer mu.Unlock()
			changes = append(changes, key)
		}})
		m.Start()
		defer m.Stop()
		began := time.Now()
		m.Watch("d1", assign("a", 1, 1))
		m.Watch("d2", assign("b", 1, 2))
		synctest.Wait()
		if st := m.Status("d1")[0]; st.State != belay.HealthHealthy || !st.At.Equal(began) || st.Passes != 1 || st.Release != "1" || st.Arm != belay.ArmCandidate || st.Target != "a" {
			t.Errorf("the first probe is not at once: %+v", st)
		}
		if st := m.Status("d2")[0]; st.State != belay.HealthUnknown || st.Fails != 1 || st.Detail != "HTTP 503" || st.Broken[0] != "db" {
			t.Errorf("d2: %+v", st)
		}
		time.Sleep(2500 * time.Millisecond)
		st := m.Status("d2")[0]
		if st.State != belay.HealthUnhealthy || !st.Since.Equal(began.Add(time.Second)) || !st.At.Equal(began.Add(2*time.Second)) || st.Fails != 3 {
			t.Errorf("d2 later: %+v", st)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(changes) != 2 || changes[0] != "d1" || changes[1] != "d2" {
			t.Errorf("changes %v; want d1, d2", changes)
		}
		if n := testutil.ToFloat64(m.probes.WithLabelValues("http", "failed")); n != 3 {
			t.Errorf("%v failed probes counted", n)
		}
	})
}

func TestWatchReplacesAndKeepsWhatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(map[string]string{"a": "+", "b": "+", "c": "+"})
		m := NewMonitor(Options{probe: s.probe})
		m.Start()
		defer m.Stop()
		m.Watch("d", append(assign("a", 3, 3), assign("b", 3, 3)...))
		time.Sleep(2500 * time.Millisecond)
		m.Watch("d", append(assign("c", 3, 3), assign("b", 3, 3)...))
		synctest.Wait()
		got := m.Status("d")
		if got[0].Target != "c" || got[0].Passes != 1 || got[1].Target != "b" || got[1].State != belay.HealthHealthy {
			t.Errorf("after the replacement: %+v", got)
		}
		time.Sleep(10 * time.Second)
		if s.probed("a") != 3 {
			t.Errorf("a was probed %d times, though nobody watches it after the third", s.probed("a"))
		}
		m.Unwatch("d")
		synctest.Wait()
		before := s.probed("b")
		time.Sleep(10 * time.Second)
		if m.Status("d") != nil || s.probed("b") != before {
			t.Errorf("still watched: %v, %d probes", m.Status("d"), s.probed("b")-before)
		}
	})
}

func TestStartAndStopInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(map[string]string{"a": "+"})
		m := NewMonitor(Options{probe: s.probe})
		m.Stop()
		m.Watch("d", assign("a", 3, 3))
		m.Start()
		m.Start()
		time.Sleep(2500 * time.Millisecond)
		if st := m.Status("d")[0]; s.probed("a") != 3 || st.State != belay.HealthHealthy {
			t.Errorf("%d probes by two starts: %+v", s.probed("a"), st)
		}
		m.Stop()
		m.Stop()
		time.Sleep(time.Minute)
		if s.probed("a") != 3 {
			t.Errorf("probed after the stop")
		}
		m.Start()
		synctest.Wait()
		if st := m.Status("d")[0]; s.probed("a") != 4 || st.State != belay.HealthUnknown || st.Passes != 1 {
			t.Errorf("old readings outlive a stop: %+v", st)
		}
		m.Stop()
	})
}

func TestStopWaitsForTheProbeUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int32
		m := NewMonitor(Options{probe: func(context.Context, Check, string) Result {
			time.Sleep(2 * time.Second) // a prober that does not hear of the cancellation
			ended.Add(1)
			return Result{OK: true}
		}})
		m.Start()
		m.Watch("d", assign("a", 1, 1))
		m.Watch("gone", assign("b", 1, 1))
		synctest.Wait()
		m.Unwatch("gone")
		m.Stop()
		if ended.Load() != 2 {
			t.Errorf("%d of 2 probes had ended when Stop returned", ended.Load())
		}
		if st := m.Status("d")[0]; st.State != belay.HealthUnknown {
			t.Errorf("a cancelled probe counts: %+v", st)
		}
	})
}

// TestStress holds that no order of calls races, deadlocks or leaves a loop behind (synctest fails on those).
func TestStress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(map[string]string{"a": "+-", "b": "-", "c": "?+"})
		m := NewMonitor(Options{probe: func(ctx context.Context, c Check, target string) Result {
			select {
			case <-time.After(time.Duration(rand.IntN(1500)) * time.Millisecond):
			case <-ctx.Done():
			}
			return s.probe(ctx, c, target)
		}})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 200 {
					time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
					key := string("xyz"[rand.IntN(3)])
					switch rand.IntN(6) {
					case 0:
						m.Start()
					case 1:
						m.Stop()
					case 2:
						m.Unwatch(key)
					case 3:
						_ = m.Status(key)
					default:
						m.Watch(key, append(assign("a", 1, 1), assign(string("bc"[rand.IntN(2)]), 2, 2)...))
					}
				}
			})
		}
		wg.Wait()
		m.Stop()
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.live) != 0 {
			t.Errorf("%d loops outlive the stop", len(m.live))
		}
	})
}
