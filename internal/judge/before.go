package judge

import (
	"fmt"
	"math"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/compare"
	"github.com/belaydev/belay/internal/judge/past"
	"github.com/belaydev/belay/internal/judge/phrase"
	"github.com/belaydev/belay/internal/judge/placebo"
	"github.com/belaydev/belay/internal/judge/stats"
)

// longPast is the history, in seconds, from which on what is counted is compared with its own past by placebos. Errors
// beside the comparison with the past rate, which finds what is far beyond the worst minute at once; response times
// instead of it, which takes them for constant but for a margin. A shorter history does not show what a day does by
// itself: there these must do, and for response times the placebos that there are must not look as bad.
const longPast = 24 * 3600

// newBet begins the comparison with the past.
func newBet(s *signal) *past.Bet {
	set := past.Settings{Direction: placeboDirection(s.Direction), MinEffect: s.SmallestChange, Length: s.watch.Deadline, Warmup: s.watch.Warmup}
	b := &past.Bet{}
	if s.Kind != belay.KindGauge {
		set.Ratio = true
		b.Long, b.Matters = longPast, s.matters
	}
	if s.Kind != belay.KindHistogram {
		set.Least = b.Long
	}
	if s.Kind == belay.KindEvents { // bad ones are counted
		set.Direction, set.MinEffect = placebo.Higher, placebo.DefaultMinEffect
	}
	b.Series = past.New(set)
	return b
}

// matters tells whether a change of what is counted is worth acting on: of the share of bad events, of the mean of a
// histogram, of the rate of a count.
func (s *signal) matters(actual, usual float64) bool {
	switch {
	case s.Kind == belay.KindEvents:
		return actual-usual >= s.SmallestChange
	case s.Direction == LowerIsWorse:
		return actual <= usual*(1-s.SmallestChange)
	}
	return actual >= usual*(1+s.SmallestChange) && actual-usual >= s.SmallestShift()
}

// counted is what a sample adds to numerator and denominator of the comparison with the past.
func (s *signal) counted(c *compare.Sample) (sum, n float64) {
	if s.Kind == belay.KindHistogram {
		return c.Sum, c.N
	}
	return c.X, c.N
}

func placeboDirection(d Direction) placebo.Direction {
	switch d {
	case LowerIsWorse:
		return placebo.Lower
	case Either:
		return placebo.Either
	case HigherIsWorse:
	}
	return placebo.Higher
}

// blamed tells whether it is the past that speaks against the candidate most.
func (s *signal) blamed() bool { return s.before.Blames(s.other()) }

// nearly is how near to acting the evidence of the past is suspicious: it is not taken back when nothing follows.
const nearly = 3

// suspect tells whether a signal speaks against the candidate so much that it is not called healthy.
func (s *signal) suspect() bool {
	least := math.Log(suspicion)
	if s.blamed() && s.weight > 0 {
		least = math.Max(least, -math.Log(s.watch.FalseRollbackRate*s.weight*nearly))
	}
	return s.logE() >= least
}

// remember takes a sample from before the deployment. What stands for all instances together tells nothing of one, and
// once the comparison with the past has begun it comes too late.
func (s *signal) remember(t float64, m *belay.Sample, c compare.Sample) {
	whole := m.Instance == belay.AllInstances
	sum, n := m.Value, 1.0
	if s.cmp != nil {
		sum, n = s.counted(&c)
	}
	if s.before != nil {
		s.before.Remember(t, sum, n)
		if whole && s.before.Tried() {
			return
		}
	}
	switch {
	case s.values != nil && !whole:
		s.values.Remember(t, m.Instance, m.Value)
	case s.cmp != nil && (s.Kind != belay.KindHistogram || len(m.LE) > 0): // without bounds it tells of the mean alone
		s.cmp.Remember(t, c)
		if s.Kind == belay.KindHistogram && s.limit != nil {
			slow, _ := stats.Above(m.LE, m.Count, m.N, *s.Threshold)
			bad := s.overPast.Rate*s.overPast.N + slow
			s.overPast.N += m.N
			s.overPast.Rate = bad / math.Max(1, s.overPast.N)
		}
	}
}

// unmeasured says why a value cannot be compared with anything; "" when it can, or when that is not known yet.
func (s *signal) unmeasured() string {
	if s.values == nil || s.values.Compared() {
		return ""
	}
	return s.before.LackText()
}

// uncompared tells whether a signal that is to be compared has nothing to be compared with, and no limit either.
func (s *signal) uncompared() bool {
	if !s.Compare || s.newest < 0 || s.Threshold != nil || s.HardStop != nil || s.before.Placed() {
		return false
	}
	if s.values != nil {
		return !s.values.Compared()
	}
	_, provable := s.logGood()
	return !s.cmp.Partner() && !provable
}

// lackOfPast says what a value needs for healthy, where the past is all there is to compare it with.
func (s *signal) lackOfPast() string {
	if s.before.Beside() || s.values.Compared() {
		return ""
	}
	if text := s.before.WaitText(); text != "" {
		return s.Name + ": " + text
	}
	return ""
}

// pastNote says what a value is compared with, where that is the past.
func (s *signal) pastNote() string {
	if text := s.unmeasured(); text != "" {
		return "not compared: nothing serves beside it, and " + text + "; limits only"
	}
	moments, _ := s.before.Test().Placebos()
	note := fmt.Sprintf("nothing runs beside it: compared with %d moments before the deployment, by time of day as far as the past reaches (weaker evidence)", moments)
	if _, most := s.before.Judged(); most < s.watch.Deadline-s.before.Seconds() {
		note += fmt.Sprintf("; the past suffices for the first %s of the watch", phrase.Seconds(most))
	}
	return note
}

// pastText says what the comparison with the past found.
func (j *Judge) pastText(s *signal) string {
	f := s.before.Test().Finding()
	from, to := s.before.Span(f)
	if s.Kind == belay.KindEvents && s.Direction == LowerIsWorse {
		f.Actual, f.Usual = 1-f.Actual, 1-f.Usual
	}
	what := fmt.Sprintf("is %s where %s is usual", s.Text(f.Actual), s.Text(f.Usual))
	what = past.Manner(f, what, s.Text(f.Actual))
	if s.Kind == belay.KindHistogram {
		what += " on average"
	}
	return fmt.Sprintf("%s of %s %s, from %s to %s after the deployment; %s of %d moments before it looked as bad; chance under no change %s",
		s.Name, j.candidate(), what, phrase.Seconds(from), phrase.Seconds(to), past.AsBad(f), f.Of, phrase.OneIn(s.logE()))
}
