package judge

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/checks"
	"github.com/belaydev/belay/internal/judge/limit"
	"github.com/belaydev/belay/internal/judge/phrase"
	"github.com/belaydev/belay/internal/judge/stats"
)

// suspicion is the evidence against a release, as odds, above which it is not called healthy.
const suspicion = 10

func (j *Judge) candidate() string {
	if j.policy.Candidate == "" {
		return "the new release"
	}
	return j.policy.Candidate
}

func (j *Judge) baseline() string {
	if j.policy.Baseline == "" {
		return "the old release"
	}
	return j.policy.Baseline
}

// verdict is that of one signal alone.
func (j *Judge) verdict(s *signal) belay.Verdict {
	switch {
	case s.stopped() || s.broken(j.last) || s.weight > 0 && s.logE() >= -math.Log(j.policy.FalseRollbackRate*s.weight):
		return belay.VerdictRegressed
	case j.lack(s) != "" || s.newest < 0 || s.uncompared():
		return belay.VerdictInsufficient
	}
	return belay.VerdictHealthy
}

// lack says what a signal still needs for healthy; "" when nothing.
func (j *Judge) lack(s *signal) string {
	switch {
	case s.newest < 0 && !s.Required:
		return ""
	case s.newest < 0 && (s.cmp == nil || s.Kind == belay.KindHistogram):
		return s.Name + ": no sample yet"
	case s.Required && s.newest >= 0 && j.last-s.newest >= j.policy.StaleAfter:
		return fmt.Sprintf("%s: no sample for %s", s.Name, phrase.Seconds(j.last-s.newest))
	case s.gauge != nil && s.gauge.Broken:
		return fmt.Sprintf("%s: %s is beyond the limit of %s", s.Name, s.Text(s.gauge.Value[candidate]), s.Text(*s.Threshold))
	case s.gauge != nil && s.values == nil:
		return ""
	case s.limit != nil && s.limit.Broken:
		return s.Name + ": beyond its limit now"
	case s.suspect():
		return fmt.Sprintf("%s: evidence of %s against it, acts at %s", s.Name, phrase.Odds(s.logE()), phrase.Odds(-math.Log(j.policy.FalseRollbackRate*s.weight)))
	}
	return j.lackOfProof(s)
}

func (j *Judge) lackOfProof(s *signal) string {
	want := -math.Log(j.policy.PassRate)
	if s.values != nil && s.Required {
		return s.lackOfPast()
	}
	good, possible := s.logGood()
	if !possible || good >= want || s.proved {
		return "" // a value may stay undecided: limits and the comparison speak up when something is wrong
	}
	if s.Kind == belay.KindHistogram && s.Compare && s.cmp.Partner() {
		if left := s.cmp.WarmUntil() - j.last; left > 0 && !math.IsInf(left, 1) {
			return fmt.Sprintf("%s: compared in %s, after the warm-up", s.Name, phrase.Seconds(left))
		}
		return s.Name + ": more requests to compare"
	}
	more := s.more(want)
	if math.IsInf(more, 1) || more > 1e7 {
		total := s.cmp.Total()
		return fmt.Sprintf("%s: %s is not proven harmless", s.Name, phrase.Of(total.CX, total.CN))
	}
	return fmt.Sprintf("%s: %s more requests", s.Name, phrase.Count(math.Max(1, more)))
}

// sharedText says that a limit is broken on both sides; "" when it is not.
func (j *Judge) sharedText(s *signal) string {
	var over float64
	past := false
	switch {
	case s.gauge != nil && s.gauge.Broken && s.gauge.Shared:
		return fmt.Sprintf("%s is beyond its limit of %s on both releases (%s and %s): not the work of this one, or the limit is wrong",
			s.Name, s.Text(*s.Threshold), s.Text(s.gauge.Value[candidate]), s.Text(s.gauge.Value[baseline]))
	case s.limit != nil && s.limit.Broken && s.limit.Shared:
		over, past = *s.Threshold, s.limit.Past
	case s.stop != nil && s.stop.Broken && s.stop.Shared:
		over = *s.HardStop
	default:
		return ""
	}
	if past {
		return fmt.Sprintf("%s is beyond its limit of %s, as it was before the deployment: not the work of this release, or the limit is wrong", s.Name, s.Text(over))
	}
	return fmt.Sprintf("%s is beyond its limit of %s on both releases: not the work of this one, or the limit is wrong", s.Name, s.Text(over))
}

