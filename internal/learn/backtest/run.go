package backtest

import (
	"context"
	"math"
	"sync"

	"github.com/belaydev/belay/internal/judge/stream"
)

// Options of Run.
type Options struct {
	Workers int // cases replayed at once; 1 when less
	// Progress is called when another case is done, by one goroutine at a time.
	Progress func(done, all int)
}

// Outcome is one case with what each rule would have made of it, in the order of the rules.
type Outcome struct {
	Case
	Length  float64  `json:"length"`         // seconds of the record after the deployment
	Bad     *Harm    `json:"harm,omitempty"` // what really happened between the first bad moment and the end
	Results []Result `json:"results"`
}

// Left is a case that could not be replayed, and why.
type Left struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
	Broken bool   `json:"broken,omitempty"` // it could not be read; else there was nothing in it
}

// Run replays each case once, through all rules at the same time. What could not be read is left out and listed; only
// an end of ctx is an error.
func Run(ctx context.Context, cases []Case, rules []Rule, o Options) (Report, error) {
	outcomes, left := make([]*Outcome, len(cases)), make([]*Left, len(cases))
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		next = make(chan int)
		done int
	)
	for range max(1, min(o.Workers, len(cases))) {
		wg.Go(func() {
			for i := range next {
				outcomes[i], left[i] = replay(ctx, cases[i], rules)
				mu.Lock()
				done++
				if o.Progress != nil {
					o.Progress(done, len(cases))
				}
				mu.Unlock()
			}
		})
	}
	for i := range cases {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	var r Report
	for i := range cases {
		if left[i] != nil {
			r.Left = append(r.Left, *left[i])
			continue
		}
		r.Cases = append(r.Cases, *outcomes[i])
	}
	r.summarise(rules)
	return r, nil
}

func replay(ctx context.Context, c Case, rules []Rule) (*Outcome, *Left) {
	players := make([]player, len(rules))
	for i, r := range rules {
		players[i] = r.begin(&c)
	}
	var sums tally
	seen := false
	read := func(tick stream.Tick) {
		seen = seen || tick.T >= 0
		sums.take(&tick)
		for _, p := range players {
			if !p.done() {
				p.take(&tick)
			}
		}
	}
	for tick, err := range c.Ticks {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, &Left{ID: c.ID, Reason: err.Error(), Broken: true}
		}
		read(tick)
	}
	if !seen {
		return nil, &Left{ID: c.ID, Reason: "nothing of it was recorded"}
	}
	o := &Outcome{Case: c, Length: sums.end}
	for i, p := range players {
		r := p.result(&c)
		r.Rule = rules[i].Name
		o.Results = append(o.Results, r)
	}
	o.blame(&sums)
	return o, nil
}

// blame tells the harm that each rule would have let happen, and that really happened: from the first bad moment,
// where that is known, or the earliest that a policy saw.
func (o *Outcome) blame(sums *tally) {
	if o.Truth == TruthGood {
		return // whoever took it back was wrong about a bad moment, too
	}
	first := math.Inf(1)
	for _, r := range o.Results {
		if r.FirstBad != nil {
			first = min(first, *r.FirstBad)
		}
	}
	switch {
	case o.FirstBad != nil:
		first = *o.FirstBad
	case !math.IsInf(first, 1):
		o.FirstBad = &first
	case o.Truth == TruthBad:
		first = 0
	default:
		return
	}
	var really *float64
	if o.Actual.Fate == FateTakenBack {
		really = o.Actual.T
	}
	if o.Bad = sums.harm(first, really); o.Bad == nil {
		return
	}
	for i := range o.Results {
		r := &o.Results[i]
		if r.Fate == FateNone {
			continue
		}
		var decided *float64
		if r.Fate == FateTakenBack {
			decided = r.T
		}
		r.Harm = sums.harm(first, decided)
		r.Harm.Open = decided == nil && o.Actual.Fate == FateTakenBack
		if !r.Harm.Open {
			fewer := o.Bad.Bad - r.Harm.Bad
			r.Avoided = &fewer
		}
	}
}
