package stream_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/test/judgebench/stream"
)

func spec(world stream.World) stream.Spec {
	return stream.Spec{
		Cell: "test", Rate: 200, Share: 0.1, Usual: 0.02, Bad: 0.02, Tick: 1, Length: 3600, World: world,
	}
}

// tally sums up a source: counts of both sides during the watch, and per tick of the candidate.
type tally struct {
	cn, cx, bn, bx float64
	ticks          [][2]float64 // n and x of the candidate
	strata         map[string]*tally
	times          []float64
}

func count(source stream.Source) *tally {
	t := &tally{strata: map[string]*tally{}}
	for tick, ok := source.Next(); ok; tick, ok = source.Next() {
		t.times = append(t.times, tick.T)
		if tick.T < 0 {
			continue
		}
		var now [2]float64
		for _, m := range tick.Samples {
			s := t.strata[m.Stratum]
			if s == nil {
				s = &tally{}
				t.strata[m.Stratum] = s
			}
			for _, into := range []*tally{t, s} {
				if m.Arm == belay.ArmCandidate {
					into.cn, into.cx = into.cn+m.N, into.cx+m.X
				} else {
					into.bn, into.bx = into.bn+m.N, into.bx+m.X
				}
			}
			if m.Arm == belay.ArmCandidate {
				now[0], now[1] = now[0]+m.N, now[1]+m.X
			}
		}
		t.ticks = append(t.ticks, now)
	}
	return t
}

// within checks a Poisson count against its mean; clumps make it wider.
func within(t *testing.T, what string, got, mean, clump float64) {
	t.Helper()
	if d := math.Abs(got - mean); d > 5*math.Sqrt(mean*clump) {
		t.Errorf("%s: got %.0f, want about %.0f", what, got, mean)
	}
}

// text is a stream byte for byte.
func text(source stream.Source, from float64) string {
	all := ""
	for tick, ok := source.Next(); ok; tick, ok = source.Next() {
		if tick.T > from && tick.T < 100 {
			all += fmt.Sprintln(*tick)
		}
	}
	return all
}

func TestARunIsTheSameWheneverItIsPlayed(t *testing.T) {
	for _, world := range []stream.World{{}, {Spread: 0.2, Clump: stream.Clump{Size: 5, Spread: true}}, {Mix: true, Late: true}, {Gaps: true, Restarts: true}} {
		s := spec(world)
		first, again, other := text(stream.NewEvents(s, 7), -1e9), text(stream.NewEvents(s, 7), -1e9), text(stream.NewEvents(s, 8), -1e9)
		if first != again {
			t.Errorf("%+v: run 7 differs from itself", world)
		}
		if first == other {
			t.Errorf("%+v: runs 7 and 8 are the same", world)
		}
		s.Past = stream.Past{Length: 600, Tick: 10}
		if got := text(stream.NewEvents(s, 7), 0); got != first {
			t.Errorf("%+v: the watch depends on the history", world)
		}
	}
}

func TestCountsAreThoseAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		world stream.World
		clump float64
	}{
		"independent": {stream.World{}, 1},
		"clumps":      {stream.World{Clump: stream.Clump{Size: 5}}, 5},
		"geometric":   {stream.World{Clump: stream.Clump{Size: 3, Law: stream.Geometric}}, 5}, // variance over mean: 2m-1
		"retries":     {stream.World{Clump: stream.Clump{Size: 5, Spread: true}}, 5},
		"gaps":        {stream.World{Gaps: true}, 1},
	} {
		for _, pooled := range []bool{false, true} {
			s := spec(c.world)
			s.Pooled = pooled
			got := count(stream.NewEvents(s, 1))
			within(t, name+", requests of the candidate", got.cn, 3600*20, 2)
			within(t, name+", requests of the baseline", got.bn, 3600*180, 2)
			within(t, name+", errors of the candidate", got.cx, 3600*20*0.02, c.clump)
			within(t, name+", errors of the baseline", got.bx, 3600*180*0.02, c.clump)
		}
	}
}

func TestErrorsClumpAsTheySay(t *testing.T) {
	for name, c := range map[string]struct {
		clump stream.Clump
		want  float64 // variance over mean of the errors of a minute
	}{
		"none":      {stream.Clump{}, 1},
		"constant":  {stream.Clump{Size: 5}, 5},
		"geometric": {stream.Clump{Size: 3, Law: stream.Geometric}, 5},
		"retries":   {stream.Clump{Size: 5, Spread: true}, 5},
	} {
		var n, sum, squares float64
		for run := range 20 {
			minute := 0.0
			for i, tick := range count(stream.NewEvents(spec(stream.World{Clump: c.clump}), run)).ticks {
				minute += tick[1]
				if i%60 == 59 {
					n, sum, squares, minute = n+1, sum+minute, squares+minute*minute, 0
				}
			}
		}
		mean := sum / n
		if got := (squares/n - mean*mean) / mean; math.Abs(got/c.want-1) > 0.2 {
			t.Errorf("%s: variance %.2f times the mean, want %.1f", name, got, c.want)
		}
	}
}

