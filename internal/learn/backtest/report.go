package backtest

import (
	"slices"
)

// Report is what a backtest found.
type Report struct {
	Rules         []Summary      `json:"rules"`
	Cases         []Outcome      `json:"cases"`
	Really        Summary        `json:"really"` // what was really done, summed up in the same way
	Disagreements []Disagreement `json:"disagreements,omitempty"`
	Left          []Left         `json:"left,omitempty"` // cases that could not be replayed
}

// Summary sums up one rule over all cases.
type Summary struct {
	Rule      string `json:"rule"`
	What      string `json:"what,omitempty"`
	Cases     int    `json:"cases"` // that it could be applied to
	TakenBack int    `json:"taken_back"`
	Kept      int    `json:"kept"`
	Held      int    `json:"held"`
	Undecided int    `json:"undecided"`

	// False are good releases that it takes back, of the good ones that it decides about; Missed are bad ones that it
	// keeps, of the bad ones that it decides about. Both need labels.
	False     Rate     `json:"false_rollbacks"`
	Missed    Rate     `json:"missed"`
	FalseIDs  []string `json:"false_ids,omitempty"`
	MissedIDs []string `json:"missed_ids,omitempty"`

	Bad     float64  `json:"bad"`             // bad answers that users would have got, where a bad moment is known
	Avoided float64  `json:"avoided"`         // fewer than there really were, over the cases in which that can be told
	Open    int      `json:"open,omitempty"`  // cases in which it cannot: the record ends too early
	Earlier int      `json:"earlier"`         // taken back sooner than really
	Later   int      `json:"later"`           // taken back later, or not at all, where it really was
	Delay   *float64 `json:"delay,omitempty"` // median seconds from the first bad moment to taking it back
}

// Disagreement is a case that the rules, or a rule and what was really done, do not decide alike.
type Disagreement struct {
	ID     string          `json:"id"`
	Truth  Truth           `json:"truth,omitempty"`
	Really Fate            `json:"really"`
	Fates  map[string]Fate `json:"fates"`
}

// unlabelled tells whether nobody said what a release was worth.
func (t Truth) unlabelled() bool { return t != TruthGood && t != TruthBad }

// Labelled counts the cases whose truth is known.
func (r *Report) Labelled() (good, bad int) {
	for _, c := range r.Cases {
		switch c.Truth {
		case TruthGood:
			good++
		case TruthBad:
			bad++
		case TruthUnknown:
		}
	}
	return good, bad
}

func (r *Report) summarise(rules []Rule) {
	for i, rule := range rules {
		s := Summary{Rule: rule.Name, What: rule.What}
		var delays []float64
		wrong := tallied{}
		for _, o := range r.Cases {
			res := o.Results[i]
			s.count(res.Fate)
			wrong.count(o, res.Fate)
			s.compare(o, res)
			if res.Fate == FateTakenBack && res.Harm != nil {
				delays = append(delays, res.Harm.Seconds)
			}
		}
		wrong.into(&s)
		s.Delay = median(delays)
		r.Rules = append(r.Rules, s)
	}
	r.reality()
	for _, o := range r.Cases {
		if d, ok := disagreement(o); ok {
			r.Disagreements = append(r.Disagreements, d)
		}
	}
}

// reality sums up what was really done.
func (r *Report) reality() {
	s := Summary{Rule: "really"}
	wrong := tallied{}
	var delays []float64
	for _, o := range r.Cases {
		s.count(o.Actual.Fate)
		wrong.count(o, o.Actual.Fate)
		if o.Bad != nil {
			s.Bad += o.Bad.Bad
			if o.Actual.Fate == FateTakenBack {
				delays = append(delays, o.Bad.Seconds)
			}
		}
	}
	wrong.into(&s)
	s.Delay = median(delays)
	r.Really = s
}

func (s *Summary) count(f Fate) {
	if f == FateNone || f == FateUnknown {
		return
	}
	s.Cases++
	switch f {
	case FateTakenBack:
		s.TakenBack++
	case FateKept:
		s.Kept++
	case FateHeld:
		s.Held++
	case FateUndecided:
		s.Undecided++
	case FateUnknown, FateNone:
	}
}

// compare adds how a result compares with what really happened.
func (s *Summary) compare(o Outcome, res Result) {
	if res.Harm != nil {
		s.Bad += res.Harm.Bad
	}
	switch {
	case res.Avoided != nil:
		s.Avoided += *res.Avoided
	case res.Harm != nil:
		s.Open++
	}
	if o.Actual.Fate != FateTakenBack || res.Fate == FateNone {
		return
	}
	switch {
	case res.Fate != FateTakenBack, o.Actual.T != nil && *res.T > *o.Actual.T:
		s.Later++
	case o.Actual.T != nil && *res.T < *o.Actual.T:
		s.Earlier++
	}
}

// tallied are the rights and wrongs of a rule, by what the releases were worth.
type tallied struct {
	good, bad       int
	falsely, missed []string
}

func (w *tallied) count(o Outcome, f Fate) {
	decided := f == FateTakenBack || f == FateKept || f == FateHeld
	switch {
	case !decided || o.Truth.unlabelled():
	case o.Truth == TruthGood:
		w.good++
		if f == FateTakenBack {
			w.falsely = append(w.falsely, o.ID)
		}
	case o.Truth == TruthBad:
		w.bad++
		if f == FateKept {
			w.missed = append(w.missed, o.ID)
		}
	}
}

func (w *tallied) into(s *Summary) {
	s.False, s.Missed = RateOf(len(w.falsely), w.good), RateOf(len(w.missed), w.bad)
	s.FalseIDs, s.MissedIDs = w.falsely, w.missed
}

// median of values; nil of none.
func median(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	m := sorted[(len(sorted)-1)/2]
	return &m
}

func disagreement(o Outcome) (Disagreement, bool) {
	d := Disagreement{ID: o.ID, Truth: o.Truth, Really: o.Actual.Fate, Fates: map[string]Fate{}}
	back, kept := 0, 0
	count := func(f Fate) {
		switch f {
		case FateTakenBack:
			back++
		case FateKept, FateHeld:
			kept++
		case FateUndecided, FateUnknown, FateNone:
		}
	}
	count(o.Actual.Fate)
	for _, r := range o.Results {
		d.Fates[r.Rule] = r.Fate
		count(r.Fate)
	}
	return d, back > 0 && kept > 0
}
