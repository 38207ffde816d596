package kpi

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
)

type armName = belay.Arm

// arms tells which side of the comparison something belongs to.
type arms struct {
	release map[armName]string
	// listed are the instances that each arm's targets name, with the version that the target says.
	listed map[armName]map[string]string
	// seen are the instances that were counted for each arm, with the time of the newest count.
	seen map[armName]map[string]int64
	// label is the label by which series tell their version, "" while none did.
	label string
}

func newArms(s Subject) *arms {
	a := &arms{release: map[armName]string{}, listed: map[armName]map[string]string{}, seen: map[armName]map[string]int64{}}
	for name, arm := range map[armName]Arm{belay.ArmCandidate: s.Candidate, belay.ArmBaseline: s.Baseline} {
		a.release[name], a.listed[name], a.seen[name] = arm.Release, map[string]string{}, map[string]int64{}
		for _, t := range arm.Targets {
			a.listed[name][metric.Instance(t.Address)] = t.Release
		}
	}
	return a
}

func (a *arms) noteLabel(name, version string) {
	if _, ok := a.byRelease(version); ok && a.label == "" {
		a.label = name
	}
}

// byRelease returns the arm whose release is version.
func (a *arms) byRelease(version string) (armName, bool) {
	v := strings.TrimPrefix(version, "v")
	if v == "" || a.release[belay.ArmCandidate] == a.release[belay.ArmBaseline] {
		return "", false
	}
	for _, arm := range []armName{belay.ArmCandidate, belay.ArmBaseline} {
		if strings.TrimPrefix(a.release[arm], "v") == v {
			return arm, true
		}
	}
	return "", false
}

// byExclusion returns the arm whose release is not named, for a version that is not the other's.
func (a *arms) byExclusion(version string) (armName, bool) {
	if _, ok := a.byRelease(version); ok || version == "" {
		return "", false
	}
	for _, arm := range []armName{belay.ArmCandidate, belay.ArmBaseline} {
		if a.release[arm] == "" && a.release[other(arm)] != "" {
			return arm, true
		}
	}
	return "", false
}

func other(a armName) armName {
	if a == belay.ArmCandidate {
		return belay.ArmBaseline
	}
	return belay.ArmCandidate
}

// releaseOf returns the version that labels name, and by which label. A label whose value is the version of an
// arm is preferred: "release" is also what Helm calls the name of an installation.
func releaseOf(l map[string]string, names []string, a *arms) (name, version string) {
	for _, n := range names {
		if v := l[n]; v != "" {
			if _, ok := a.byRelease(v); ok {
				return n, v
			}
			if name == "" || version == "" {
				name = n
				if n != "release" || len(names) == 1 {
					version = v
				}
			}
		}
	}
	return name, version
}

// armOf tells which release a count belongs to: by the version on the series itself, else by the version that
// the instance reports, else by the version that its target names, else by the list of targets that it is in.
func (c *Collector) armOf(st *series, ms int64) (armName, bool) {
	arm, ok := c.decideArm(st, ms)
	if ok && ms > c.arms.seen[arm][st.instance.Name] {
		c.arms.seen[arm][st.instance.Name] = ms
	}
	return arm, ok
}

func (c *Collector) decideArm(st *series, ms int64) (armName, bool) {
	in, a := st.instance, c.arms
	before := ms < c.subject.Start.UnixMilli()
	said := []string{st.release, in.ReleaseAt(ms)}
	for _, v := range said {
		if arm, ok := a.byRelease(v); ok {
			// The same version may have run before, in an attempt that this deployment repeats.
			return arm, !before || arm == belay.ArmBaseline
		}
	}
	_, unnamed := a.byExclusion(st.release)
	if st.label != "" && st.label == a.label && !unnamed {
		return "", false // a third release
	}
	candidate, isNew := a.listed[belay.ArmCandidate][in.Name]
	baseline, isOld := a.listed[belay.ArmBaseline][in.Name]
	switch {
	case before:
		// The new release did not run yet: an instance of its own is a machine that served something else, unless
		// no old instance is known, when it served the old release.
		return belay.ArmBaseline, isOld || isNew && len(a.listed[belay.ArmBaseline]) == 0 || a.unlisted()
	case isNew != isOld:
		if arm, ok := a.byRelease(candidate + baseline); ok {
			return arm, true
		}
		if isNew {
			return belay.ArmCandidate, true
		}
		return belay.ArmBaseline, true
	case isNew || a.unlisted():
		for _, v := range said {
			if arm, ok := a.byExclusion(v); ok {
				return arm, true
			}
		}
		return c.armInPlace(in, ms), true
	}
	return "", false
}

// unlisted tells whether no targets are named at all: the labels of the service alone select.
func (a *arms) unlisted() bool {
	return len(a.listed[belay.ArmCandidate]) == 0 && len(a.listed[belay.ArmBaseline]) == 0
}

// armInPlace tells which release an instance that is replaced in place runs: the new one once its process was
// started after the deployment began, or once the deployment is over.
func (c *Collector) armInPlace(in *instance, ms int64) armName {
	over := !c.deployed.IsZero() && ms >= c.deployed.UnixMilli()
	if start := in.StartAt(ms); start > 0 && int64(start*1000) < c.subject.Start.UnixMilli()-1000 && !over {
		return belay.ArmBaseline
	}
	return belay.ArmCandidate
}

// selector writes the matchers of all series of the subject with one of the names, which are regular
// expressions.
func (s Subject) selector(names []string) (string, error) {
	m, err := s.Matchers()
	if err != nil {
		return "", err
	}
	return `{__name__=~` + quote(strings.Join(names, "|")) + `,` + m + `}`, nil
}

// Matchers writes the labels that select the service, as they stand between the braces of a PromQL selector.
func (s Subject) Matchers() (string, error) {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(s.Selector)) {
		out = append(out, k+"="+quote(s.Selector[k]))
	}
	if len(out) == 0 {
		var instances []string
		for _, t := range slices.Concat(s.Candidate.Targets, s.Baseline.Targets) {
			instances = append(instances, metric.Instance(t.Address))
		}
		if len(instances) == 0 {
			return "", belay.Errorf(belay.CodeInvalid, "select the metrics of %s: neither labels nor targets are named", s.Ref).
				WithNext("set metrics.selector or targets of the service")
		}
		out = append(out, "instance=~"+quote(alternatives(instances)))
	}
	return strings.Join(out, ","), nil
}

// alternatives writes a regular expression that matches the values and nothing else.
func alternatives(vs []string) string {
	vs = slices.Compact(slices.Sorted(slices.Values(vs)))
	for i := range vs {
		vs[i] = regexp.QuoteMeta(vs[i])
	}
	return strings.Join(vs, "|")
}

// quote writes a PromQL string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
