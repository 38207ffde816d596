package kpi

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
)

const sourceMetrics = "metrics"

// scraping is what a reader that scrapes itself can tell besides.
type scraping interface{ Targets() []metric.TargetStatus }

// sources says whether the new release could be seen: that the metrics can be read, and that each of its
// instances was scraped lately. An instance that is down is told apart from metrics that nobody collects.
func (c *Collector) sources(now time.Time) []belay.SourceStatus {
	expected := slices.Collect(maps.Keys(c.arms.listed[belay.ArmCandidate]))
	if len(expected) == 0 {
		expected = c.arms.instances(belay.ArmCandidate)
	}
	slices.Sort(expected)
	reasons := map[string]string{}
	_, own := c.reader.(scraping)
	if s, ok := c.reader.(scraping); ok {
		for _, t := range s.Targets() {
			if t.Health == metric.TargetDown {
				reasons[t.Instance] = t.LastError
			}
		}
	}
	limit := c.patience(own)
	var (
		out    []belay.SourceStatus
		silent []string
	)
	for _, name := range expected {
		in := c.newest(name)
		switch {
		case in == nil || in.age(now) > limit:
			silent = append(silent, name)
		case in.Up != 1 && in.UpAt >= in.Newest:
			out = append(out, belay.SourceStatus{Source: "scrape of " + name, Detail: downSince(in, reasons[name])})
		case in.Flapping(now.UnixMilli()):
			out = append(out, belay.SourceStatus{Source: "scrape of " + name, Detail: "its counts go back and forth: several processes answer behind this address, each with its own (gunicorn workers need the multiprocess mode of prometheus_client)"})
		default: // said too: whoever was told that it is not well must hear that it is again
			out = append(out, belay.SourceStatus{Source: "scrape of " + name, OK: true})
		}
	}
	m := belay.SourceStatus{Source: sourceMetrics, OK: true}
	seen := len(expected) - len(silent)
	if seen == 0 && now.Sub(c.first) > limit {
		m.OK = false
		m.Detail = fmt.Sprintf("no series of the new release was collected in the last %s%s", limit.Round(time.Second), whom(silent))
	} else if seen > 0 && len(silent) > 0 && now.Sub(c.first) > limit {
		for _, name := range silent {
			out = append(out, belay.SourceStatus{Source: "scrape of " + name, Detail: fmt.Sprintf("nobody scraped it in the last %s", limit.Round(time.Second))})
		}
	}
	return append([]belay.SourceStatus{m}, out...)
}

func downSince(in *instance, reason string) string {
	d := "target is down since " + time.UnixMilli(in.DownAt).UTC().Format(time.TimeOnly) + " UTC"
	if reason != "" {
		d += ": " + reason
	}
	return d
}

func whom(instances []string) string {
	if len(instances) == 0 {
		return ": none of its series carries its version, and no target is named"
	}
	return fmt.Sprintf(" (instances %v): see that they are scraped and that metrics.selector is right", instances)
}

// newest returns what is known of an address, of the job that scraped it last.
func (c *Collector) newest(name string) *instance {
	var best *instance
	for key, in := range c.instances {
		if key.name == name && (best == nil || in.Seen() > best.Seen()) {
			best = in
		}
	}
	return best
}

func (in *instance) age(now time.Time) time.Duration {
	return time.Duration(now.UnixMilli()-in.Seen()) * time.Millisecond
}

// patience is how long an instance may go unseen: three scrapes, as far as their interval is known.
func (c *Collector) patience(own bool) time.Duration {
	spacing := 20 * time.Second
	if own {
		spacing = 5 * time.Second
	}
	var shortest int64
	for _, in := range c.instances {
		if d := in.Spacing(); d > 0 && (shortest == 0 || d < shortest) {
			shortest = d
		}
	}
	if shortest > 0 {
		spacing = time.Duration(shortest) * time.Millisecond
	}
	return max(10*time.Second, 3*spacing)
}