// note is what a reader of the card should know about a signal.
func (j *Judge) note(s *signal) string {
	if text := j.sharedText(s); text != "" {
		return text
	}
	switch {
	case s.values != nil && s.before.Tried() && !s.values.Compared():
		return s.pastNote()
	case s.values != nil && !s.values.Compared() && s.newest >= 0:
		return "not compared: nothing serves beside it, or too little is known of how its values move; limits only"
	case s.cmp == nil || !s.Compare:
		return ""
	case s.unreadable:
		return "the limit lies above the largest bucket of the histogram and cannot be checked"
	case s.cmp.Beside() && (s.cmp.Against() || s.before.Placed()):
		return "compared side by side, and with the past where the old release no longer serves (weaker evidence)" + s.before.DaysText()
	case s.cmp.Against() || !s.cmp.Beside() && s.before.Placed():
		return "nothing runs beside it: compared with the time before the deployment (weaker evidence)" + s.before.DaysText()
	case !s.cmp.Partner() && s.newest >= 0:
		return "nothing to compare with: no old release beside it and too little history; limits only" + s.before.DaysText()
	}
	return ""
}

// stopText says why a hard stop acts.
func (j *Judge) stopText(s *signal) string {
	if s.gauge != nil {
		return fmt.Sprintf("%s of %s is %s, beyond the hard stop of %s", s.Name, j.candidate(), s.Text(s.gauge.Value[candidate]), s.Text(*s.HardStop))
	}
	return fmt.Sprintf("%s in the last %s; the hard stop is %s", j.windowText(s, s.stop, *s.HardStop), phrase.Seconds(s.stop.Window), s.Text(*s.HardStop)) + j.there(s)
}

// thresholdText says which limit is broken, and for how long.
func (j *Judge) thresholdText(s *signal) string {
	held := ""
	if s.gauge != nil {
		if s.For > 0 {
			held = " for " + phrase.Seconds(j.last-s.gauge.Since)
		}
		return fmt.Sprintf("%s of %s is %s, beyond the limit of %s%s", s.Name, j.candidate(), s.Text(s.gauge.Value[candidate]), s.Text(*s.Threshold), held)
	}
	if s.For > 0 {
		held = ", broken for " + phrase.Seconds(j.last-s.limit.Since)
	}
	return fmt.Sprintf("%s in the last %s; the limit is %s%s", j.windowText(s, s.limit, *s.Threshold), phrase.Seconds(s.limit.Window), s.Text(*s.Threshold), held) + j.there(s)
}

func (j *Judge) windowText(s *signal, l *limit.Share, at float64) string {
	c := l.Counts
	if s.Kind == belay.KindHistogram {
		return fmt.Sprintf("%s of %s: %s of requests took longer than %s, %s allows %s,", s.Name, j.candidate(), phrase.Of(c.CX, c.CN),
			s.Text(at), phrase.Quantile(s.Quantile), phrase.Percent(l.Allowed))
	}
	if s.Direction == LowerIsWorse {
		c.CX = c.CN - c.CX
	}
	return fmt.Sprintf("%s of %s is %s", s.Name, j.candidate(), phrase.Of(c.CX, c.CN))
}

