package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/test/bench/figure"
)

// Pretended deployments: the judge alone, in pretended time.
const (
	pretendSeconds = 1800
	lookEvery      = 0.1   // seconds between looks: as the proxy streams
	usual          = 0.005 // errors of the old release and of a healthy new one
)

// world is one pretended deployment.
type world struct {
	rate   float64 // requests a second, of both releases together
	weight float64 // share of the new release
	bad    float64 // its share of errors
	clump  int     // errors come so many at once
}

// outcome is what one way to judge made of it.
type outcome struct {
	found bool
	at    float64 // seconds
	harm  float64 // bad answers of the new release by then
}

// The ways to judge, in the order of outcomes.
const (
	byBelay = iota
	byArgo
	byFlagger
	byHasty
	ways
)

func wayName(w int) string {
	return [ways]string{"belay", "argo3", "flagger5", "hasty3"}[w]
}

// pretend runs one deployment past all ways to judge: the same requests for each.
func pretend(w world, seed uint64) (out [ways]outcome) {
	rng := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // repeatable on purpose
	j := judge.New(judge.DefaultPolicy())
	rules := [ways]*rule{byArgo: {window: 60, most: 3}, byFlagger: {window: 60, most: 4}, byHasty: {window: 10, most: 3}}
	harm, open := 0.0, ways
	for i := 1; i <= int(pretendSeconds/lookEvery) && open > 0; i++ {
		t := float64(i) * lookEvery
		cn, cx := requests(rng, w.rate*w.weight*lookEvery, w.bad, w.clump)
		bn, bx := requests(rng, w.rate*(1-w.weight)*lookEvery, usual, w.clump)
		harm += cx
		for way := range out {
			if out[way].found {
				continue
			}
			var stop bool
			if r := rules[way]; r != nil {
				stop = r.take(i, cn, cx)
			} else {
				sample := belay.Sample{T: t, Signal: "error_rate", Kind: belay.KindEvents}
				candidate, baseline := sample, sample
				candidate.Arm, candidate.N, candidate.X = belay.ArmCandidate, cn, cx
				baseline.Arm, baseline.N, baseline.X = belay.ArmBaseline, bn, bx
				stop = j.Observe(belay.Tick{T: t, Samples: []belay.Sample{candidate, baseline}}).Verdict == belay.VerdictRegressed
			}
			if stop {
				out[way] = outcome{true, t, harm}
				open--
			}
		}
	}
	return out
}

// rule counts windows with less than 99 % success; no data is such a window too.
type rule struct {
	window float64 // seconds
	most   int     // failed windows that it bears
	n, x   float64
	failed int
}

// take adds the requests of the look number i and says whether to go back.
func (r *rule) take(i int, n, x float64) bool {
	r.n, r.x = r.n+n, r.x+x
	if i%int(math.Round(r.window/lookEvery)) != 0 {
		return false
	}
	if r.n == 0 || r.x/r.n > 0.01 {
		r.failed++
	}
	r.n, r.x = 0, 0
	return r.failed > r.most
}

// requests draws a Poisson number of requests and how many of them fail. With clumps, fewer moments are bad and
// more requests fail in each: the share stays.
func requests(rng *rand.Rand, mean, bad float64, clump int) (n, x float64) {
	for at := rng.ExpFloat64(); at < mean; at += rng.ExpFloat64() {
		n++
		if rng.Float64() < bad/float64(clump) {
			x += float64(clump)
		}
	}
	return max(n, x), x
}

// many runs a world often, on all cores. The seeds make it repeatable whatever the order.
func many(ctx context.Context, w world, runs int) ([ways][]outcome, error) {
	var all [ways][]outcome
	for i := range all {
		all[i] = make([]outcome, runs)
	}
	var wg sync.WaitGroup
	jobs := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for run := range jobs {
				for way, o := range pretend(w, uint64(run)+1) {
					all[way][run] = o
				}
			}
		})
	}
	for run := range runs {
		if ctx.Err() != nil {
			break
		}
		jobs <- run
	}
	close(jobs)
	wg.Wait()
	return all, ctx.Err()
}

