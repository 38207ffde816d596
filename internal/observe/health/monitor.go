package health

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
)

// Assignment is a check put to one target.
type Assignment struct {
	Check
	Target string
	Arm    belay.Arm
}

func (a Assignment) unknown() belay.HealthStatus {
	return belay.HealthStatus{Check: a.Name, Target: a.Target, Arm: a.Arm, State: belay.HealthUnknown, Detail: "not probed yet"}
}

// Options are what a Monitor needs. The zero value works.
type Options struct {
	Log *slog.Logger          // default: nowhere
	Reg prometheus.Registerer // default: no metrics
	// OnChange is told the key under which a state or a reported release changed. It is called from the loop of
	// that check: it must not block and must not call Stop.
	OnChange func(key string)

	probe func(context.Context, Check, string) Result // tests put a fake here
}

// Monitor probes what it is told to watch, each assignment in a loop of its own: at once, then at the check's
// interval. Start and Stop may be called in any order and any number of times.
type Monitor struct {
	opts   Options
	probes *prometheus.CounterVec

	lifecycle sync.Mutex      // held by Start and Stop throughout, so that a Start waits for a Stop to finish
	mu        sync.Mutex      // guards the rest; never held while probing or calling OnChange
	ctx       context.Context //nolint:containedctx // the owner's own: ends with Stop
	cancel    context.CancelFunc
	watches   map[string][]*loop
	live      map[*loop]struct{} // running, also those that nobody watches any more
}

// loop is one assignment under watch. Its status is guarded by the monitor's mutex.
type loop struct {
	key    string
	a      Assignment
	status belay.HealthStatus
	cancel context.CancelFunc
	done   chan struct{}
}

// NewMonitor returns a monitor that is not started.
func NewMonitor(o Options) *Monitor {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.probe == nil {
		o.probe = Probe
	}
	if o.OnChange == nil {
		o.OnChange = func(string) {}
	}
	m := &Monitor{opts: o, watches: map[string][]*loop{}, live: map[*loop]struct{}{}}
	m.probes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "belay_health_probes_total",
		Help: "Health probes by kind of check and result (passed, failed, blind).",
	}, []string{"kind", "result"})
	if o.Reg != nil {
		o.Reg.MustRegister(m.probes)
	}
	return m
}

// Start begins to probe all that is watched. Starting what is started changes nothing.
func (m *Monitor) Start() {
	m.lifecycle.Lock()
	defer m.lifecycle.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ctx != nil {
		return
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	for _, loops := range m.watches {
		for _, l := range loops {
			// What was known before a stop is old by now.
			l.status = l.a.unknown()
			m.launch(l)
		}
	}
}

// Stop ends all probing and waits for it. The watches stay for the next Start.
func (m *Monitor) Stop() {
	m.lifecycle.Lock()
	defer m.lifecycle.Unlock()
	m.mu.Lock()
	if m.cancel != nil {
		m.cancel()
	}
	m.ctx, m.cancel = nil, nil
	var ending []*loop
	for l := range m.live {
		ending = append(ending, l)
	}
	m.mu.Unlock()
	for _, l := range ending {
		<-l.done
	}
}

// Watch replaces what is watched under key. An assignment that was there before goes on undisturbed, with its
// counts.
func (m *Monitor) Watch(key string, probes []Assignment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.watches[key]
	loops := make([]*loop, 0, len(probes))
	for _, a := range probes {
		a.Check = a.withDefaults()
		l := take(&old, a)
		if l == nil {
			l = &loop{key: key, a: a, status: a.unknown()}
			if m.ctx != nil {
				m.launch(l)
			}
		}
		loops = append(loops, l)
	}
	end(old)
	m.watches[key] = loops
}

// Unwatch forgets key and ends its probing, without waiting for it.
func (m *Monitor) Unwatch(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	end(m.watches[key])
	delete(m.watches, key)
}

// Status returns what is known under key, in the order of Watch; nil for a key that is not watched.
func (m *Monitor) Status(key string) []belay.HealthStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []belay.HealthStatus
	for _, l := range m.watches[key] {
		out = append(out, l.status)
	}
	return out
}

// take removes the loop of an equal assignment from the list and returns it, or nil.
func take(loops *[]*loop, a Assignment) *loop {
	for i, l := range *loops {
		if reflect.DeepEqual(l.a, a) {
			*loops = append((*loops)[:i:i], (*loops)[i+1:]...)
			return l
		}
	}
	return nil
}

func end(loops []*loop) {
	for _, l := range loops {
		if l.cancel != nil {
			l.cancel()
		}
	}
}

// launch starts the loop. The caller holds mu and the monitor is started.
func (m *Monitor) launch(l *loop) {
	ctx, cancel := context.WithCancel(m.ctx)
	done := make(chan struct{})
	l.cancel, l.done = cancel, done
	m.live[l] = struct{}{}
	go func() {
		defer func() {
			m.mu.Lock()
			delete(m.live, l)
			m.mu.Unlock()
			cancel()
			close(done)
		}()
		m.run(ctx, l)
	}()
}

func (m *Monitor) run(ctx context.Context, l *loop) {
	ticker := time.NewTicker(l.a.Interval)
	defer ticker.Stop()
	for {
		r := m.opts.probe(ctx, l.a.Check, l.a.Target)
		if ctx.Err() != nil {
			return // what a cancelled probe says is nobody's fault
		}
		m.note(l, r)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (m *Monitor) note(l *loop, r Result) {
	m.probes.WithLabelValues(string(l.a.Kind), r.word()).Inc()
	m.mu.Lock()
	before := l.status
	l.settle(r, time.Now())
	after := l.status
	m.mu.Unlock()
	if after.State != before.State {
		m.opts.Log.Info("health check changed", "check", after.Check, "target", after.Target, "state", string(after.State), "detail", after.Detail)
	}
	if after.State != before.State || after.Release != before.Release {
		m.opts.OnChange(l.key)
	}
}

func (r Result) word() string {
	switch {
	case r.Blind:
		return "blind"
	case r.OK:
		return "passed"
	}
	return "failed"
}

// settle counts a result in. Rise and fall are counted apart, and the state changes only when one of them is
// full; so a check that flaps keeps its state.
func (l *loop) settle(r Result, now time.Time) {
	s := &l.status
	s.At, s.Latency, s.Detail, s.Broken, s.Release = now, r.Latency, r.Detail, r.Broken, r.Release
	state := s.State
	switch {
	case r.Blind:
		s.Passes, s.Fails, state = 0, 0, belay.HealthUnknown
	case r.OK:
		s.Passes, s.Fails = s.Passes+1, 0
		if s.Passes >= l.a.Rise {
			state = belay.HealthHealthy
		}
	default:
		s.Passes, s.Fails = 0, s.Fails+1
		if s.Fails >= l.a.Fall {
			state = belay.HealthUnhealthy
		}
	}
	if state != s.State || s.Since.IsZero() {
		s.State, s.Since = state, now
	}
}
