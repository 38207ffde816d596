// Package policy says how a deployment is judged: what is compared, with which bounds, against which limits. It holds
// defaults, finds what cannot be judged by, and writes itself in one line; it judges nothing.
package policy

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/phrase"
)

// Direction says which way a signal gets worse.
type Direction string

// The directions.
const (
	HigherIsWorse Direction = "higher_is_worse"
	LowerIsWorse  Direction = "lower_is_worse"
	Either        Direction = "either"
)

// Policy says how one watch is judged. Zero fields take the values of Default, except the names and Signals.
type Policy struct {
	Candidate string // name of the new release in texts
	Baseline  string // name of the release it replaces

	// FalseRollbackRate bounds the chance that the comparison calls a release regressed that is not, over all
	// signals and the whole watch.
	FalseRollbackRate float64
	// PassRate bounds the chance that a release at the harm limit of a signal is called healthy by it.
	PassRate float64

	MinTime       float64 // seconds of observation before anything is called healthy
	MinHealthTime float64 // seconds for which all health checks must have passed
	Warmup        float64 // seconds in which response times are not compared: cold caches
	Deadline      float64 // seconds the watch and the bake may last: over these the start of a fault is spread
	StaleAfter    float64 // seconds without any sample after which a candidate that had samples counts as silent
	BlindAfter    float64 // seconds for which a source may be unreadable before belay calls itself blind

	Signals []Signal
}

// Signal says how one signal is judged. Zero fields take defaults that suit the kind.
type Signal struct {
	Name      string
	Unit      string           // "%", "s", "/s", "B"
	Kind      belay.SampleKind // empty: that of the first sample
	Direction Direction        // empty: higher is worse, or of a value without a limit, either way

	Threshold   *float64 // the limit: a share for events, a value otherwise
	For         float64  // seconds for which the limit must be broken
	HardStop    *float64 // the limit that acts in one tick
	HardStopMin int      // events that a hard stop needs

	Compare        bool    // compare with the baseline
	Margin         float64 // factor up to which instances of one release differ, persistently; 0: learned, or 1.5 while nothing is known
	SmallestChange float64 // smallest change that matters: absolute for events, relative otherwise
	Harm           float64 // odds ratio that must be excluded for healthy
	Quantile       float64 // of a histogram, that Threshold and HardStop are about
	Required       bool    // without this signal nothing is called healthy
	Weight         float64 // share of the false-rollback rate, relative to the other signals
	Dispersion     float64 // size of the clumps in which bad events come (retries), 1 when independent; 0: learned, held at 5 while nothing is known
}

// Default compares error rate and response time, stops at 25 % errors, and needs traffic to call a release
// healthy.
func Default() Policy {
	stop := 0.25
	return Policy{
		FalseRollbackRate: 0.01,
		PassRate:          0.05,
		MinTime:           10,
		MinHealthTime:     10,
		Warmup:            15,
		Deadline:          2400,
		StaleAfter:        15,
		BlindAfter:        3,
		Signals: []Signal{
			{Name: "error_rate", Unit: "%", Kind: belay.KindEvents, HardStop: &stop, Compare: true, Required: true, Weight: 0.6},
			{Name: "response_time", Unit: "s", Kind: belay.KindHistogram, Compare: true, Weight: 0.4},
		},
	}
}

// Filled returns p with defaults in the place of zero values.
func (p Policy) Filled() Policy {
	d := Default()
	for _, f := range []struct {
		have *float64
		want float64
	}{
		{&p.FalseRollbackRate, d.FalseRollbackRate},
		{&p.PassRate, d.PassRate},
		{&p.MinTime, d.MinTime},
		{&p.MinHealthTime, d.MinHealthTime},
		{&p.Warmup, d.Warmup},
		{&p.Deadline, d.Deadline},
		{&p.StaleAfter, d.StaleAfter},
		{&p.BlindAfter, d.BlindAfter},
	} {
		if *f.have == 0 {
			*f.have = f.want
		}
	}
	p.Signals = slices.Clone(p.Signals)
	for i := range p.Signals {
		p.Signals[i] = p.Signals[i].Filled()
	}
	return p
}

