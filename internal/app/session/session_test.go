package session_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/session"
	"github.com/belaydev/belay/internal/observe/health"
)

func start() time.Time { return time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC) }

// metrics answers with what it was given.
type metrics struct {
	samples []belay.Sample
	sources []belay.SourceStatus
}

func (m *metrics) Collect(context.Context, time.Time) ([]belay.Sample, []belay.SourceStatus) {
	return append([]belay.Sample(nil), m.samples...), append([]belay.SourceStatus(nil), m.sources...)
}

// counter is a proxy's counts.
type counter struct {
	updated chan struct{}
	closed  bool
}

func (c *counter) Collect(_ time.Time, t float64) ([]belay.Sample, belay.SourceStatus) {
	return []belay.Sample{{T: t, Signal: "error_rate", N: 1}}, belay.SourceStatus{Source: "proxy edge", OK: true}
}
func (c *counter) Updated() <-chan struct{} { return c.updated }
func (c *counter) Close()                   { c.closed = true }

func collect(t *testing.T, s *session.Session, at float64) belay.Tick {
	t.Helper()
	tick, err := s.Collect(t.Context(), start().Add(time.Duration(at*float64(time.Second))))
	if err != nil {
		t.Fatal(err)
	}
	return tick
}

func TestTickJoinsTheSources(t *testing.T) {
	m := &metrics{samples: []belay.Sample{{T: 4, Signal: "cpu_usage"}}, sources: []belay.SourceStatus{{Source: "metrics", OK: true}}}
	c := &counter{updated: make(chan struct{})}
	monitor := health.NewMonitor(health.Options{})
	check := health.Check{Name: "web", Kind: health.KindTCP}
	s := session.New(session.Options{Key: "d-1", Start: start(), Metrics: m, Traffic: c, Health: monitor, After: math.Inf(-1),
		Checks: []health.Assignment{{Check: check, Target: "127.0.0.1:1", Arm: belay.ArmCandidate}}})
	tick := collect(t, s, 5)
	if tick.T != 5 || len(tick.Samples) != 2 || len(tick.Sources) != 2 || len(tick.Health) != 1 {
		t.Errorf("tick %+v", tick)
	}
	if s.Updated() != (<-chan struct{})(c.updated) {
		t.Error("news of the proxy are not passed on")
	}
	s.Close()
	if !c.closed || monitor.Status("d-1") != nil {
		t.Error("close leaves something behind")
	}
}

func TestHistoryIsGivenOnce(t *testing.T) {
	history := []belay.Sample{{T: -60, Signal: "error_rate"}, {T: -30, Signal: "error_rate"}}
	known := &belay.Learned{Seconds: 3600}
	s := session.New(session.Options{Start: start(), Health: health.NewMonitor(health.Options{}), After: math.Inf(-1), History: history, Learned: known})
	if tick := collect(t, s, 1); len(tick.Samples) != 2 || tick.Learned != known {
		t.Errorf("first tick has %d samples, want the history, and what was learned before: %+v", len(tick.Samples), tick.Learned)
	}
	if tick := collect(t, s, 2); len(tick.Samples) != 0 || tick.Learned != nil {
		t.Errorf("second tick has the history again: %+v, %+v", tick.Samples, tick.Learned)
	}
}

func TestWhatWasJudgedBeforeARestartIsDropped(t *testing.T) {
	m := &metrics{samples: []belay.Sample{{T: -100}, {T: 3}, {T: 7}, {T: 7.5}, {T: 9}}}
	s := session.New(session.Options{Start: start(), Health: health.NewMonitor(health.Options{}), Metrics: m, After: 7})
	tick := collect(t, s, 10)
	if len(tick.Samples) != 2 || tick.Samples[0].T != 7.5 {
		t.Errorf("samples %+v, want those after 7 s", tick.Samples)
	}
}

func TestTargetThatNeverAnsweredIsNoBlindSpot(t *testing.T) {
	m := &metrics{}
	s := session.New(session.Options{Start: start(), Health: health.NewMonitor(health.Options{}), Metrics: m, After: math.Inf(-1)})
	for i, step := range []struct {
		a, b bool
		want int
	}{
		{false, true, 2}, // a never answered: metrics and b
		{false, false, 2},
		{true, false, 3},
		{false, true, 3}, // a answered once: now it is missed
	} {
		m.sources = []belay.SourceStatus{{Source: "metrics", OK: true}, {Source: "scrape of a:1", OK: step.a}, {Source: "scrape of b:1", OK: step.b}}
		if got := collect(t, s, float64(i)).Sources; len(got) != step.want {
			t.Errorf("step %d: %+v, want %d sources", i, got, step.want)
		}
	}
}

// judge notes what it is told.
type judge struct {
	required []string
	ticks    int
	learned  int // times that it was told what was known before
}

