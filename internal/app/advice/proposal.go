package advice

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/config/unit"
	"github.com/belaydev/belay/internal/learn/backtest"
	"github.com/belaydev/belay/internal/learn/backtest/profile"
)

// How far a limit stands from what good releases showed, and a watch from what it took.
const (
	headroom  = 1.5
	patience  = 2.0
	minGood   = 5               // good releases that must have shown a signal before a limit or a margin is proposed
	minProven = 5               // good releases that must have been proven before a deadline is proposed
	toShorten = 20              // good ones for a shorter deadline, and bad ones for a shorter bake
	leastLong = 2 * time.Minute // of a deadline
	leastBake = 10 * time.Minute
)

// proposal collects changes.
type proposal struct {
	service config.Service
	signals []profile.Signal
	report  backtest.Report // of the present policy, and of the same without deadlines

	changes []Change
	apply   map[string][]func(*config.Service) // by kind
	lines   map[string][]line                  // of the section, by kind
}

// line is one setting of the section: "signals.error_rate", "threshold", "2%".
type line struct{ of, key, value string }

func (p *proposal) add(kind string, c Change, of, key string, apply func(*config.Service)) {
	p.changes = append(p.changes, c)
	if c.Proposed == "" {
		return
	}
	if p.apply == nil {
		p.apply, p.lines = map[string][]func(*config.Service){}, map[string][]line{}
	}
	p.apply[kind] = append(p.apply[kind], apply)
	p.lines[kind] = append(p.lines[kind], line{of, key, c.Proposed})
}

// signal changes a signal of a service, of which others hold copies.
func signal(name string, change func(*config.Signal)) func(*config.Service) {
	return func(s *config.Service) {
		s.Signals = slices.Clone(s.Signals)
		for i := range s.Signals {
			if s.Signals[i].Name == name {
				change(&s.Signals[i])
			}
		}
	}
}

func (p *proposal) seen(name string) (profile.Signal, bool) {
	i := slices.IndexFunc(p.signals, func(x profile.Signal) bool { return x.Name == name })
	if i < 0 || p.signals[i].Windows == 0 {
		return profile.Signal{}, false
	}
	return p.signals[i], true
}

// thresholds proposes for each signal a limit that good releases stayed clear of.
func (p *proposal) thresholds() {
	for _, sig := range p.service.Signals {
		seen, ok := p.seen(sig.Name)
		if !ok || sig.Direction == config.EitherIsWorse || sig.Name == config.Throughput {
			continue // a limit has one side, and how many requests there are is not the release's doing
		}
		u := sig.Unit
		if seen.Kind == belay.KindEvents {
			u = unit.Share
		}
		lower := sig.Direction == config.LowerIsWorse
		extreme, in, side := seen.High, seen.HighIn, "at most"
		limit := extreme * headroom
		if lower {
			extreme, in, side = seen.Low, seen.LowIn, "at least"
			limit = extreme / headroom
		}
		if seen.Kind == belay.KindEvents {
			limit = max(limit, 2*float64(sig.SmallestChange))
		}
		text := write(limit, u, !lower)
		c := Change{Setting: "signals." + sig.Name + ".threshold", Present: "none",
			Why: fmt.Sprintf("good releases showed %s %s over %s (%s)", side, write(extreme, u, true), span(max(30*time.Second, sig.For)), in)}
		if sig.Threshold != nil {
			c.Present = sig.Threshold.String()
		}
		var q unit.Quantity
		switch err := q.UnmarshalText([]byte(text)); {
		case limit <= 0 || u == unit.Share && q.Value >= 1 && seen.Kind == belay.KindEvents || err != nil:
			c.Why += ": no limit follows from that"
		case seen.Good < minGood:
			c.Why += fewGood(seen.Good)
		case sig.Threshold != nil && sig.Threshold.Value == q.Value:
			c.Why += ": the present limit fits"
		default:
			c.Proposed = text
			if found := reached(seen.Bad, q.Value, lower); len(seen.Bad) > 0 {
				c.Why += fmt.Sprintf("; %d of %s went beyond the limit", found, plural(len(seen.Bad), "bad release"))
			}
		}
		p.add(thresholds, c, "signals."+sig.Name, "threshold", signal(sig.Name, func(x *config.Signal) { x.Threshold = &q }))
	}
}

// fewGood says that too few good releases are known for a proposal.
func fewGood(n int) string {
	return fmt.Sprintf(": %s, too few to propose from (%d are needed)", plural(n, "good release"), minGood)
}

// reached counts the bad releases that a limit would show.
func reached(bad []profile.Peak, limit float64, lower bool) int {
	n := 0
	for _, b := range bad {
		if !lower && b.High > limit || lower && b.Low < limit {
			n++
		}
	}
	return n
}

// margins proposes a wider margin where a good release differed from the one beside it by more than luck.
func (p *proposal) margins() {
	for _, sig := range p.service.Signals {
		seen, ok := p.seen(sig.Name)
		if !ok || seen.Spread == nil || !sig.Compare {
			continue
		}
		c := Change{Setting: "signals." + sig.Name + ".margin", Present: "learned",
			Why: fmt.Sprintf("of %s, the one that differed most showed %.2f times the share of the old one, at least %.2f (%s)",
				plural(seen.Spread.Of, "good release"), seen.Spread.Ratio, seen.Spread.Sure, seen.Spread.Case)}
		now := 1.0
		if sig.Margin != nil {
			c.Present, now = sig.Margin.String(), float64(*sig.Margin)
		}
		proposed := unit.Factor(math.Ceil(seen.Spread.Sure*1.1*20) / 20)
		switch {
		case seen.Spread.Sure <= 1.05:
			c.Why += ": no more than luck; leave it to be learned"
		case seen.Spread.Of < minGood:
			c.Why += fewGood(seen.Spread.Of)
		case sig.Margin != nil && now >= float64(proposed):
			c.Why += ": the present margin covers it"
		default:
			c.Proposed = proposed.String()
		}
		p.add(margins, c, "signals."+sig.Name, "margin", signal(sig.Name, func(x *config.Signal) { x.Margin = &proposed }))
	}
}

