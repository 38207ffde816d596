package past

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
	"github.com/belaydev/belay/internal/observe/metric/kpi/convention"
)

// family is a metric that the source has.
type family struct {
	convention.Family
	classic bool // "_count" and "_sum" of it are there
	native  bool
	coded   bool // its series tell the status
}

// query is how the past of a signal is asked for: one expression for each column.
type query struct {
	signal  string
	kind    belay.SampleKind
	exprs   []string
	bad     *regexp.Regexp // of events
	unit    float64        // what a column is multiplied by
	scraped bool           // it is of what the service itself shows, so that a time without scrapes is a gap
}

// look finds out which of the known metrics the source has, in the hour before the deployment.
func (r *reader) look() error {
	r.there = map[string]family{}
	known := r.families()
	names := []string{"up"}
	for _, f := range known {
		names = append(names, regexp.QuoteMeta(f.Name))
		if f.Kind == convention.Histogram {
			names = append(names, regexp.QuoteMeta(f.Name+"_count"))
		}
	}
	by := strings.Join(append([]string{"__name__"}, convention.StatusLabels()...), ", ")
	expr := fmt.Sprintf("count by (%s) ({__name__=~%s,%s})", by, quote(strings.Join(names, "|")), r.matchers)
	found, err := r.Source.Range(r.ctx, expr, r.end.Add(-time.Hour), r.end, 5*time.Minute)
	if err != nil {
		return err
	}
	for _, s := range found {
		r.ups = r.ups || s.Name() == "up"
		for _, f := range known {
			whole, count := s.Name() == f.Name, f.Kind == convention.Histogram && s.Name() == f.Name+"_count"
			if !whole && !count {
				continue
			}
			have, ok := r.there[f.Name]
			if !ok {
				have.Family = f
			}
			_, coded := convention.Status(s.Labels)
			have.coded = have.coded || coded
			have.classic = have.classic || count
			have.native = have.native || whole && f.Kind == convention.Histogram
			r.there[f.Name] = have
		}
	}
	return nil
}

// families are the metrics that the signals may be taken from: what the configuration names before what is known.
func (r *reader) families() []convention.Family {
	var out []convention.Family
	for _, s := range r.Subject.Signals {
		if s.Requests != "" {
			out = append(out, convention.Family{Name: s.Requests, Kind: convention.Counter, Rank: -2, Unit: 1})
		}
		if s.Duration != "" {
			out = append(out, convention.Family{Name: strings.TrimSuffix(s.Duration, "_count"), Kind: convention.Histogram, Rank: -1, Unit: 1})
		}
		switch builtin(s) {
		case kpi.CPUUsage:
			out = append(out, convention.Family{Name: cmp.Or(s.Gauge, "process_cpu_seconds_total"), Kind: convention.CPU})
		case kpi.MemoryUsage:
			out = append(out, convention.Family{Name: cmp.Or(s.Gauge, "process_resident_memory_bytes"), Kind: convention.Memory})
		}
	}
	return append(out, convention.Known()...)
}

func builtin(s kpi.Spec) string {
	if s.Query != "" {
		return ""
	}
	return cmp.Or(s.Builtin, s.Name)
}

