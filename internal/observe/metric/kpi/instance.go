package kpi

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi/convention"
	"github.com/belaydev/belay/internal/observe/metric/kpi/scraped"
)

type instanceKey struct{ job, name string }

// instance is an address that is scraped, and which of its metrics the signals are taken from.
type instance struct {
	*scraped.Instance
	requests  int  // rank of the family that requests are counted by
	coded     bool // it tells the status
	durations int
	cpu       int
	memory    int
}

const unranked = math.MaxInt

func (c *Collector) instanceOf(l map[string]string) *instance {
	key := instanceKey{l["job"], l["instance"]}
	in := c.instances[key]
	if in == nil {
		in = &instance{Instance: scraped.New(key.name), requests: unranked, durations: unranked, cpu: unranked, memory: unranked}
		c.instances[key] = in
	}
	return in
}

// prefer chooses, among what an instance has, the family that each signal is taken from.
func (in *instance) prefer(st *series) {
	rank := st.family.Rank
	switch st.family.Kind {
	case convention.Counter, convention.Histogram:
		switch {
		case st.hasCode && !in.coded:
			in.requests, in.coded = rank, true
		case st.hasCode == in.coded:
			in.requests = min(in.requests, rank)
		}
		if st.buckets {
			in.durations = min(in.durations, rank)
		}
	case convention.CPU:
		in.cpu = min(in.cpu, rank)
	case convention.Memory:
		in.memory = min(in.memory, rank)
	case convention.Up, convention.Start:
	}
}

// noteRelease remembers a version that the series "up" carries, as relabelling may add it to all series.
func (in *instance) noteRelease(s metric.Series, c *Collector) {
	if _, v := releaseOf(s.Labels, c.catalog.release, c.arms); v != "" {
		for _, p := range s.Points {
			in.SetRelease(p.T.UnixMilli(), v)
		}
	}
}

// noteVersions reads target_info and *_build_info series: which version was each instance at each scrape.
func (c *Collector) noteVersions(infos []metric.Series) {
	type scrape struct {
		in *instance
		at int64
	}
	said := map[scrape][]string{}
	for _, s := range infos {
		v := versionOf(s, c.arms, c.catalog.release)
		if v == "" {
			continue
		}
		in := c.instanceOf(s.Labels)
		for _, p := range s.Points {
			k := scrape{in, p.T.UnixMilli()}
			said[k] = append(said[k], v)
		}
	}
	order := make([]scrape, 0, len(said))
	for k := range said {
		order = append(order, k)
	}
	slices.SortFunc(order, func(a, b scrape) int { return cmp.Compare(a.at, b.at) })
	for _, k := range order {
		if v := agree(said[k], c.arms); v != "" {
			k.in.SetRelease(k.at, v)
		}
	}
}

// versionOf returns the version that an info series tells of the application, not of a library in it.
func versionOf(s metric.Series, a *arms, names []string) string {
	if n := s.Name(); n == "go_build_info" || strings.HasPrefix(n, "go_") {
		return ""
	}
	_, v := releaseOf(s.Labels, names, a)
	return v
}

// agree returns the one version that several info series of a scrape tell: that of an arm if one does, else the
// one they all name.
func agree(vs []string, a *arms) string {
	for _, v := range vs {
		if _, ok := a.byRelease(v); ok {
			return v
		}
	}
	for _, v := range vs {
		if v != vs[0] {
			return ""
		}
	}
	return vs[0]
}