// judging measures how soon a worse release is found and how often a good one is blamed.
func judging(ctx context.Context, b *bench) error {
	runs, calm := b.times(200, 50), b.times(100, 20)
	found := figure.NewTable("Traffic of the new release", "its errors", "judged by", "runs", "found", "median", "p90", "harmed (median)")
	for _, w := range []world{
		{200, 0.1, 0.05, 1}, {200, 0.1, 0.5, 1}, {200, 0.5, 0.05, 1}, {200, 0.5, 0.5, 1},
	} {
		all, err := many(ctx, w, runs)
		if err != nil {
			return err
		}
		for way, list := range all {
			var at, harm figure.Series
			for _, o := range list {
				if o.found {
					at.Add(o.at)
					harm.Add(o.harm)
				}
			}
			found.Row(fmt.Sprintf("%s = %.0f/s", figure.Percent(w.weight), w.rate*w.weight), figure.Percent(w.bad), wayName(way), fmt.Sprint(runs),
				figure.Percent(float64(len(at))/float64(runs)), figure.Seconds(at.Median()), figure.Seconds(at.Quantile(0.9)), figure.Count(harm.Median()))
			b.say("   %s of 200/s, %s errors, %s: %s", figure.Percent(w.weight), figure.Percent(w.bad), wayName(way), figure.Seconds(at.Median()))
		}
	}
	blamed, wrong, watched, err := healthyOnes(ctx, b, calm)
	if err != nil {
		return err
	}
	b.headline(headline{
		"healthy releases taken back by the judge (30 minutes, pretended)", fmt.Sprintf("%d of %d", wrong, watched), "1 %",
		figure.Met(float64(wrong)/float64(watched), 0.01), "counting rules: see below",
	})
	b.part("How soon the judge sees it, and how often it is wrong", judgeText, found, blamed)
	return nil
}

// healthyOnes counts how often each way takes back a release that is as good as the old one.
func healthyOnes(ctx context.Context, b *bench, runs int) (t *figure.Table, wrong, watched int, err error) {
	head := []string{"Traffic of the new release", "its errors come", "runs"}
	for way := range ways {
		head = append(head, "taken back by "+wayName(way))
	}
	blamed := figure.NewTable(head...)
	for _, w := range []world{{10, 0.1, usual, 1}, {200, 0.1, usual, 1}, {200, 0.5, usual, 1}, {200, 0.1, usual, 3}, {200, 0.5, usual, 3}} {
		all, err := many(ctx, w, runs)
		if err != nil {
			return nil, 0, 0, err
		}
		come := "one by one"
		if w.clump > 1 {
			come = fmt.Sprintf("%d at once", w.clump)
		}
		cells := []string{fmt.Sprintf("%s of %.0f/s = %.0f/s", figure.Percent(w.weight), w.rate, w.rate*w.weight), come, fmt.Sprint(runs)}
		for way, list := range all {
			n := 0
			for _, o := range list {
				if o.found {
					n++
				}
			}
			cells = append(cells, figure.Percent(float64(n)/float64(runs)))
			if way == byBelay {
				wrong, watched = wrong+n, watched+runs
			}
		}
		blamed.Row(cells...)
		b.say("   healthy, %s", cells)
	}
	return blamed, wrong, watched, nil
}

const judgeText = `
The judge alone with its default policy, in pretended time: Poisson traffic, 0.5 %% of errors usual in both releases, the
old release beside the new one. Seeded: it gives the same numbers on every machine. All ways see the same requests.
belay looks every 100 ms, which is what the counts of the proxy allow.

- *argo3*: at least 99 %% success in each window of 60 s, no data is a failed window, and the fourth failed window ends
  it (failureLimit 3): rebuilt from the semantics of Argo Rollouts' analysis, with the values of its documented examples.
- *flagger5*: the same windows, and the fifth failed one ends it (threshold 5): rebuilt from those of Flagger.
- *hasty3*: argo3 with windows of 10 s: what somebody would choose who wants it quicker.

These are rules rebuilt here, not those products at work; their users can choose other windows and limits.

%s
A healthy release, watched for 30 minutes:

%s
The counting rules are right where a window holds many requests, and wrong where a few usual errors in it already break
99 %%: they buy being right with being slow, and how slow depends on the traffic.
`