// lengths proposes how long to watch: from how long good releases took to be proven, and how late bad ones showed.
func (p *proposal) lengths() {
	var proven []float64
	unproven, late, latest, in := 0, 0, 0.0, ""
	for _, o := range p.report.Cases {
		res := o.Results[1] // without deadlines
		switch {
		case profile.Good(&o.Case) && res.Fate == backtest.FateKept && res.T != nil:
			proven = append(proven, *res.T)
		case profile.Good(&o.Case):
			unproven++
		case o.Truth == backtest.TruthBad && res.Fate == backtest.FateTakenBack:
			late++
			if *res.T >= latest {
				latest, in = *res.T, o.ID
			}
		}
	}
	w := p.service.Watch
	c := Change{Setting: "watch.deadline", Present: belay.Duration(w.Deadline).String()}
	if n := len(proven); n < minProven {
		c.Why = fmt.Sprintf("good releases that were proven in what was recorded: %d, too few to tell (%d are needed)", n, minProven)
		p.add(watch, c, "", "", nil)
	} else {
		slices.Sort(proven)
		slow := proven[(95*(n-1)+99)/100]
		need := time.Duration(patience * slow * float64(time.Second))
		d := nice(max(leastLong, need))
		c.Why = fmt.Sprintf("19 of 20 good releases were proven within %s", span(time.Duration(slow*float64(time.Second))))
		if unproven > 0 {
			c.Why += fmt.Sprintf("; %s never, in what was recorded", plural(unproven, "other"))
		}
		switch {
		case need <= w.Deadline && d >= w.Deadline:
			c.Why += ": the present one covers that"
		case d < w.Deadline && n < toShorten:
			c.Why += fmt.Sprintf("; %s would do, but a shorter one needs %d of them, not %d", belay.Duration(d), toShorten, n)
		default:
			c.Proposed = belay.Duration(d).String()
		}
		p.add(watch, c, "watch", "deadline", func(s *config.Service) {
			s.Watch.Deadline = d
			s.Watch.StartDeadline, s.Watch.MinTime = min(s.Watch.StartDeadline, d), min(s.Watch.MinTime, d)
		})
	}
	b := Change{Setting: "watch.bake", Present: belay.Duration(w.Bake).String(), Why: "no bad release was found by the judge: nothing says how late they show"}
	if in != "" {
		need := time.Duration(headroom * latest * float64(time.Second))
		d := nice(max(leastBake, need))
		b.Why = fmt.Sprintf("the latest bad release was found after %s (%s)", span(time.Duration(latest*float64(time.Second))), in)
		switch {
		case need <= w.Bake && d >= w.Bake:
			b.Why += ": the present one covers that"
		case d < w.Bake && late < toShorten:
			b.Why += fmt.Sprintf("; %s would do, but a shorter one needs %d bad releases, not %d", belay.Duration(d), toShorten, late)
		default:
			b.Proposed = belay.Duration(d).String()
		}
		p.add(watch, b, "watch", "bake", func(s *config.Service) { s.Watch.Bake = d })
		return
	}
	p.add(watch, b, "", "", nil)
}

// nice rounds a length up to one that people would write.
func nice(d time.Duration) time.Duration {
	for _, m := range []time.Duration{2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 720} {
		if d <= m*time.Minute {
			return m * time.Minute
		}
	}
	return (d + 24*time.Hour - 1) / (24 * time.Hour) * 24 * time.Hour
}

func span(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.0f s", math.Ceil(d.Seconds()))
	}
	return belay.Duration(d.Round(time.Second)).String()
}

// write writes a level with two significant digits, rounded up or down, as belay.yaml has it.
func write(v float64, u string, up bool) string {
	factor, suffix := 1.0, u
	switch u {
	case unit.Share:
		factor = 100
	case unit.Seconds:
		if math.Abs(v) < 1 {
			factor, suffix = 1000, "ms"
		}
	case unit.Bytes:
		suffix = "MiB"
		factor = 1.0 / (1 << 20)
	}
	v *= factor
	if v == 0 {
		return "0" + suffix
	}
	step := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-1)
	n := v / step
	if up {
		n = math.Ceil(n - 1e-9)
	} else {
		n = math.Floor(n + 1e-9)
	}
	text := strconv.FormatFloat(n*step, 'f', 6, 64)
	if step >= 1 {
		text = strconv.FormatFloat(n*step, 'f', 0, 64)
	} else {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + suffix
}

// section writes the settings of a rule for belay.yaml.
func (p *proposal) section(rule string) string {
	var list []line
	for _, kind := range []string{thresholds, margins, watch} {
		if rule == kind || rule == together {
			list = append(list, p.lines[kind]...)
		}
	}
	var b strings.Builder
	head := ""
	for _, sig := range p.service.Signals {
		if settings := of(list, "signals."+sig.Name); settings != "" {
			if head == "" {
				head = "signals:\n"
				b.WriteString(head)
			}
			b.WriteString("  " + sig.Name + ": {" + settings + "}\n")
		}
	}
	if settings := of(list, "watch"); settings != "" {
		b.WriteString("watch: {" + settings + "}\n")
	}
	return b.String()
}

func of(list []line, name string) string {
	var out []string
	for _, l := range list {
		if l.of == name {
			out = append(out, l.key+": "+l.value)
		}
	}
	return strings.Join(out, ", ")
}
