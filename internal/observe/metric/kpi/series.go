package kpi

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi/classic"
	"github.com/belaydev/belay/internal/observe/metric/kpi/convention"
)

// series is what is remembered of one counter, gauge or histogram (a classic one is a single series here).
type series struct {
	family   convention.Family
	instance *instance
	status   string
	hasCode  bool
	buckets  bool // a histogram with bounds, not only count and sum
	native   bool
	stratum  string
	release  string // version that its labels name
	label    string // the label that does
	skip     bool   // counts probes, not users

	seen  bool // it has been read: value and at are set
	at    int64
	value float64
	hist  *metric.Histogram
	epoch float64 // start of the process that the value is of; 0 when unknown
}

// fresh is a series with its points since the last tick.
type fresh struct {
	*series
	points []metric.Point
}

// read asks for all samples of the subject and returns those of each series that are new, in the order of
// labels, with facts on instances (is it up, when did it start, which version is it) taken note of first.
func (c *Collector) read(ctx context.Context, from, to time.Time) ([]fresh, error) {
	sel, err := c.subject.selector(c.catalog.names())
	if err != nil {
		return nil, err
	}
	all, err := c.reader.Samples(ctx, sel, from, to)
	if err != nil {
		return nil, err
	}
	// Asked for later, so that the version of each sample's scrape is known already.
	sel, err = c.subject.selector([]string{"target_info", ".+_build_info"})
	if err != nil {
		return nil, err
	}
	infos, err := c.reader.Samples(ctx, sel, from, to)
	if err != nil {
		return nil, err
	}
	for _, in := range c.instances {
		in.Begin()
	}
	c.noteVersions(infos)
	return c.register(all), nil
}

// register takes note of the instances and returns what is to be counted.
func (c *Collector) register(all []metric.Series) []fresh {
	out := make([]fresh, 0, len(all))
	parts := map[uint64]*assembly{}
	for _, s := range all {
		f, ok := c.catalog.families[s.Name()]
		if !ok {
			continue
		}
		in := c.instanceOf(s.Labels)
		switch f.Kind {
		case convention.Up:
			in.NoteUp(s.Points)
			c.arms.noteLabel(releaseOf(s.Labels, c.catalog.release, c.arms))
			in.noteRelease(s, c)
			continue
		case convention.Start:
			in.NoteStart(s.Points)
		case convention.Counter, convention.Histogram, convention.CPU, convention.Memory:
		}
		in.NoteScrape(s.Points)
		part := c.catalog.parts[s.Name()]
		id := identity(s.Labels, f.Name, part != partWhole)
		st := c.series[id]
		if st == nil {
			st = c.describe(s, f, in)
			c.series[id] = st
		}
		if _, quantile := s.Labels["quantile"]; st.skip || quantile || f.Kind == convention.Start {
			continue
		}
		if part != partWhole {
			a := parts[id]
			if a == nil {
				a = &assembly{series: st, at: len(out)}
				parts[id], out = a, append(out, fresh{series: st})
			}
			a.add(part, s.Labels["le"], st.after(s.Points))
			continue
		}
		points := st.after(s.Points)
		if len(points) > 0 && points[0].H != nil {
			st.buckets, st.native = true, true
		}
		out = append(out, fresh{st, points})
	}
	for _, a := range parts {
		out[a.at].points = a.Points()
		a.series.buckets = a.Bounded()
	}
	for _, f := range out {
		f.instance.prefer(f.series)
	}
	return out
}

// describe reads what the labels of a series say, once.
func (c *Collector) describe(s metric.Series, f convention.Family, in *instance) *series {
	st := &series{family: f, instance: in}
	st.status, st.hasCode = convention.Status(s.Labels)
	route, method := convention.Route(s.Labels)
	st.stratum, st.skip = convention.Stratum(route, method), convention.Probed(route)
	st.label, st.release = releaseOf(s.Labels, c.catalog.release, c.arms)
	c.arms.noteLabel(st.label, st.release)
	return st
}

// identity hashes labels; the parts of a classic histogram are one.
func identity(l map[string]string, name string, histogram bool) uint64 {
	sum := hash(name)
	for k, v := range l {
		if k == "__name__" || histogram && k == "le" {
			continue
		}
		// A sum does not depend on the order of the labels; the mixing makes a=b,c=d differ from a=d,c=b.
		h := hash(k)*0x9e3779b97f4a7c15 ^ hash(v)
		h ^= h >> 29
		sum += h * 0xbf58476d1ce4e5b9
	}
	return sum
}

func hash(s string) uint64 {
	// FNV-1a: the same in each run, so that what is decided can be replayed.
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// after returns the points that were not counted yet. What comes twice is counted once, and what comes late,
// behind a newer sample, is in that sample's count already.
func (st *series) after(ps []metric.Point) []metric.Point {
	if !st.seen {
		return ps
	}
	i, _ := slices.BinarySearchFunc(ps, st.at+1, func(p metric.Point, ms int64) int { return cmp.Compare(p.T.UnixMilli(), ms) })
	return ps[i:]
}

// assembly is a classic histogram that is being put together.
type assembly struct {
	classic.Histogram
	series *series
	at     int // place among the fresh
}

func (a *assembly) add(p part, le string, points []metric.Point) {
	switch p {
	case partBucket:
		a.Bucket(le, points)
	case partCount:
		a.Count(points)
	case partSum:
		a.Sum(points)
	case partWhole:
	}
}
