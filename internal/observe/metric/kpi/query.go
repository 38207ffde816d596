package kpi

import (
	"cmp"
	"context"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
)

// Placeholders of a query.
const (
	atSelector = "$selector" // matchers of one release's series: orders_total{$selector}
	atRelease  = "$release"  // its version: orders_total{app_version="$release"}
	atInstance = "$instance" // a regular expression of its instances: orders_total{instance=~"$instance"}
)

// CheckQuery says what is wrong with the query of a signal, or nil. Besides PromQL a query may hold
//
//	$selector  the labels of one release's series, as in orders_total{$selector}
//	$release   its version, as in orders_total{app_version="$release"}
//	$instance  its instances, as in orders_total{instance=~"$instance"}
//
// With one of them the query is evaluated for each release, and they are compared side by side. Without, its
// value before the deployment is what its value since is compared with.
func CheckQuery(query string) error {
	return metric.CheckExpr(Expand(query, `job="x"`, "x", "x"))
}

// CheckStatus says what is wrong with the regular expression of failed statuses, or nil.
func CheckStatus(re string) error {
	if _, err := regexp.Compile("^(?:" + re + ")$"); err != nil {
		return belay.Errorf(belay.CodeInvalid, "read status expression %q: %w", re, err)
	}
	return nil
}

// Expand fills the placeholders of a query; release and instance stand between quotes there.
func Expand(query, selector, release, instance string) string {
	return strings.NewReplacer(atSelector, selector, atRelease, escaped(release), atInstance, escaped(instance)).Replace(query)
}

// escaped writes a value that stands between quotes already.
func escaped(s string) string {
	q := quote(s)
	return q[1 : len(q)-1]
}

// TellsApart tells whether a query has a placeholder, so that it is evaluated for each release.
func TellsApart(query string) bool {
	return strings.Contains(query, atSelector) || strings.Contains(query, atRelease) || strings.Contains(query, atInstance)
}

// evaluate asks for the values of the signals that are queries.
func (c *Collector) evaluate(ctx context.Context, now time.Time) ([]belay.Sample, []belay.SourceStatus) {
	var (
		out      []belay.Sample
		statuses []belay.SourceStatus
	)
	for _, spec := range c.subject.Signals {
		if spec.Query == "" {
			continue
		}
		samples, err := c.evaluateSignal(ctx, spec, now)
		if err != nil {
			statuses = append(statuses, belay.SourceStatus{Source: "signal " + spec.Name, Detail: err.Error()})
			continue
		}
		out = append(out, samples...)
	}
	return out, statuses
}

func (c *Collector) evaluateSignal(ctx context.Context, spec Spec, now time.Time) ([]belay.Sample, error) {
	var out []belay.Sample
	for _, at := range c.moments(now) {
		sides := []armName{belay.ArmCandidate}
		switch {
		case at.Before(c.subject.Start):
			sides = []armName{belay.ArmBaseline}
		case TellsApart(spec.Query):
			sides = []armName{belay.ArmCandidate, belay.ArmBaseline}
		}
		for _, arm := range sides {
			expr, ok := c.expression(spec.Query, arm, at.Before(c.subject.Start))
			if !ok {
				continue // nothing of this release is known yet: no value, which is not zero
			}
			found, err := c.reader.Eval(ctx, expr, at)
			if err != nil {
				return nil, err
			}
			out = append(out, c.gauges(spec.Name, arm, at, found)...)
		}
	}
	return out, nil
}

// moments returns when to evaluate: now, and at the first look at points of the history and since the start. What is
// further back is package past's business.
func (c *Collector) moments(now time.Time) []time.Time {
	if !c.last.IsZero() {
		return []time.Time{now}
	}
	const before, since = 40, 60
	var out []time.Time
	start := c.subject.Start
	if c.subject.History > 0 {
		step := max(15*time.Second, c.subject.History/before)
		for at := start.Add(-c.subject.History); at.Before(start) && at.Before(now); at = at.Add(step) {
			out = append(out, at)
		}
	}
	step := max(5*time.Second, now.Sub(start)/since)
	for at := start.Add(step); at.Before(now); at = at.Add(step) {
		out = append(out, at)
	}
	return append(out, now)
}

// expression fills the placeholders for an arm; it returns false when a value for one is missing.
func (c *Collector) expression(query string, arm armName, history bool) (string, bool) {
	if !TellsApart(query) {
		return query, true
	}
	own, rival := c.arms.instances(arm), c.arms.instances(other(arm))
	if history {
		own, rival = c.arms.past(), nil
	}
	release := c.arms.release[arm]
	shared := slices.ContainsFunc(own, func(i string) bool { return slices.Contains(rival, i) })
	base, err := c.subject.Matchers()
	if err != nil {
		return "", false
	}
	selector := ""
	switch {
	case c.arms.label != "" && release != "" && (shared || len(own) == 0):
		selector = base + "," + c.arms.label + "=" + quote(release)
	case len(own) > 0:
		selector = base + ",instance=~" + quote(alternatives(own))
	}
	switch {
	case strings.Contains(query, atSelector) && selector == "",
		strings.Contains(query, atRelease) && release == "",
		strings.Contains(query, atInstance) && len(own) == 0:
		return "", false
	}
	return Expand(query, selector, release, alternatives(own)), true
}

// instances returns those that run an arm's release now: those counted last for it, else those listed.
func (a *arms) instances(arm armName) []string {
	var out []string
	for in, at := range a.seen[arm] {
		// An instance that was updated in place belongs to the arm that it was counted for last.
		if at > a.seen[other(arm)][in] {
			out = append(out, in)
		}
	}
	if len(out) == 0 {
		out = slices.Collect(maps.Keys(a.listed[arm]))
	}
	slices.Sort(out)
	return out
}

// past returns the instances that ran the old release before the deployment.
func (a *arms) past() []string {
	for _, m := range []map[string]int64{a.seen[belay.ArmBaseline], a.seen[belay.ArmCandidate]} {
		if len(m) > 0 {
			return slices.Sorted(maps.Keys(m))
		}
	}
	for _, m := range []map[string]string{a.listed[belay.ArmBaseline], a.listed[belay.ArmCandidate]} {
		if len(m) > 0 {
			return slices.Sorted(maps.Keys(m))
		}
	}
	return nil
}

// gauges writes the result of a query. What is not a number is no sample.
func (c *Collector) gauges(signal string, arm armName, at time.Time, found []metric.Series) []belay.Sample {
	var out []belay.Sample
	for _, s := range found {
		if len(out) >= maxStrata {
			break
		}
		v := math.NaN()
		if len(s.Points) > 0 && s.Points[0].H == nil {
			v = s.Points[0].V
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		out = append(out, belay.Sample{
			T: c.subject.t(at.UnixMilli()), Signal: signal, Kind: belay.KindGauge, Arm: arm,
			Instance: s.Labels["instance"], Stratum: strataOf(s.Labels, c.catalog.release), Value: v,
		})
	}
	return out
}

// strataOf names a series of a result by the labels that are not about which instance or release it is.
func strataOf(l map[string]string, release []string) string {
	var out []string
	for k, v := range l {
		if k != "instance" && k != "job" && k != "__name__" && !slices.Contains(release, k) {
			out = append(out, k+"="+v)
		}
	}
	slices.SortFunc(out, cmp.Compare[string])
	return strings.Join(out, ",")
}