// best is the family of lowest rank that will do.
func (r *reader) best(will func(family) bool) (family, bool) {
	var all []family
	for _, f := range r.there {
		if will(f) {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return family{}, false
	}
	return slices.MinFunc(all, func(a, b family) int { return cmp.Compare(a.Rank, b.Rank) }), true
}

func (r *reader) queries() []query {
	var out []query
	for _, s := range r.Subject.Signals {
		if q, ok := r.query(s); ok {
			q.signal = s.Name
			out = append(out, q)
		}
	}
	return out
}

func (r *reader) query(s kpi.Spec) (query, bool) {
	requests := func(f family) bool { return f.Kind == convention.Counter || f.Kind == convention.Histogram }
	switch builtin(s) {
	case kpi.ErrorRate:
		f, ok := r.best(func(f family) bool { return requests(f) && f.coded })
		re, err := regexp.Compile("^(?:" + cmp.Or(s.BadStatus, "5..") + ")$")
		by := "sum by (" + strings.Join(convention.StatusLabels(), ", ") + ") "
		return query{kind: belay.KindEvents, exprs: []string{by + r.increase(f.count(r))}, bad: re, scraped: true}, ok && err == nil
	case kpi.ResponseTime:
		f, ok := r.best(func(f family) bool { return f.Kind == convention.Histogram })
		return query{kind: belay.KindHistogram, exprs: []string{"sum " + r.increase(f.count(r)), "sum " + r.increase(f.sum(r))}, unit: f.Unit, scraped: true}, ok
	case kpi.Throughput:
		f, ok := r.best(func(f family) bool { return requests(f) && f.coded })
		if !ok {
			f, ok = r.best(requests)
		}
		return r.rate(f.count(r)), ok
	case kpi.CPUUsage:
		f, ok := r.best(func(f family) bool { return f.Kind == convention.CPU })
		return r.rate(series(f.Name, r.matchers)), ok
	case kpi.MemoryUsage:
		f, ok := r.best(func(f family) bool { return f.Kind == convention.Memory })
		return query{kind: belay.KindGauge, exprs: []string{"avg(sum by (job, instance) (" + f.Name + "{" + r.matchers + "}))"}, unit: 1, scraped: true}, ok
	}
	return r.asked(s.Query)
}

// asked is the query of a signal, of the whole service.
func (r *reader) asked(text string) (query, bool) {
	release := r.Subject.Baseline.Release
	if text == "" || release == "" && strings.Contains(text, "$release") {
		return query{}, false
	}
	var instances []string
	for _, t := range slices.Concat(r.Subject.Candidate.Targets, r.Subject.Baseline.Targets) {
		instances = append(instances, regexp.QuoteMeta(metric.Instance(t.Address)))
	}
	all := ".+"
	if len(instances) > 0 {
		all = strings.Join(instances, "|")
	}
	return query{kind: belay.KindGauge, exprs: []string{kpi.Expand(text, r.matchers, release, all)}, unit: 1}, true
}

// rate is what an instance does in a second, on average over the instances.
func (r *reader) rate(x func(offset string) string) query {
	return query{kind: belay.KindGauge, exprs: []string{"avg(sum by (job, instance) " + r.increase(x) + ")"}, unit: 1 / Step.Seconds(), scraped: true}
}

// count writes the counter of a family's requests, of users, not of probes.
func (f family) count(r *reader) func(string) string { return f.column(r, "_count", "histogram_count") }

func (f family) sum(r *reader) func(string) string { return f.column(r, "_sum", "histogram_sum") }

func (f family) column(r *reader, suffix, function string) func(string) string {
	matchers := r.matchers
	for _, l := range convention.RouteLabels() {
		matchers += "," + l + "!~" + quote(convention.ProbedPattern())
	}
	switch {
	case f.Kind != convention.Histogram:
		return series(f.Name, matchers)
	case f.classic || !f.native:
		return series(f.Name+suffix, matchers)
	}
	inner := series(f.Name, matchers)
	return func(offset string) string { return function + "(" + inner(offset) + ")" }
}

func series(name, matchers string) func(string) string {
	return func(offset string) string { return name + "{" + matchers + "}" + offset }
}

// increase writes by how much counters rose in a step: the difference of raw samples, never an extrapolated rate. The
// step in which a process began anew is left out. A series that was not there before counts from zero if its instance
// was scraped then, as the counter of the first failure does.
func (r *reader) increase(x func(offset string) string) string {
	before := fmt.Sprintf(" offset %ds", int(Step.Seconds()))
	out := fmt.Sprintf("(%s - %s >= 0", x(""), x(before))
	if r.ups {
		out += fmt.Sprintf(" or (%s unless %s) and on (job, instance) (up{%s}%s == 1)", x(""), x(before), r.matchers, before)
	}
	return out + ")"
}

// take adds a column to the steps.
func (q *query) take(column int, found []metric.Series, steps map[int64]*step) {
	n := map[int64]float64{}
	for _, f := range found {
		status, coded := convention.Status(f.Labels)
		for _, p := range f.Points {
			if math.IsNaN(p.V) || math.IsInf(p.V, 0) {
				continue
			}
			ms := p.T.UnixMilli()
			s := steps[ms]
			if s == nil {
				s = &step{}
				steps[ms] = s
			}
			s.has[column] = true
			switch {
			case q.kind == belay.KindEvents:
				s.n += p.V
				if coded && q.bad.MatchString(status) {
					s.x += p.V
				}
			case q.kind == belay.KindGauge: // the mean of all series
				n[ms]++
				s.value += (p.V - s.value) / n[ms]
			case column == 0:
				s.n += p.V
			default:
				s.sum += p.V
			}
		}
	}
}

// sample is a step as a sample without its time and name; false when nothing happened in it.
func (q *query) sample(s *step) (belay.Sample, bool) {
	switch q.kind {
	case belay.KindEvents:
		return belay.Sample{Kind: q.kind, N: s.n, X: s.x}, s.n > 0
	case belay.KindHistogram:
		return belay.Sample{Kind: q.kind, N: s.n, Sum: round(s.sum * q.unit)}, s.n > 0 && s.has[1]
	case belay.KindGauge, belay.KindCount:
	}
	return belay.Sample{Kind: q.kind, Value: round(s.value * q.unit)}, s.has[0]
}

// quote writes a PromQL string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
