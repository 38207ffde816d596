// Package kpi turns raw metrics of one deployment into samples for judging: which requests failed, how long they
// took, how many there were, what CPU and memory they needed, each for the new and the old release. It knows the
// common conventions of metric names and the rules by which counts stay right: differences of raw counters,
// never extrapolated rates. It judges nothing, and it does not know how metrics are read: that is package metric.
package kpi

import (
	"context"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi/tally"
)

// The built-in signals.
const (
	ErrorRate    = "error_rate"    // events: requests, and those that failed
	ResponseTime = "response_time" // histogram, in seconds
	Throughput   = "throughput"    // gauge: requests per second of an instance
	CPUUsage     = "cpu_usage"     // gauge: cores used by an instance
	MemoryUsage  = "memory_usage"  // gauge: resident bytes of an instance
)

// Subject is what a Collector looks at: one deployment.
type Subject struct {
	belay.Ref
	Start     time.Time // of the deployment: what was before it is history of the baseline
	Candidate Arm
	Baseline  Arm
	// Selector are labels that all series of the service carry: {"job": "shop"}. When empty, the instances of
	// the arms select.
	Selector map[string]string
	// ReleaseLabel names the label that holds the version; when empty, version, release and service_version
	// are tried.
	ReleaseLabel string
	Signals      []Spec
	// History is how far back before Start is looked for a baseline; 30 minutes when zero, none when negative.
	History time.Duration
}

// Arm is one side of the comparison.
type Arm struct {
	Release string // version
	Targets []belay.Target
}

// Spec is a signal to collect.
type Spec struct {
	Name    string
	Builtin string // one of the built-in signals; Name when empty and there is no Query
	// Query is a PromQL expression instead of a built-in. See CheckQuery for its placeholders.
	Query string

	Requests  string // counter of requests in place of the known names: "prometheus_http_requests_total"
	Duration  string // histogram of response times, in seconds, in place of the known names
	Gauge     string // process CPU counter or resident memory gauge in place of the known names
	BadStatus string // regular expression that the status of a failed request matches as a whole; "5.." when empty
}

func (s Spec) builtin() string {
	if s.Builtin == "" && s.Query == "" {
		return s.Name
	}
	return s.Builtin
}

// Collector reads one deployment's metrics tick by tick and remembers what it has counted. It is not safe for
// concurrent use.
type Collector struct {
	reader  metric.Reader
	subject Subject
	catalog *catalog
	arms    *arms

	series    map[uint64]*series
	instances map[instanceKey]*instance
	strata    map[string]bool
	sums      *tally.Tally // of the tick at work, kept when it could not be read in full
	deployed  time.Time
	counted   time.Time // all up to then was counted by the collector before this one
	first     time.Time // tick
	last      time.Time // tick that was read in full; zero before the first
}

// Bounds of what is read.
const (
	defaultHistory = 30 * time.Minute
	overlap        = 30 * time.Second // samples may come this late without being missed
	window         = 5 * time.Minute  // read at once
	liveWithin     = 10 * time.Second // a longer time since the last tick is read in steps
	maxStrata      = 30
	otherStrata    = "other"
)

// New makes a Collector. It reads nothing yet.
func New(reader metric.Reader, subject Subject) *Collector {
	switch {
	case subject.History == 0:
		subject.History = defaultHistory
	case subject.History < 0:
		subject.History = 0
	}
	return &Collector{
		reader: reader, subject: subject, catalog: newCatalog(subject), arms: newArms(subject),
		series: map[uint64]*series{}, instances: map[instanceKey]*instance{}, strata: map[string]bool{},
	}
}

// Deployed tells when the deploy command ended. From then on, an instance that is a target of both releases
// counts for the new one even if its process was not started anew, as after a reload of its configuration.
func (c *Collector) Deployed(at time.Time) { c.deployed = at }

// Counted tells that all scrapes up to a moment were counted already, by a collector that this one replaces. They
// are read again, so that differences go on from them, and not counted again.
func (c *Collector) Counted(upTo time.Time) { c.counted = upTo }

// Collect reads what happened since the last call, up to now. The first call reads the history before the
// deployment too, and all since it began. What could not be read is said by the statuses; its counts are not
// lost: the next call that can read covers them.
func (c *Collector) Collect(ctx context.Context, now time.Time) ([]belay.Sample, []belay.SourceStatus) {
	if c.first.IsZero() {
		c.first = now
	}
	if c.sums == nil {
		c.sums = tally.New(c.subject.Start, c.last.IsZero() || now.Sub(c.last) > liveWithin)
	}
	if err := c.readUpTo(ctx, now); err != nil {
		return nil, []belay.SourceStatus{{Source: sourceMetrics, Detail: err.Error()}}
	}
	samples := c.samples(c.sums.Sums(c.capped))
	c.sums = nil
	values, statuses := c.evaluate(ctx, now)
	c.last = now
	samples = append(samples, values...)
	sortSamples(samples)
	return samples, append(c.sources(now), statuses...)
}

// readUpTo counts what happened since the last tick, a window at a time: the history of many series would
// otherwise be in memory at once.
func (c *Collector) readUpTo(ctx context.Context, now time.Time) error {
	from := c.last.Add(-overlap)
	if earliest := c.subject.Start.Add(-c.subject.History); c.last.IsZero() || from.Before(earliest) {
		from = earliest
	}
	for from.Before(now) {
		to := from.Add(window)
		if to.After(now) {
			to = now
		}
		batch, err := c.read(ctx, from, to)
		if err != nil {
			return err
		}
		for _, f := range batch {
			c.count(f, c.sums)
		}
		from = to
	}
	return nil
}

// t is a moment on the deployment's clock.
func (s Subject) t(ms int64) float64 { return float64(ms-s.Start.UnixMilli()) / 1000 }