// Filled returns s with the defaults of its kind in the place of zero values.
func (s Signal) Filled() Signal {
	smallest := s.SmallestChange
	switch s.Kind {
	case belay.KindEvents:
		smallest = 0.005
	case belay.KindHistogram:
		smallest = 0.1
	case belay.KindGauge:
		smallest = 0.1
	case belay.KindCount:
		smallest = 0.2
	}
	for _, f := range []struct {
		have *float64
		want float64
	}{
		{&s.SmallestChange, smallest},
		{&s.Harm, 2},
		{&s.Quantile, 0.95},
		{&s.Weight, 1},
	} {
		if *f.have == 0 {
			*f.have = f.want
		}
	}
	if s.HardStopMin == 0 {
		s.HardStopMin = 20
	}
	switch {
	case s.Direction != "" || s.Kind == "": // settled with the kind
	case s.Kind == belay.KindGauge && s.Threshold == nil && s.HardStop == nil:
		s.Direction = Either // a limit says which way is worse
	default:
		s.Direction = HigherIsWorse
	}
	return s
}

// Validate says all that cannot be judged by this policy, or nil.
func (p Policy) Validate() error {
	var bad []string
	refuse := func(ok bool, format string, args ...any) {
		if !ok {
			bad = append(bad, fmt.Sprintf(format, args...))
		}
	}
	p = p.Filled()
	refuse(p.FalseRollbackRate > 0 && p.FalseRollbackRate <= 0.5, "false rollback rate %v: want more than 0, at most 0.5", p.FalseRollbackRate)
	refuse(p.PassRate > 0 && p.PassRate <= 0.5, "pass rate %v: want more than 0, at most 0.5", p.PassRate)
	for _, v := range []float64{p.MinTime, p.MinHealthTime, p.Warmup, p.Deadline, p.StaleAfter, p.BlindAfter} {
		refuse(v >= 0 && !math.IsInf(v, 1), "time of %v s: want 0 or more", v)
	}
	for i, s := range p.Signals {
		same := func(o Signal) bool { return o.Name == s.Name }
		refuse(s.Name != "", "signal %d has no name", i+1)
		refuse(slices.IndexFunc(p.Signals, same) == i, "signal %s is named twice", s.Name)
		for _, problem := range s.problems() {
			refuse(false, "signal %s: %s", s.Name, problem)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return belay.Errorf(belay.CodeInvalid, "judge by this policy: %s", strings.Join(bad, "; "))
}

func (s Signal) problems() []string {
	var bad []string
	refuse := func(ok bool, format string, args ...any) {
		if !ok {
			bad = append(bad, fmt.Sprintf(format, args...))
		}
	}
	refuse(slices.Contains([]belay.SampleKind{"", belay.KindEvents, belay.KindCount, belay.KindHistogram, belay.KindGauge}, s.Kind), "kind %q is unknown", s.Kind)
	refuse(slices.Contains([]Direction{"", HigherIsWorse, LowerIsWorse, Either}, s.Direction), "direction %q is unknown", s.Direction)
	refuse(s.Kind != belay.KindHistogram || s.Direction == HigherIsWorse, "a histogram can only be judged with %s", HigherIsWorse)
	refuse(s.Kind != belay.KindEvents && s.Kind != belay.KindCount || s.Direction != Either, "events get worse one way only")
	refuse(s.Kind != belay.KindCount || s.Threshold == nil && s.HardStop == nil, "a count without a denominator has no limit: give its rate as a gauge")
	refuse(s.Margin == 0 || s.Margin >= 1 && s.Margin <= 100, "margin %v: want 1 to 100", s.Margin)
	refuse(s.Harm > 1, "harm %v: want more than 1", s.Harm)
	refuse(s.Kind == "" && s.SmallestChange == 0 || s.SmallestChange > 0 && s.SmallestChange < 1, "smallest change %v: want a share between 0 and 1", s.SmallestChange)
	refuse(s.Quantile > 0 && s.Quantile < 1, "quantile %v: want a share between 0 and 1", s.Quantile)
	refuse(s.Weight > 0 && !math.IsInf(s.Weight, 1), "weight %v: want more than 0", s.Weight)
	refuse(s.Dispersion == 0 || s.Dispersion >= 1 && s.Dispersion <= 1000, "dispersion %v: want 1 to 1000", s.Dispersion)
	refuse(s.For >= 0, "for %v s: want 0 or more", s.For)
	refuse(s.HardStopMin > 0, "%d events for a hard stop: want 1 or more", s.HardStopMin)
	for _, l := range []*float64{s.Threshold, s.HardStop} {
		if l == nil {
			continue
		}
		refuse(!math.IsNaN(*l) && !math.IsInf(*l, 0), "limit %v: want a number", *l)
		refuse(s.Kind != belay.KindEvents || *l > 0 && *l < 1, "limit %v: want a share between 0 and 1", *l)
	}
	return bad
}

// String returns the policy in one line, for the record.
func (p Policy) String() string {
	p = p.Filled()
	var b strings.Builder
	fmt.Fprintf(&b, "false rollbacks at most %s over the whole watch; healthy after %s at the earliest",
		phrase.Percent(p.FalseRollbackRate), phrase.Seconds(p.MinTime))
	for _, s := range p.Signals {
		fmt.Fprintf(&b, "; %s", s.Name)
		var parts []string
		if s.Threshold != nil {
			part := fmt.Sprintf("limit %s", s.Text(*s.Threshold))
			if s.Kind == belay.KindHistogram {
				part += " at " + phrase.Quantile(s.Quantile)
			}
			if s.For > 0 {
				part += " for " + phrase.Seconds(s.For)
			}
			parts = append(parts, part)
		}
		if s.HardStop != nil {
			parts = append(parts, fmt.Sprintf("hard stop %s", s.Text(*s.HardStop)))
		}
		if s.Compare {
			change := phrase.Percent(s.SmallestChange)
			if s.Kind == belay.KindEvents {
				change = strings.TrimSuffix(change, " %") + " points"
			}
			part := "compared, changes from " + change
			if s.Margin > 0 {
				part += fmt.Sprintf(", margin %.3g", s.Margin)
			}
			parts = append(parts, part)
		}
		if len(parts) == 0 {
			parts = append(parts, "shown only")
		}
		b.WriteString(" " + strings.Join(parts, ", "))
	}
	return b.String()
}

// Text writes a value of the signal in its unit; of events it is a share.
func (s *Signal) Text(v float64) string {
	if s.Kind == belay.KindEvents {
		return phrase.Percent(v)
	}
	return phrase.Value(v, s.Unit)
}

// SmallestShift is the absolute part of the smallest change of response times, in seconds: nobody notices five
// milliseconds, and two instances of one release differ by that much.
func (s *Signal) SmallestShift() float64 {
	if s.Unit == "s" {
		return 0.005
	}
	return 0
}

// Allowed turns a limit into the share of bad, or slow, events that it allows; false where a limit makes no sense for
// the kind, possible only when the policy left the kind open.
func (s *Signal) Allowed(at *float64) (share float64, ok bool) {
	if at == nil || s.Kind != belay.KindEvents && s.Kind != belay.KindHistogram {
		return 0, false
	}
	allowed := *at
	switch {
	case s.Kind == belay.KindHistogram:
		allowed = 1 - s.Quantile
	case s.Direction == LowerIsWorse:
		allowed = 1 - *at
	}
	return allowed, allowed > 0 && allowed < 1
}

// Worse tells whether v breaks the limit in the signal's direction.
func (s *Signal) Worse(v, at float64) bool {
	switch s.Direction {
	case LowerIsWorse:
		return v < at
	case Either:
		return math.Abs(v) > at
	case HigherIsWorse:
	}
	return v > at
}
