package rival

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/belaydev/belay/test/judgebench/stream"
)

// Calibrated are rules whose limit is set by simulation so that they are wrong in one watch of a hundred, when errors
// are independent and traffic is steady. They know that traffic, and CUSUM knows the usual error rate.
func Calibrated() []Entry {
	c := &calibration{at: map[string]*point{}}
	return []Entry{
		entry("cusum-2x", "CUSUM for twice the usual rate, which it knows; limit calibrated for an hour of independent errors", func(f Facts) Rule {
			return &calibrated{c.bars(f).cusum, newCusum(f)}
		}),
		entry("maxsprt", "binomial MaxSPRT; limit calibrated for an hour of independent errors", func(f Facts) Rule {
			return &calibrated{c.bars(f).maxSPRT, &maxSPRT{}}
		}),
	}
}

// statistic is what a calibrated rule follows.
type statistic interface{ next(v *View) float64 }

type calibrated struct {
	bar float64
	statistic
}

// Observe takes a tick.
func (r *calibrated) Observe(v *View) bool { return v.T > 0 && r.next(v) > r.bar }

// cusum sums up the likelihood ratio of twice the usual error rate, and begins anew whenever it speaks against it.
type cusum struct{ p0, s float64 }

func newCusum(f Facts) *cusum { return &cusum{p0: f.Usual} }

func (c *cusum) next(v *View) float64 {
	c.s = math.Max(0, c.s+v.CX*math.Ln2+(v.CN-v.CX)*math.Log((1-2*c.p0)/(1-c.p0)))
	return c.s
}

// maxSPRT is the likelihood ratio of the candidate's share of all bad events since the deployment, at its maximum over
// all ratios (Kulldorff and others, "A Maximized Sequential Probability Ratio Test", 2011; the binomial version).
type maxSPRT struct{ cn, cx, bn, bx float64 }

func (m *maxSPRT) next(v *View) float64 {
	m.cn, m.cx, m.bn, m.bx = m.cn+v.CN, m.cx+v.CX, m.bn+v.BN, m.bx+v.BX
	if m.cn == 0 {
		return 0
	}
	return information(m.cx, m.cx+m.bx, m.cn/(m.cn+m.bn))
}

// calibrationRuns is how many watches without any fault the limits are taken from.
const calibrationRuns = 1000

// calibration keeps the limits that were found, for each traffic.
type calibration struct {
	mu sync.Mutex
	at map[string]*point
}

type point struct {
	once           sync.Once
	cusum, maxSPRT float64
}

// bars are the limits that the statistics exceed in a share of alpha of all watches.
func (c *calibration) bars(f Facts) *point {
	key := fmt.Sprintf("%g %g %g %g %g", f.Rate, f.Share, f.Usual, f.Tick, f.Length)
	c.mu.Lock()
	p := c.at[key]
	if p == nil {
		p = &point{}
		c.at[key] = p
	}
	c.mu.Unlock()
	p.once.Do(func() { p.find(f, "calibration "+key) })
	return p
}

// find plays watches on all cores and takes the limits from the largest values in each.
func (p *point) find(f Facts, name string) {
	spec := stream.Spec{
		Cell: name, Rate: f.Rate, Share: f.Share, Usual: f.Usual, Bad: f.Usual, Tick: f.Tick, Length: f.Length, Pooled: true,
	}
	var most [2][calibrationRuns]float64
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for run := next.Add(1) - 1; run < calibrationRuns; run = next.Add(1) - 1 {
				c, m, source, view := newCusum(f), &maxSPRT{}, stream.NewEvents(spec, int(run)), NewView()
				for tick, ok := source.Next(); ok; tick, ok = source.Next() {
					view.Take(tick)
					most[0][run] = math.Max(most[0][run], c.next(view))
					most[1][run] = math.Max(most[1][run], m.next(view))
				}
			}
		})
	}
	wg.Wait()
	rank := int(math.Ceil((1-f.Alpha)*(calibrationRuns+1))) - 1
	for i, bar := range []*float64{&p.cusum, &p.maxSPRT} {
		slices.Sort(most[i][:])
		*bar = most[i][min(calibrationRuns-1, rank)]
	}
}
