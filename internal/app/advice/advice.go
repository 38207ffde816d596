// Package advice proposes from the past of a service how it should be judged, and tries what it proposes on that past.
// It is part of the composition root; it changes nothing.
package advice

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/past"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/learn/backtest"
	"github.com/belaydev/belay/internal/learn/backtest/profile"
)

// Question is what is known.
type Question struct {
	Cases    []backtest.Case
	Streams  *past.Streams // nil when they come from elsewhere
	Present  past.Policy
	Progress func(done, all int) // may be nil
}

// Change is one setting, and what is proposed for it.
type Change struct {
	Setting  string `json:"setting"` // as in "signals.error_rate.threshold"
	Present  string `json:"present"`
	Proposed string `json:"proposed"` // empty: leave it
	Why      string `json:"why"`
}

// Advice is the answer.
type Advice struct {
	belay.Ref
	Good    int             `json:"good"` // releases that count as good: labelled so, or kept and not labelled
	Bad     int             `json:"bad"`
	Changes []Change        `json:"changes"`
	Best    string          `json:"best"`   // the name of the rule of Report that is advised
	Better  bool            `json:"better"` // it did better on this past than the present one; else no worse
	Section string          `json:"section,omitempty"`
	Notes   []string        `json:"notes,omitempty"`
	Report  backtest.Report `json:"report"`
}

// The names of the rules that are tried.
const (
	present    = "present"
	thresholds = "thresholds"
	margins    = "margins"
	watch      = "watch"
	together   = "together"
)

// few is how many good releases are too few for a rate below 10 % to be believed.
const few = 30

// Suggest proposes.
func Suggest(ctx context.Context, q Question) (Advice, error) {
	ref := q.ref()
	section, err := q.Present.Section(ref)
	if err != nil {
		return Advice{}, err
	}
	s := section.Service
	a := Advice{Ref: ref}
	for i := range q.Cases {
		switch {
		case profile.Good(&q.Cases[i]):
			a.Good++
		case q.Cases[i].Truth == backtest.TruthBad:
			a.Bad++
		}
	}
	if a.Good == 0 {
		return Advice{}, belay.Errorf(belay.CodeConflict, "none of the %d deployments is known to have been good", len(q.Cases)).
			WithNext("label some: belay label, or the labels of docs/backtest.md")
	}
	signals, err := profile.Of(ctx, q.Cases, func(name string) (window, quantile float64) {
		window, quantile = 30, 0.95
		if i := slices.IndexFunc(s.Signals, func(x config.Signal) bool { return x.Name == name }); i >= 0 {
			window, quantile = max(window, s.Signals[i].For.Seconds()), float64(s.Signals[i].Quantile)
		}
		return window, quantile
	})
	if err != nil {
		return Advice{}, err
	}
	endless := s
	endless.Watch.StartDeadline, endless.Watch.Deadline, endless.Watch.Bake = 0, 0, 0
	first, err := q.try(ctx, q.rule(present, s), q.rule("endless", endless))
	if err != nil {
		return Advice{}, err
	}
	p := proposal{service: s, signals: signals, report: first}
	p.thresholds()
	p.margins()
	p.lengths()
	a.Changes = p.changes
	return a, q.compare(ctx, &a, s, p)
}

// ref is the service that the cases are of.
func (q Question) ref() belay.Ref {
	if len(q.Cases) == 0 {
		return belay.Ref{}
	}
	return q.Cases[0].Ref
}

// rule is a service's section as a rule for every case.
func (q Question) rule(name string, s config.Service) backtest.Rule {
	cfg := *q.Present.Config
	cfg.Services = []config.Service{s}
	r := past.Policy{Name: name, File: q.Present.File, Config: &cfg, Bare: true}.Rule(q.Streams)
	r.What = map[string]string{present: "as it is", thresholds: "with the proposed thresholds", margins: "with the proposed margins",
		watch: "with the proposed lengths of the watch", together: "with all that is proposed"}[name]
	return r
}

func (q Question) try(ctx context.Context, rules ...backtest.Rule) (backtest.Report, error) {
	return backtest.Run(ctx, q.Cases, rules, backtest.Options{Workers: runtime.GOMAXPROCS(0), Progress: q.Progress})
}

// compare tries each kind of change alone and all together, and picks what is advised.
func (q Question) compare(ctx context.Context, a *Advice, s config.Service, p proposal) error {
	rules := []backtest.Rule{q.rule(present, s)}
	all := s
	kinds := 0
	for _, k := range []string{thresholds, margins, watch} {
		if apply := p.apply[k]; len(apply) > 0 {
			kinds++
			one := s
			for _, change := range apply {
				change(&one)
				change(&all)
			}
			rules = append(rules, q.rule(k, one))
		}
	}
	if kinds > 1 {
		rules = append(rules, q.rule(together, all))
	}
	var err error
	if a.Report, err = q.try(ctx, rules...); err != nil {
		return err
	}
	a.Best = best(a.Report.Rules)
	for _, sum := range a.Report.Rules {
		now := a.Report.Rules[0]
		a.Better = a.Better || sum.Rule == a.Best && (sum.False.K < now.False.K || sum.Missed.K < now.Missed.K || sum.Held < now.Held || sum.Bad < now.Bad)
	}
	a.Section = p.section(a.Best)
	a.notes()
	return nil
}

// best is the last rule, which changes most, if it is no worse than the present one; else the best of those that are not.
func best(rules []backtest.Summary) string {
	now := rules[0]
	noWorse := func(s backtest.Summary) bool {
		return s.False.K <= now.False.K && s.Missed.K <= now.Missed.K && s.Held <= now.Held && s.Bad <= now.Bad
	}
	for _, s := range slices.Backward(rules[1:]) {
		if noWorse(s) {
			return s.Rule
		}
	}
	// None is as good in everything: fewer wrong decisions may be worth more bad answers.
	choice := now
	for _, s := range rules[1:] {
		if s.False.K+s.Missed.K < choice.False.K+choice.Missed.K {
			choice = s
		}
	}
	return choice.Rule
}

func (a *Advice) notes() {
	add := func(text string, args ...any) { a.Notes = append(a.Notes, fmt.Sprintf(text, args...)) }
	good, bad := a.Report.Labelled()
	if good+bad < a.Good+a.Bad {
		add("Not labelled: %d of the releases that count as good; they were kept, and nobody said otherwise.", a.Good-good)
	}
	if a.Good < few {
		add("Good releases this few (%d) prove little: even if none would be taken back, the rate behind that may be as high as %.0f %%.", a.Good, 100*backtest.RateOf(0, a.Good).High)
	}
	if a.Bad == 0 {
		add("No bad release is known, so nothing shows whether the proposal would still find one.")
	}
	add("The proposal was made from the same past that it is tried on, so it looks better here than it will be. Keep some deployments back to check it.")
}

// plural writes "1 release", "2 releases".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, strings.TrimSuffix(what, "s"))
}
