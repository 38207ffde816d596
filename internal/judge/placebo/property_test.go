package placebo_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/belaydev/belay/internal/judge/placebo"
)

const (
	step    = 300.0
	perDay  = 288
	history = 3 * perDay
	watch   = 36
)

// nulls are series in which nothing changes, of kinds that services show.
func nulls() map[string]func(r *rand.Rand) []float64 {
	series := func(of func(r *rand.Rand, i int, last float64) float64) func(*rand.Rand) []float64 {
		return func(r *rand.Rand) []float64 {
			out, last := make([]float64, history+watch), 0.0
			shift := r.IntN(perDay)
			for i := range out {
				last = of(r, i+shift, last)
				out[i] = last
			}
			return out
		}
	}
	daily := func(i int) float64 { return math.Sin(2 * math.Pi * float64(i) / perDay) }
	return map[string]func(r *rand.Rand) []float64{
		"independent": series(func(r *rand.Rand, _ int, _ float64) float64 { return 10 + r.NormFloat64() }),
		"wandering":   series(func(r *rand.Rand, _ int, last float64) float64 { return 10 + 0.9*(last-10) + r.NormFloat64() }),
		"heavy tails": series(func(r *rand.Rand, _ int, _ float64) float64 {
			return 10 + r.NormFloat64()/math.Max(0.05, math.Sqrt(r.ExpFloat64()))
		}),
		"season":            series(func(r *rand.Rand, i int, _ float64) float64 { return 100 + 30*daily(i) + 3*r.NormFloat64() }),
		"season with noise": series(func(r *rand.Rand, i int, _ float64) float64 { return math.Exp(3 + daily(i) + 0.2*r.NormFloat64()) }),
		"rare events": series(func(r *rand.Rand, _ int, _ float64) float64 {
			if r.Float64() < 0.9 {
				return 0
			}
			return math.Floor(1 + r.ExpFloat64())
		}),
	}
}

func judge(y []float64, s placebo.Settings) *placebo.Test {
	t := placebo.New(y[:history], s)
	for _, v := range y[history:] {
		t.Observe(v)
	}
	return t
}

// The stated bound holds when nothing changes: at 5 %, where few runs suffice to see it.
func TestFalseAlarmsAreAsRareAsStated(t *testing.T) {
	const runs, alpha = 50, 0.05
	names := []string{}
	for name := range nulls() {
		names = append(names, name)
	}
	slices.Sort(names)
	total := 0
	for _, name := range names {
		alarms := 0
		for run := range uint64(runs) {
			r := rand.New(rand.NewPCG(run, 11))
			for _, d := range []placebo.Direction{placebo.Higher, placebo.Either}[run%2 : run%2+1] {
				if judge(nulls()[name](r), placebo.Settings{Step: step, Watch: watch, Direction: d}).Score() >= -math.Log(alpha) {
					alarms++
				}
			}
		}
		t.Logf("%s: %d of %d", name, alarms, runs)
		if alarms > 8 { // more than chance in one of a thousand
			t.Errorf("%s: %d of %d watches in which nothing changes are called changed, want about %v", name, alarms, runs, alpha*runs)
		}
		total += alarms
	}
	if n := float64(runs * len(names)); float64(total) > n*alpha+3*math.Sqrt(n*alpha*(1-alpha)) {
		t.Errorf("%d of %v in all", total, n)
	}
}

func TestUnitsDoNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	y := nulls()["season"](r)
	for i := history + 5; i < len(y); i++ {
		y[i] *= 1.2
	}
	s := placebo.Settings{Step: step, Watch: watch, Direction: placebo.Either}
	want := judge(y, s)
	if want.Score() < 4 {
		t.Fatalf("score %v", want.Score())
	}
	for _, factor := range []float64{1e-6, 0.37, 1e9} {
		z := make([]float64, len(y))
		for i := range y {
			z[i] = factor * y[i]
		}
		if got := judge(z, s); math.Abs(got.Score()-want.Score()) > 1e-6 || got.Finding().Family != want.Finding().Family {
			t.Errorf("times %v: score %v, want %v", factor, got.Score(), want.Score())
		}
	}
}