// compareText says what the comparison found.
func (j *Judge) compareText(s *signal) string {
	switch {
	case s.blamed():
		return j.pastText(s)
	case s.cmp == nil:
		return j.levelText(s)
	}
	f := s.cmp.Finding()
	c := f.Counts
	var b strings.Builder
	switch {
	case s.Kind == belay.KindCount:
		return fmt.Sprintf("%s of %s is %s against %s of %s; chance under no change %s", s.Name, j.candidate(), phrase.Per(c.CX, c.CN),
			phrase.Per(c.BX, c.BN), j.baseline(), phrase.OneIn(s.logE())) + j.there(s)
	case s.Kind == belay.KindHistogram:
		fmt.Fprintf(&b, "%s of %s: %s of requests took longer than %s", s.Name, j.candidate(), phrase.Of(c.CX, c.CN), s.Text(f.Bound))
	case s.Direction == LowerIsWorse:
		fmt.Fprintf(&b, "%s of %s is %s", s.Name, j.candidate(), phrase.Of(c.CN-c.CX, c.CN))
		c.BX = c.BN - c.BX
	default:
		fmt.Fprintf(&b, "%s of %s is %s", s.Name, j.candidate(), phrase.Of(c.CX, c.CN))
	}
	switch {
	case c.BN > 0:
		fmt.Fprintf(&b, " against %s of %s", phrase.Of(c.BX, c.BN), j.baseline())
	case s.Kind == belay.KindHistogram:
		past := s.cmp.Past()
		fmt.Fprintf(&b, " against %s before the deployment", phrase.Of(past.N-stats.At(past.LE, past.Count, f.Bound), past.N))
	default:
		fmt.Fprintf(&b, " against %s before the deployment", phrase.Of(s.cmp.PastBad(), s.cmp.PastN()))
	}
	if f.Late {
		fmt.Fprintf(&b, " in the last %s", phrase.Seconds(math.Max(1, j.last-f.Since)))
	}
	fmt.Fprintf(&b, "; chance under no change %s", phrase.OneIn(s.logE()))
	return b.String() + j.there(s)
}

// levelText says what the comparison of values found.
func (j *Judge) levelText(s *signal) string {
	ratio, low, high, _ := s.values.Effect()
	text := fmt.Sprintf("%s of %s is %s against %s of %s: %s times as much, surely between %s and %s", s.Name, j.candidate(),
		s.Text(s.gauge.Value[candidate]), s.Text(s.gauge.Value[baseline]), j.baseline(), phrase.Digits(ratio), phrase.Digits(low), phrase.Digits(high))
	return text + "; chance under no change " + phrase.OneIn(s.logE())
}

// there names the worst stratum when one stands out.
func (j *Judge) there(s *signal) string {
	if s.cmp == nil {
		return ""
	}
	f := s.cmp.Finding()
	if f.Stratum == "" {
		return ""
	}
	if s.Kind == belay.KindHistogram || s.Direction == LowerIsWorse {
		return "; worst on " + f.Stratum
	}
	return fmt.Sprintf("; worst on %s: %s", f.Stratum, phrase.Of(f.There.CX, f.There.CN))
}

// firstBad is the first bad moment of a signal.
func (j *Judge) firstBad(s *signal, l *limit.Share) float64 {
	switch {
	case s.gauge != nil && s.gauge.Held:
		return s.gauge.Since
	case l != nil && l.Held:
		return math.Min(l.First, l.Since)
	case l != nil:
		return l.First
	case s.blamed():
		return s.before.Since()
	case s.cmp != nil:
		if f := s.cmp.Finding(); !math.IsNaN(f.Since) {
			return f.Since
		}
	}
	return j.last
}

// blameHealth rules by health checks.
func (j *Judge) blameHealth(down []*checks.Check) *ruling {
	r := &ruling{by: byHealth, first: j.last}
	var texts []string
	for _, c := range down {
		text := c.Name() + " fails" + c.Why()
		texts = append(texts, text)
		if r.first > c.Since {
			r.first = c.Since
		}
		r.culprits = append(r.culprits, c.Status.Check)
	}
	r.reason = fmt.Sprintf("%s was healthy and is not any more: %s", j.candidate(), phrase.And(texts))
	return r
}

