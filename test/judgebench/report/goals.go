package report

import (
	"fmt"
	"math"

	"github.com/belaydev/belay/test/bench/figure"
	"github.com/belaydev/belay/test/judgebench/score"
	"github.com/belaydev/belay/test/judgebench/track"
)

// What the judge is to reach with its default policy.
const (
	goalEfficiency = 0.65
	goalLate       = 1.3  // times as long for a fault that begins late
	goalHalf       = 5.0  // seconds for half of the answers being errors, at 20 requests a second
	goalLatency    = 60.0 // seconds for +10 % at 20 requests a second of the candidate
	goalHealthy    = 2.0  // times the limit
)

// goals holds what was measured against what is to be reached; nil when the tracks for it were left out.
func (r *reader) goals() *figure.Table {
	t := figure.NewTable("What", "Goal", "Measured", "", "Where")
	rows := 0
	for _, add := range []func(*figure.Table) bool{r.goalWrong, r.goalEfficiency, r.goalLate, r.goalHalf, r.goalLatency, r.goalHealthy} {
		if add(t) {
			rows++
		}
	}
	if rows == 0 {
		return nil
	}
	return t
}

// worst finds the result with the largest value of what matters.
func worst(all []*track.Result, value func(*track.Result, score.Score) float64) (*track.Result, float64) {
	var most *track.Result
	top := math.Inf(-1)
	for _, c := range all {
		s, ok := c.Of(track.Judge)
		if !ok {
			continue
		}
		if v := value(c, s); !math.IsNaN(v) && (most == nil || v > top) {
			most, top = c, v
		}
	}
	return most, top
}

func where(c *track.Result) string {
	text := fmt.Sprintf("%s, %.4g/s, share %.3g %%, history %s", c.Name, c.Spec.Rate, 100*c.Spec.Share, c.Past)
	if c.Form != "" {
		text += ", buckets " + c.Form
	}
	return text
}

func (r *reader) goalWrong(t *figure.Table) bool {
	high := func(_ *track.Result, s score.Score) float64 { _, _, high := s.Wrong(); return high }
	c, top := worst(r.track("B", nil), high)
	if c == nil {
		return false
	}
	s, _ := c.Of(track.Judge)
	rate, _, _ := s.Wrong()
	t.Row("good releases taken back over an hour, on the worst null", fmt.Sprintf("at most %s, upper limit at most %s", share(track.Alpha), share(2*track.Alpha)),
		fmt.Sprintf("%s, upper limit %s", share(rate), share(top)), figure.Met(top, 2*track.Alpha+1e-9), where(c))
	over, early, runs := 0, 0, 0
	for _, c := range r.track("B", nil) {
		s, ok := c.Of(track.Judge)
		if !ok {
			continue
		}
		early, runs = early+s.Early, runs+s.Runs
		if high(c, s) > 2*track.Alpha {
			over++
		}
	}
	low, up := score.Interval(early, runs)
	t.Row("the same over all nulls together", fmt.Sprintf("at most %s", share(track.Alpha)),
		fmt.Sprintf("%d of %d, %s to %s", early, runs, share(low), share(up)), figure.Met(up, track.Alpha+1e-9), "")
	t.Row("nulls on which that is not shown", "0", fmt.Sprintf("%d of %d", over, len(r.track("B", nil))), figure.Met(float64(over), 0.5), "")
	return true
}

func (r *reader) goalEfficiency(t *figure.Table) bool {
	c, least := worst(r.track("A", func(c *track.Result) bool {
		return c.Onset == 0 && (c.Spec.Rate == 20 || c.Spec.Rate == 200) && c.Spec.Share == 0.1 && c.Spec.Bad >= 0.02 && c.Spec.Bad <= 0.1
	}), func(c *track.Result, s score.Score) float64 { return -c.BadLimit(true) / s.Bad })
	if c == nil {
		return false
	}
	t.Row("least efficiency in bad answers, 0.5 → 2 to 10 %, at 20 and 200 requests/s", fmt.Sprintf("at least %.2f", goalEfficiency),
		fmt.Sprintf("%.2f", -least), figure.Met(goalEfficiency, -least+1e-9), where(c))
	return true
}

func (r *reader) goalLate(t *figure.Table) bool {
	c, top := worst(r.track("A", func(c *track.Result) bool {
		return c.Onset > 0 && (c.Spec.Rate == 20 || c.Spec.Rate == 200) && c.Spec.Share == 0.1 && c.Spec.Bad >= 0.02 && c.Spec.Bad <= 0.1
	}), func(c *track.Result, late score.Score) float64 {
		same := r.one("A", func(o *track.Result) bool {
			return o.Onset == 0 && o.Name == c.Name && o.Past == c.Past && o.Spec.Rate == c.Spec.Rate && o.Spec.Share == c.Spec.Share
		})
		if same == nil {
			return math.NaN()
		}
		soon, _ := same.Of(track.Judge)
		return late.Bad / soon.Bad
	})
	if c == nil {
		return false
	}
	t.Row("a fault that begins after 20 minutes, bad answers against one at the start", fmt.Sprintf("at most %.1f×", goalLate),
		fmt.Sprintf("%.2f×", top), figure.Met(top, goalLate+1e-9), where(c))
	return true
}

func (r *reader) goalHalf(t *figure.Table) bool {
	c, top := worst(r.track("A", func(c *track.Result) bool {
		return c.Onset == 0 && c.Spec.Rate == 20 && c.Spec.Share == 0.1 && c.Spec.Bad == 0.5
	}), func(_ *track.Result, s score.Score) float64 { return s.Median })
	if c == nil {
		return false
	}
	s, _ := c.Of(track.Judge)
	t.Row("half of the answers are errors, 20 requests/s, median", seconds(goalHalf), seconds(top)+", p90 "+seconds(s.P90), figure.Met(top, goalHalf+1e-9), where(c))
	return true
}

func (r *reader) goalLatency(t *figure.Table) bool {
	some := false
	for _, past := range []string{"1h", "none"} {
		c, top := worst(r.track("C", func(c *track.Result) bool { return c.Name == "+10%" && c.Spec.Rate == 200 && c.Past == past }),
			func(_ *track.Result, s score.Score) float64 { return s.Median })
		if c == nil {
			continue
		}
		some = true
		s, _ := c.Of(track.Judge)
		what, goal, met := "answers slower by 10 %, 20 requests/s of the candidate, median, worst buckets", seconds(goalLatency), figure.Met(top, goalLatency+1e-9)
		if past == "none" {
			what, goal, met = "the same for a service of which nothing is known yet", "", ""
		}
		t.Row(what, goal, seconds(top)+", p90 "+seconds(s.P90), met, where(c))
	}
	return some
}

func (r *reader) goalHealthy(t *figure.Table) bool {
	c, top := worst(r.track("B", func(c *track.Result) bool { return c.Name == "iid" && c.HealthyLimit()*goalHealthy < c.Spec.Length }),
		func(c *track.Result, s score.Score) float64 { return s.Healthy / c.HealthyLimit() })
	if c == nil {
		return false
	}
	t.Row("a good release is called healthy, median against the limit, where traffic allows", fmt.Sprintf("at most %.0f×", goalHealthy),
		fmt.Sprintf("%.2f×", top), figure.Met(top, goalHealthy+1e-9), where(c))
	return true
}