// Below zero there is no smallest change but in size, and no other scale: turned over it is the same.
func TestUpAndDownAreTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	y := nulls()["wandering"](r)
	for i := range y {
		y[i] -= 10
	}
	z := make([]float64, len(y))
	for i := range y {
		if i >= history+5 {
			y[i] += 6
		}
		z[i] = -y[i]
	}
	for _, d := range [][2]placebo.Direction{{placebo.Higher, placebo.Lower}, {placebo.Either, placebo.Either}} {
		a := judge(y, placebo.Settings{Step: step, Watch: watch, Direction: d[0]})
		b := judge(z, placebo.Settings{Step: step, Watch: watch, Direction: d[1]})
		if a.Score() < 3 || math.Abs(a.Score()-b.Score()) > 1e-9 {
			t.Errorf("score %v, turned over %v", a.Score(), b.Score())
		}
	}
	if got := judge(y, placebo.Settings{Step: step, Watch: watch, Direction: placebo.Lower}); got.Score() > 3 {
		t.Errorf("higher values are a fault where lower is worse: %v", got.Score())
	}
}

// With an added constant, the smallest change is another; apart from that nothing is.
func TestAShiftDoesNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	y := nulls()["independent"](r)
	z := make([]float64, len(y))
	for i := range y {
		if y[i] -= 20; i >= history+9 { // below zero, so that no other scale is chosen
			y[i] += 3
		}
		z[i] = y[i] - 7
	}
	s := placebo.Settings{Step: step, Watch: watch, Direction: placebo.Either, MinEffect: 1e-6}
	if a, b := judge(y, s), judge(z, s); a.Score() < 3 || math.Abs(a.Score()-b.Score()) > 1e-6 {
		t.Errorf("score %v, shifted %v", a.Score(), b.Score())
	}
}

func TestWhatWasSeenIsNeverForgotten(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	y := nulls()["season"](r)
	for i := history; i < history+10; i++ {
		y[i] += 60
	}
	test, last := placebo.New(y[:history], placebo.Settings{Step: step, Watch: watch}), 0.0
	for _, v := range y[history:] {
		if got := test.Observe(v); got < last {
			t.Fatalf("score fell from %v to %v", last, got)
		}
		last = test.Score()
	}
	f := test.Finding()
	if last < math.Log(100) || f.From > 10 || f.Actual-f.Usual < 30 {
		t.Errorf("score %v, finding %+v", last, f)
	}
	if after := test.Observe(1e9); after != last {
		t.Error("the watch goes on after its end")
	}
}

func TestStepsAllocateNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	y := nulls()["season"](r)
	test := placebo.New(y[:history], placebo.Settings{Step: step, Watch: watch})
	i := history
	if n := testing.AllocsPerRun(watch-2, func() { test.Observe(y[i]); i++ }); n > 0 {
		t.Errorf("%v allocations a step", n)
	}
}

func FuzzTest(f *testing.F) {
	f.Add(uint64(1), 300, 40, 60.0, 3)
	f.Add(uint64(2), 900, 180, 300.0, 5)
	f.Add(uint64(3), 100, 9, 3600.0, 2)
	f.Fuzz(func(t *testing.T, seed uint64, n, w int, step float64, kind int) {
		if n < 0 || n > 3000 || w < 0 || w > placebo.MaxWatch || !(step > 0) {
			return
		}
		r := rand.New(rand.NewPCG(seed, 1))
		value := func() float64 {
			switch v := r.NormFloat64(); {
			case r.IntN(9) == 0:
				return []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e100, -1e100, 0, 5e-324}[r.IntN(7)]
			case kind%4 == 0:
				return math.Floor(math.Abs(v))
			case kind%4 == 1:
				return 99 + 1/(1+v*v)
			case kind%4 == 2:
				return math.Exp(9 * v)
			default:
				return v
			}
		}
		y := make([]float64, n)
		for i := range y {
			y[i] = value()
		}
		test, last := placebo.New(y, placebo.Settings{Step: step, Watch: w, Direction: placebo.Direction(r.IntN(3))}), 0.0
		for range w {
			if got := test.Observe(value()); !(got >= last && got <= 700) {
				t.Fatalf("score %v after %v", got, last)
			}
			last = test.Score()
		}
		test.Finding()
	})
}

func BenchmarkNew(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 9))
	y := make([]float64, placebo.MaxHistory)
	for i := range y {
		y[i] = 100 + 20*math.Sin(2*math.Pi*float64(i)/1440) + r.NormFloat64()
	}
	b.ReportAllocs()
	for b.Loop() {
		placebo.New(y, placebo.Settings{Step: 60, Watch: placebo.MaxWatch, Direction: placebo.Either})
	}
}

func BenchmarkObserve(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 9))
	y := nulls()["season"](r)
	var test *placebo.Test
	i := watch
	b.ReportAllocs()
	for b.Loop() {
		if i == watch {
			b.StopTimer()
			test, i = placebo.New(y[:history], placebo.Settings{Step: step, Watch: watch, Direction: placebo.Either}), 0
			b.StartTimer()
		}
		test.Observe(y[history+i])
		i++
	}
}