// praise says why a release is called healthy.
func (j *Judge) praise() string {
	var parts []string
	for _, s := range j.signals {
		if s.newest >= 0 && s.values != nil && s.before.Placed() {
			parts = append(parts, s.Name+" moves as it did before the deployment")
		}
		if s.newest < 0 || s.cmp == nil {
			continue
		}
		if _, possible := s.logGood(); !possible {
			continue
		}
		if s.Kind == belay.KindHistogram {
			if v := s.level(candidate); v != nil {
				parts = append(parts, fmt.Sprintf("%s %s of %s is not worse", s.Name, phrase.Quantile(s.Quantile), s.Text(*v)))
			}
			continue
		}
		total := s.cmp.Total()
		text := fmt.Sprintf("%s is %s", s.Name, phrase.Of(total.CX, total.CN))
		if total.BN > 0 {
			text += fmt.Sprintf(" against %s of %s", phrase.Of(total.BX, total.BN), j.baseline())
		}
		parts = append(parts, text)
	}
	if n := len(j.health.Statuses()); n > 0 {
		parts = append(parts, fmt.Sprintf("health checks pass for at least %s", phrase.Seconds(j.policy.MinHealthTime)))
	}
	text := "nothing speaks against it, and no signal is required"
	if len(parts) > 0 {
		text = phrase.And(parts)
	}
	if left := slices.DeleteFunc(slices.Clone(j.signals), func(s *signal) bool { return !s.uncompared() }); len(left) > 0 {
		text += "; not compared: " + phrase.And(names(left))
	}
	return fmt.Sprintf("%s is healthy: %s", j.candidate(), text)
}

// silent says that a candidate that had samples has none any more while nothing else can tell how it is. Counts of
// zero are samples: a release without traffic is not silent.
func (j *Judge) silent() string {
	newest, had := j.newestSample()
	if !had || j.last-newest < j.policy.StaleAfter || j.health.Answers() {
		return ""
	}
	return fmt.Sprintf("no sample of %s for %s", j.candidate(), phrase.Seconds(j.last-newest))
}

func (j *Judge) newestSample() (newest float64, had bool) {
	for _, s := range j.signals {
		if s.newest >= 0 && (!had || s.newest > newest) {
			newest, had = s.newest, true
		}
	}
	return newest, had
}

// unrouted says that requests do not reach the candidate while the baseline serves.
func (j *Judge) unrouted() string {
	s, silent := j.routing.Silent()
	if !silent {
		return ""
	}
	return fmt.Sprintf("requests do not reach %s since %s: about %s were to be expected beside %s of %s; routing or counting is broken",
		j.candidate(), phrase.Seconds(math.Max(1, j.last-s.Since)), phrase.Count(s.Expected), phrase.Count(s.Baseline), j.baseline())
}

// ruledOut says what the regression is not: what a person would ask next.
func (j *Judge) ruledOut() []string {
	var out []string
	for _, s := range j.signals {
		if slices.Contains(j.ruling.culprits, s.Name) || !s.compared() || s.weight == 0 || s.newest < 0 {
			continue
		}
		if good, ok := s.logGood(); ok && (s.proved || good >= -math.Log(j.policy.PassRate)) {
			out = append(out, s.Name+" is not worse")
		}
	}
	for _, name := range j.ruling.culprits {
		s := j.byName[name]
		if s == nil || s.cmp == nil || s.weight == 0 {
			continue
		}
		if total := s.cmp.Total(); s.cmp.Beside() && total.BN > 0 {
			out = append(out, fmt.Sprintf("%s of %s did not rise at the same time: nothing that both releases share", s.Name, j.baseline()))
		}
		if n := s.cmp.Strata(); n > 1 {
			out = append(out, fmt.Sprintf("a different mix of traffic: compared route by route, over %d of them", n))
		}
	}
	return out
}