func TestAFaultBeginsWhenItShould(t *testing.T) {
	s := spec(stream.World{})
	s.Bad, s.Onset = 0.5, 1200
	before, after := 0.0, 0.0
	for i, tick := range count(stream.NewEvents(s, 1)).ticks {
		if float64(i+1) <= s.Onset {
			before += tick[1]
		} else {
			after += tick[1]
		}
	}
	within(t, "errors before", before, 1200*20*0.02, 1)
	within(t, "errors after", after, 2400*20*0.5, 1)
}

func TestOnlyTheMixDiffersNotTheEndpoints(t *testing.T) {
	got := count(stream.NewEvents(spec(stream.World{Mix: true}), 3))
	if len(got.strata) != 3 {
		t.Fatalf("%d endpoints", len(got.strata))
	}
	for name, s := range got.strata {
		c, b := s.cx/s.cn, s.bx/s.bn
		if d := math.Abs(c - b); d > 5*math.Sqrt(b/s.cn+b/s.bn) {
			t.Errorf("%s: error rate %.4f on one side, %.4f on the other", name, c, b)
		}
	}
	if all := (got.cx / got.cn) / (got.bx / got.bn); all < 1.3 {
		t.Errorf("all together: %.2f times the baseline's rate; the mix should make it look worse", all)
	}
	within(t, "errors of the baseline are the usual ones", got.bx, 3600*180*0.02, 1)
}

func TestRestartsLoseCountsOnBothSidesAlike(t *testing.T) {
	got := count(stream.NewEvents(spec(stream.World{Restarts: true}), 1))
	if got.cn > 3600*20 || got.bn > 0.9999*3600*180 {
		t.Errorf("%.0f and %.0f requests: nothing was lost", got.cn, got.bn)
	}
	if c, b := got.cx/got.cn, got.bx/got.bn; math.Abs(c-b) > 5*math.Sqrt(b/got.cn) {
		t.Errorf("error rates %.4f and %.4f", c, b)
	}
}

func TestLateTicksComeTwiceOrAfterTheNext(t *testing.T) {
	twice, back := 0, 0
	times := count(stream.NewEvents(spec(stream.World{Late: true}), 1)).times
	for i := 1; i < len(times); i++ {
		switch {
		case times[i] == times[i-1]:
			twice++
		case times[i] < times[i-1]:
			back++
		}
	}
	if twice < 30 || back < 30 {
		t.Errorf("%d twice, %d late, of %d", twice, back, len(times))
	}
}

func TestSharedWavesAndRampsLeaveTheRatioAlone(t *testing.T) {
	for name, world := range map[string]stream.World{"wave": {Swing: 0.8}, "outage": {Outage: 0.2}, "ramp": {Ramp: true}} {
		for run := range 3 {
			got := count(stream.NewEvents(spec(world), run))
			// The ramp changes the share while nothing else changes; a wave and an outage hit both sides at once.
			c, b := got.cx/got.cn, got.bx/got.bn
			if math.Abs(c-b) > 6*math.Sqrt(b/got.cn) {
				t.Errorf("%s: error rates %.4f and %.4f", name, c, b)
			}
		}
	}
}

func TestHistogramsFollowTheirDistribution(t *testing.T) {
	m := stream.Mixture{{Weight: 0.9, Median: 0.1, Sigma: 0.6}, {Weight: 0.1, Median: 0.1, Sigma: 0.6, Delay: 1}}
	for _, bounds := range [][]float64{stream.ClassicBounds(), stream.NativeBounds()} { // fewer than requests, and more
		checkDistribution(t, m, stream.Latency{Bounds: bounds, Usual: m, Bad: m})
	}
}

func checkDistribution(t *testing.T, m stream.Mixture, l stream.Latency) {
	t.Helper()
	source := stream.NewLatencies(spec(stream.World{}), l, 1)
	n, sum, counts := 0.0, 0.0, make([]float64, len(l.Bounds))
	for tick, ok := source.Next(); ok; tick, ok = source.Next() {
		for _, s := range tick.Samples {
			n, sum = n+s.N, sum+s.Sum
			for i, c := range s.Count {
				counts[i] += c
			}
		}
	}
	under := 0.0
	for i, share := range m.Classes(l.Bounds)[:len(l.Bounds)] {
		under += share
		within(t, fmt.Sprintf("up to %g s", l.Bounds[i]), counts[i], n*under, 1)
	}
	if mean, want := sum/n, 0.1*math.Exp(0.18)+0.1; math.Abs(mean/want-1) > 0.01 {
		t.Errorf("mean %.4f s, want %.4f", mean, want)
	}
}

func TestGaugesRiseByWhatTheyAreAskedTo(t *testing.T) {
	g := stream.Gauge{Candidates: 3, Baselines: 3, Level: 0.4, Rise: 0.3, Swing: 0.4, Noise: 0.1, Memory: 30}
	source := stream.NewGauges(spec(stream.World{}), g, 1)
	var sum [2]float64
	for tick, ok := source.Next(); ok; tick, ok = source.Next() {
		for _, s := range tick.Samples {
			side := 0
			if s.Arm == belay.ArmCandidate {
				side = 1
			}
			sum[side] += s.Value
		}
	}
	if got := sum[1] / sum[0]; math.Abs(got-1.3) > 0.05 {
		t.Errorf("the candidates' mean is %.3f times the baselines', want 1.3", got)
	}
}
