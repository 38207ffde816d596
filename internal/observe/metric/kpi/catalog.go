package kpi

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/belaydev/belay/internal/observe/metric/kpi/convention"
)

// catalog is what to look for, by the names of series: the conventions, and before them what the configuration
// names.
type catalog struct {
	families map[string]convention.Family // by name of a series, "_bucket", "_count", "_sum" included
	parts    map[string]part
	bad      map[string]*regexp.Regexp // by signal
	specs    []Spec                    // built-in ones
	release  []string                  // labels that may hold the version
}

// part says what a series of a histogram family holds.
type part int

const (
	partWhole part = iota // a counter, a gauge, or a native histogram
	partBucket
	partCount
	partSum
)

func newCatalog(s Subject) *catalog {
	c := &catalog{families: map[string]convention.Family{}, parts: map[string]part{}, bad: map[string]*regexp.Regexp{}, release: []string{"version", "release", "service_version"}}
	if s.ReleaseLabel != "" {
		c.release = []string{s.ReleaseLabel}
	}
	c.add(convention.Family{Name: "up", Kind: convention.Up})
	c.add(convention.Family{Name: "process_start_time_seconds", Kind: convention.Start})
	known := false
	for _, spec := range s.Signals {
		b := spec.builtin()
		if spec.Query != "" || b == "" {
			continue
		}
		c.specs = append(c.specs, spec)
		status := cmp.Or(spec.BadStatus, "5..")
		re, err := regexp.Compile("^(?:" + status + ")$")
		if err != nil {
			re = regexp.MustCompile("^5..$") // CheckStatus refuses it in the configuration
		}
		c.bad[spec.Name] = re
		c.override(spec)
		known = known || b == ErrorRate || b == ResponseTime || b == Throughput
		switch {
		case b == CPUUsage && spec.Gauge == "":
			c.add(convention.Family{Name: "process_cpu_seconds_total", Kind: convention.CPU})
		case b == MemoryUsage && spec.Gauge == "":
			c.add(convention.Family{Name: "process_resident_memory_bytes", Kind: convention.Memory})
		}
	}
	for _, f := range convention.Known() {
		if known {
			c.add(f)
		}
	}
	return c
}

// override puts the names that a signal gives before all known ones.
func (c *catalog) override(s Spec) {
	if s.Requests != "" {
		c.add(convention.Family{Name: s.Requests, Kind: convention.Counter, Rank: -2, Unit: 1})
	}
	if s.Duration != "" {
		c.add(convention.Family{Name: s.Duration, Kind: convention.Histogram, Rank: -1, Unit: 1})
	}
	if s.Gauge != "" && s.builtin() == CPUUsage {
		c.add(convention.Family{Name: s.Gauge, Kind: convention.CPU, Rank: -1})
	}
	if s.Gauge != "" && s.builtin() == MemoryUsage {
		c.add(convention.Family{Name: s.Gauge, Kind: convention.Memory, Rank: -1})
	}
}

func (c *catalog) add(f convention.Family) {
	name := strings.TrimSuffix(f.Name, "_count")
	if f.Kind != convention.Histogram {
		name = f.Name
	}
	f.Name = name
	put := func(n string, p part) {
		if _, ok := c.families[n]; !ok {
			c.families[n], c.parts[n] = f, p
		}
	}
	put(name, partWhole)
	if f.Kind == convention.Histogram {
		put(name+"_bucket", partBucket)
		put(name+"_count", partCount)
		put(name+"_sum", partSum)
	}
}

// names returns regular expressions of the names of all series to read, ordered.
func (c *catalog) names() []string {
	out := make([]string, 0, len(c.families))
	for n := range c.families {
		out = append(out, regexp.QuoteMeta(n))
	}
	slices.Sort(out)
	return out
}
