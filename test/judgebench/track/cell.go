package track

import (
	"context"
	"math"
	"runtime"
	"sync"

	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/test/judgebench/rival"
	"github.com/belaydev/belay/test/judgebench/score"
	"github.com/belaydev/belay/test/judgebench/stream"
)

// Cell is one combination of circumstances, played many times with different luck.
type Cell struct {
	Track  string
	Name   string  // of the fault or of the null
	Past   string  // name of the history
	Form   string  // of the samples, where there are several: the layout of buckets
	Margin float64 // ratio of error rates that the judge bears, for the limits
	Spec   stream.Spec
	Onset  float64 // when the fault begins; +Inf without one
	Rules  []rival.Entry
	Runs   int

	open  func(s stream.Spec, run int) stream.Source
	edit  func(*judge.Policy) // what the judge's policy needs for this cell; nil for nothing
	most  int                 // runs that there are; 0 is any number
	least float64             // seconds that any rule takes at least, where the limit is one of time; else 0
}

// Prepare sets the rules of a cell: the judge, with these changes of its policy, and its rivals.
func (c *Cell) Prepare(changes []Override, rivals []rival.Entry) {
	c.Rules = append([]rival.Entry{judgeBy(func(_ rival.Facts, p *judge.Policy) {
		if c.edit != nil {
			c.edit(p)
		}
		for _, o := range changes {
			_ = o.apply(p) // tried when it was read
		}
	})}, rivals...)
}

// Null tells whether there is nothing wrong in the cell.
func (c *Cell) Null() bool { return math.IsInf(c.Onset, 1) }

// facts are what rules may know of the cell.
func (c *Cell) facts() rival.Facts {
	s := &c.Spec
	return rival.Facts{
		Rate: s.Rate, Share: s.Share, Usual: s.Usual, Bad: s.Bad, Onset: c.Onset, Tick: s.Tick, Length: s.Length, Alpha: Alpha,
		Clump: math.Max(1, s.World.Clump.Size),
	}
}

// play runs one deployment past all rules, the same ticks for each, until there is nothing left to learn from it.
func (c *Cell) play(run int, facts rival.Facts) []score.Outcome {
	rules, out := make([]rival.Rule, len(c.Rules)), make([]score.Outcome, len(c.Rules))
	for i, e := range c.Rules {
		rules[i] = e.New(facts)
		out[i].Healthy = math.NaN()
	}
	source, view := c.open(c.Spec, run), rival.NewView()
	bad, excess := 0.0, 0.0
	for open := len(rules); open > 0; {
		tick, ok := source.Next()
		if !ok {
			break
		}
		fresh := view.Take(tick)
		if fresh && view.T > c.Onset {
			bad += view.CX
			excess += view.CX - view.CN*c.Spec.Usual
		}
		for i, r := range rules {
			if out[i].Decided || tick.T < 0 && !c.Rules[i].Past {
				continue
			}
			// The judge decides by itself what to do with a tick that is not new.
			if _, own := r.(*judged); !fresh && !own || !r.Observe(view) {
				continue
			}
			out[i] = score.Outcome{Decided: true, At: view.T, Bad: bad, Excess: excess, Healthy: out[i].Healthy}
			open--
		}
	}
	for i, r := range rules {
		if !out[i].Decided {
			out[i].Bad, out[i].Excess = bad, excess
		}
		if j, ok := r.(*judged); ok {
			out[i].Healthy, out[i].By = j.healthy, j.by
		}
	}
	return out
}

// Result is what a cell gave, one score for each rule, in the order of the cell's rules.
type Result struct {
	*Cell
	Scores []score.Score
}

// Of returns the score of the rule of that name; false when it did not take part.
func (r *Result) Of(rule string) (score.Score, bool) {
	for i, e := range r.Rules {
		if e.Name == rule {
			return r.Scores[i], true
		}
	}
	return score.Score{}, false
}

// Measure plays a cell on all cores. What comes out does not depend on who played which run.
func (c *Cell) Measure(ctx context.Context) (*Result, error) {
	all := make([][]score.Outcome, len(c.Rules))
	for i := range all {
		all[i] = make([]score.Outcome, c.Runs)
	}
	facts := c.facts()
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for run := range jobs {
				for i, o := range c.play(run, facts) {
					all[i][run] = o
				}
			}
		})
	}
	for run := 0; run < c.Runs && ctx.Err() == nil; run++ {
		jobs <- run
	}
	close(jobs)
	wg.Wait()
	r := &Result{Cell: c}
	for _, runs := range all {
		r.Scores = append(r.Scores, score.Of(runs, c.Onset, c.Spec.Length))
	}
	return r, ctx.Err()
}
