package judge

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/belaydev/belay"
)

// watchTicks are the ticks of a quiet watch of five signals: errors, response times, CPU, memory, orders, of three
// instances a side.
func watchTicks(n int) (Policy, []belay.Tick) {
	p := DefaultPolicy()
	p.Signals = append(p.Signals,
		SignalPolicy{Name: "cpu_usage", Kind: belay.KindGauge, Compare: true, Weight: 0.1},
		SignalPolicy{Name: "memory_usage", Kind: belay.KindGauge, Compare: true, Weight: 0.1},
		SignalPolicy{Name: "orders", Kind: belay.KindCount, Direction: LowerIsWorse, Compare: true, Weight: 0.1})
	le := []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	ticks := make([]belay.Tick, n)
	for i := range ticks {
		t := &ticks[i]
		t.T = float64(i)
		for k := range 6 {
			arm, name := belay.ArmBaseline, fmt.Sprint("b", k)
			if k < 3 {
				arm, name = belay.ArmCandidate, fmt.Sprint("a", k)
			}
			bad := 0.0
			if (i*7+k*13)%40 == 0 {
				bad = 1
			}
			count := []float64{0, 1, 4, 12, 20, 28, 30, 31, 32, 32, 32}
			count[(i+k)%4+2]++
			for b := (i+k)%4 + 3; b < len(count); b++ {
				count[b]++
			}
			wave := float64((i*3+k*5)%11) / 100
			t.Samples = append(t.Samples,
				belay.Sample{Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, Instance: name, N: 33, X: bad},
				belay.Sample{Signal: "response_time", Kind: belay.KindHistogram, Arm: arm, Instance: name, N: 33, Sum: 3.5, LE: le, Count: count},
				belay.Sample{Signal: "cpu_usage", Kind: belay.KindGauge, Arm: arm, Instance: name, Value: 0.4 + wave},
				belay.Sample{Signal: "memory_usage", Kind: belay.KindGauge, Arm: arm, Instance: name, Value: 2e8 * (1 + wave)},
				belay.Sample{Signal: "orders", Kind: belay.KindCount, Arm: arm, Instance: name, N: 1, X: float64((i + k) % 3)})
		}
	}
	return p, ticks
}

// BenchmarkTick is the cost of one tick of five signals, six instances, in a watch that goes on.
func BenchmarkTick(b *testing.B) {
	p, ticks := watchTicks(2000)
	j := New(p)
	for _, t := range ticks[:1000] {
		j.Take(t)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		t := ticks[1000+i%1000]
		t.T = float64(1000 + i)
		j.Take(t)
		i++
	}
	if j.Regressed() {
		b.Fatal("a quiet watch regressed")
	}
}

// BenchmarkCard is the cost of a decision card on top of it.
func BenchmarkCard(b *testing.B) {
	p, ticks := watchTicks(1000)
	j := New(p)
	for _, t := range ticks {
		j.Take(t)
	}
	b.ReportAllocs()
	for b.Loop() {
		j.card = nil
		j.Card()
	}
}

// BenchmarkManyWatches is one second of 5,000 watches of five signals and six instances each, ten minutes old: how much of
// one core they need, and what one of them holds in memory.
func BenchmarkManyWatches(b *testing.B) {
	const watches = 5000
	p, ticks := watchTicks(600)
	judges := make([]*Judge, watches)
	before := heap()
	for i := range judges {
		judges[i] = New(p)
		for _, t := range ticks[:60] { // the state is as large after a minute as after ten
			judges[i].Take(t)
		}
	}
	held := heap() - before
	b.ReportAllocs()
	n := 60
	for b.Loop() {
		t := ticks[n%600]
		t.T = float64(n)
		for _, j := range judges {
			j.Take(t)
		}
		n++
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "core/5000watches")
	b.ReportMetric(float64(held)/watches, "B/watch")
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
