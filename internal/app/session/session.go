// Package session joins the sources of facts about one deployment, metrics, the proxy's counts and health checks,
// into ticks. It is part of the composition root: the stages it joins do not know each other. It judges nothing.
package session

import (
	"context"
	"slices"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/health"
)

// Sampler turns what a metrics source holds into the samples of one tick.
type Sampler interface {
	Collect(ctx context.Context, now time.Time) ([]belay.Sample, []belay.SourceStatus)
}

// Counter turns what a proxy counted since the last call into samples of the tick at t seconds.
type Counter interface {
	Collect(now time.Time, t float64) ([]belay.Sample, belay.SourceStatus)
	Updated() <-chan struct{} // receives when something was counted
	Close()
}

// Options are the sources of a Session. Metrics and Traffic may be nil.
type Options struct {
	Key     string    // names the health checks' watch in the monitor
	Start   time.Time // T counts from here
	Metrics Sampler
	Traffic Counter
	Health  *health.Monitor
	Checks  []health.Assignment
	// History are samples from before the deployment, with negative T, given out with the first tick.
	History []belay.Sample
	// Days gives what was seen in the days before the deployment, with negative T, once it was read; nil before and after.
	// It is given out with the tick at which it is there. Nil: nothing is read.
	Days func() []belay.Sample
	// Learned is what is known of the time before that history, given out with the first tick too. Nil: nothing.
	Learned *belay.Learned
	// After drops samples that are not newer: after a restart they were judged already. -Inf drops none.
	After float64
}

// Session observes one deployment. Its methods are called by one goroutine at a time.
type Session struct {
	o    Options
	seen map[string]bool // metrics sources that could be read at least once
}

// New begins to observe: the health checks are probed from now on.
func New(o Options) *Session {
	o.Health.Watch(o.Key, o.Checks)
	return &Session{o: o, seen: map[string]bool{}}
}

// Collect gathers one tick.
func (s *Session) Collect(ctx context.Context, now time.Time) (belay.Tick, error) {
	t := belay.Tick{T: now.Sub(s.o.Start).Seconds(), Learned: s.o.Learned}
	if s.o.Days != nil {
		t.Samples = s.o.Days()
	}
	t.Samples = append(t.Samples, s.o.History...)
	s.o.History, s.o.Learned = nil, nil
	if s.o.Traffic != nil {
		samples, source := s.o.Traffic.Collect(now, t.T)
		t.Samples = append(t.Samples, samples...)
		t.Sources = append(t.Sources, source)
	}
	if s.o.Metrics != nil {
		samples, sources := s.o.Metrics.Collect(ctx, now)
		samples = slices.DeleteFunc(samples, func(m belay.Sample) bool { return m.T <= s.o.After })
		t.Samples = append(t.Samples, samples...)
		t.Sources = append(t.Sources, s.believed(sources)...)
	}
	t.Health = s.o.Health.Status(s.o.Key)
	return t, nil
}

// scraped is the beginning of the names of sources that are single targets, as kpi gives them.
const scraped = "scrape of "

// believed drops targets that could never be scraped: an application without metrics is not a blind spot that
// opened, and what is missing is said by the signals themselves. One that could be read and no longer can, is.
func (s *Session) believed(sources []belay.SourceStatus) []belay.SourceStatus {
	out := sources[:0]
	for _, src := range sources {
		isTarget := len(src.Source) > len(scraped) && src.Source[:len(scraped)] == scraped
		if src.OK {
			s.seen[src.Source] = true
		}
		if !isTarget || s.seen[src.Source] {
			out = append(out, src)
		}
	}
	return out
}

// Updated receives when the proxy counted something new.
func (s *Session) Updated() <-chan struct{} {
	if s.o.Traffic == nil {
		return nil
	}
	return s.o.Traffic.Updated()
}

// Close ends the probing and the counting.
func (s *Session) Close() {
	s.o.Health.Unwatch(s.o.Key)
	if s.o.Traffic != nil {
		s.o.Traffic.Close()
	}
}