func (j *judge) Observe(t belay.Tick) belay.Card {
	j.ticks++
	if t.Learned != nil {
		j.learned++
	}
	return belay.Card{}
}
func (j *judge) Require(signal string) { j.required = append(j.required, signal) }

func TestTrafficIsRequiredOnceMetricsAreThere(t *testing.T) {
	j := &judge{}
	r := session.Requiring(j, "error_rate")
	r.Observe(belay.Tick{Sources: []belay.SourceStatus{{Source: "metrics", OK: true}, {Source: "scrape of a:1"}}})
	if len(j.required) != 0 {
		t.Error("required although no target could be scraped")
	}
	ok := belay.Tick{Sources: []belay.SourceStatus{{Source: "scrape of a:1", OK: true}}}
	r.Observe(ok)
	r.Observe(ok)
	if len(j.required) != 1 || j.required[0] != "error_rate" || j.ticks != 3 {
		t.Errorf("required %v after %d ticks", j.required, j.ticks)
	}
}

// TestWhatWasLearnedCountsOnce: an observation that is opened anew before a tick could be stored brings it again.
func TestWhatWasLearnedCountsOnce(t *testing.T) {
	for _, ticks := range [][]bool{{true, true}, {false, true}} {
		j := &judge{}
		r := session.Requiring(j, "error_rate")
		for _, with := range ticks {
			var tick belay.Tick
			if with {
				tick.Learned = &belay.Learned{}
			}
			r.Observe(tick)
		}
		if j.learned != 1 {
			t.Errorf("ticks with it %v: the judge was told %d times, want once", ticks, j.learned)
		}
	}
}

// TestWhatIsRememberedCanBeLearnedFrom: each piece of time belongs to one hour.
func TestWhatIsRememberedCanBeLearnedFrom(t *testing.T) {
	h := &session.History{}
	for i := range 140 { // an hour and ten minutes
		h.Add(start().Add(time.Duration(i)*30*time.Second), []belay.Sample{{Signal: "error_rate", Kind: belay.KindEvents, N: 1}})
	}
	hour, n := start().Add(time.Hour), 0.0
	for _, m := range h.Between(start(), hour) {
		if n += m.N; m.T >= 0 || m.T < -3600 || m.Arm != belay.ArmBaseline {
			t.Errorf("not of the hour: %+v", m)
		}
	}
	if n != 120 {
		t.Errorf("the first hour has %v events, want 120", n)
	}
	if rest := h.Between(hour, hour.Add(time.Hour)); len(rest) != 20 {
		t.Errorf("%d samples of the hour after, want 20", len(rest))
	}
	if list := h.Before(hour.Add(10 * time.Minute)); len(list) != 121 {
		t.Errorf("%d samples of the past, want those of the last hour", len(list))
	}
}

func TestHistorySumsUpAndForgets(t *testing.T) {
	h := &session.History{}
	events := func(n, x float64) []belay.Sample {
		return []belay.Sample{
			{Signal: "error_rate", Kind: belay.KindEvents, Arm: belay.ArmCandidate, Stratum: "GET /", N: n, X: x},
			{Signal: "throughput", Kind: belay.KindGauge, Value: n},
			{Signal: "response_time", Kind: belay.KindHistogram, LE: []float64{1, 2}, Count: []float64{n, n}, N: n, Sum: n},
		}
	}
	for i := range 6 { // one piece
		h.Add(start().Add(time.Duration(i)*5*time.Second), events(10, 1))
	}
	h.Add(start().Add(30*time.Second), events(20, 0))
	got := h.Before(start().Add(time.Minute))
	if len(got) != 6 {
		t.Fatalf("%d samples, want 3 for each of 2 pieces", len(got))
	}
	for _, s := range got {
		if s.Arm != belay.ArmBaseline || s.T >= 0 {
			t.Errorf("not the baseline's past: %+v", s)
		}
		if s.T > -30 {
			continue
		}
		switch s.Signal {
		case "error_rate":
			if s.N != 60 || s.X != 6 || s.T != -45 {
				t.Errorf("events are not summed up: %+v", s)
			}
		case "throughput":
			if s.Value != 10 {
				t.Errorf("values are not averaged: %+v", s)
			}
		case "response_time":
			if s.Count[0] != 60 || s.Sum != 60 {
				t.Errorf("histograms are not summed up: %+v", s)
			}
		}
	}
	if list := h.Before(start().Add(10 * time.Second)); len(list) != 3 || list[0].T >= 0 {
		t.Errorf("what came after the beginning is no history: %+v", list)
	}
	for i := range 24 * 60 { // a day
		h.Add(start().Add(time.Duration(i)*time.Minute), events(1, 0))
	}
	if n := len(h.Before(start().Add(48 * time.Hour))); n == 0 || n > 3*122 {
		t.Errorf("%d samples are kept of a day, want those of an hour", n)
	}
	if n := len(h.Before(start())); n != 0 {
		t.Errorf("%d samples from before anything was seen", n)
	}
}
