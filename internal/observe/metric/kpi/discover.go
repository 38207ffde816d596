package kpi

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi/convention"
)

// Found is a signal that can be had without configuration, and from what.
type Found struct {
	Signal    string   `json:"signal"`
	Metric    string   `json:"metric"` // "" when nothing known was found
	Form      string   `json:"form"`   // "counter", "classic histogram", "native histogram", "gauge"
	Instances []string `json:"instances"`
	Strata    []string `json:"strata,omitempty"` // routes and methods told apart, at most some
}

// Reported is the version that an instance says it runs.
type Reported struct {
	Version string // several, joined by commas, when it contradicts itself
	At      time.Time
}

// recent is how far back a look at the present goes: as far as Prometheus looks for a sample.
const recent = 5 * time.Minute

// Discover says for each built-in signal from which metrics of the subject it can be taken now.
func Discover(ctx context.Context, reader metric.Reader, subject Subject, now time.Time) ([]Found, error) {
	subject.Start, subject.Signals = now, nil
	names := []string{ErrorRate, ResponseTime, Throughput, CPUUsage, MemoryUsage}
	for _, n := range names {
		subject.Signals = append(subject.Signals, Spec{Name: n})
	}
	c := New(reader, subject)
	batch, err := c.read(ctx, now.Add(-recent), now)
	if err != nil {
		return nil, err
	}
	var out []Found
	for _, n := range names {
		found := map[[2]string]*Found{}
		for _, f := range batch {
			form, ok := f.serves(n)
			if !ok {
				continue
			}
			k := [2]string{f.family.Name, form}
			if found[k] == nil {
				found[k] = &Found{Signal: n, Metric: f.family.Name, Form: form}
			}
			found[k].Instances = append(found[k].Instances, f.instance.Name)
			if f.stratum != "" {
				found[k].Strata = append(found[k].Strata, f.stratum)
			}
		}
		if len(found) == 0 {
			out = append(out, Found{Signal: n})
		}
		for _, k := range slices.SortedFunc(maps.Keys(found), func(a, b [2]string) int { return cmp.Compare(a[0]+a[1], b[0]+b[1]) }) {
			f := found[k]
			f.Instances = slices.Compact(slices.Sorted(slices.Values(f.Instances)))
			f.Strata = slices.Compact(slices.Sorted(slices.Values(f.Strata)))
			f.Strata = f.Strata[:min(len(f.Strata), maxStrata)]
			out = append(out, *f)
		}
	}
	return out, nil
}

// serves tells whether a signal is taken from a series, and the form of the series.
func (f fresh) serves(signal string) (form string, ok bool) {
	in, rank := f.instance, f.family.Rank
	form = "counter"
	switch {
	case f.family.Kind == convention.Memory:
		form = "gauge"
	case f.native:
		form = "native histogram"
	case f.family.Kind == convention.Histogram:
		form = "classic histogram"
	}
	requests := f.family.Kind == convention.Counter || f.family.Kind == convention.Histogram
	switch signal {
	case ErrorRate:
		return form, requests && in.coded && in.requests == rank
	case Throughput:
		return form, requests && in.requests == rank
	case ResponseTime:
		return form, f.buckets && in.durations == rank
	case CPUUsage:
		return form, f.family.Kind == convention.CPU && in.cpu == rank
	case MemoryUsage:
		return form, f.family.Kind == convention.Memory && in.memory == rank
	}
	return "", false
}

// ReleasesReported returns the version that each instance of the subject reported at its newest scrape, by a
// label of its series or by an info metric. An instance that says nothing is left out.
func ReleasesReported(ctx context.Context, reader metric.Reader, subject Subject, now time.Time) (map[string]Reported, error) {
	subject.Signals = []Spec{{Name: Throughput}, {Name: CPUUsage}, {Name: MemoryUsage}}
	c := New(reader, subject)
	said := map[string]map[string]int64{}
	for _, names := range [][]string{c.catalog.names(), {"target_info", ".+_build_info"}} {
		sel, err := subject.selector(names)
		if err != nil {
			return nil, err
		}
		found, err := reader.Samples(ctx, sel, now.Add(-recent), now)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			v, name := versionOf(s, c.arms, c.catalog.release), s.Labels["instance"]
			if v == "" || s.Name() == "up" && s.Points[len(s.Points)-1].V != 1 {
				continue
			}
			if said[name] == nil {
				said[name] = map[string]int64{}
			}
			said[name][v] = max(said[name][v], s.Points[len(s.Points)-1].T.UnixMilli())
		}
	}
	out := map[string]Reported{}
	for name, versions := range said {
		newest := slices.Max(slices.Collect(maps.Values(versions)))
		var now []string
		for v, at := range versions {
			if at == newest {
				now = append(now, v)
			}
		}
		slices.Sort(now)
		out[name] = Reported{Version: strings.Join(now, ","), At: time.UnixMilli(newest)}
	}
	return out, nil
}
