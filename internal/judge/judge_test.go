package judge

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/belaydev/belay"
)

func events(arm belay.Arm, stratum string, n, x float64) belay.Sample {
	return belay.Sample{Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, Stratum: stratum, N: n, X: x}
}

// world draws the ticks of a watch.
type world struct {
	r       *rand.Rand
	perTick func(t float64) float64     // requests on both releases
	share   func(t float64) float64     // of the candidate
	rate    func(t float64) float64     // of errors on the baseline
	factor  func(t float64) float64     // candidate's errors relative to it
	latency func(arm belay.Arm) float64 // seconds
	clump   float64                     // errors that come at once
	strata  []string
}

func (w *world) poisson(mean float64) float64 {
	n, limit, p := 0.0, math.Exp(-mean), w.r.Float64()
	for p > limit {
		n++
		p *= w.r.Float64()
	}
	return n
}

func (w *world) tick(t float64) belay.Tick {
	tick := belay.Tick{T: t}
	for _, arm := range []belay.Arm{belay.ArmCandidate, belay.ArmBaseline} {
		share, rate := w.share(t), w.rate(t)
		if arm == belay.ArmBaseline {
			share = 1 - share
		} else {
			rate *= w.factor(t)
		}
		for _, stratum := range w.strata {
			n := w.poisson(w.perTick(t) * share / float64(len(w.strata)))
			x := 0.0
			if w.clump > 1 {
				x = math.Min(n, w.clump*w.poisson(n*rate/w.clump))
			} else {
				for range int(n) {
					if w.r.Float64() < rate {
						x++
					}
				}
			}
			tick.Samples = append(tick.Samples, events(arm, stratum, n, x))
			if w.latency != nil {
				tick.Samples = append(tick.Samples, w.histogram(arm, stratum, n))
			}
		}
	}
	return tick
}

func bounds() []float64 {
	return []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
}

func (w *world) histogram(arm belay.Arm, stratum string, n float64) belay.Sample {
	s := belay.Sample{Signal: "response_time", Kind: belay.KindHistogram, Arm: arm, Stratum: stratum, N: n, LE: bounds(), Count: make([]float64, len(bounds()))}
	for range int(n) {
		v := w.latency(arm)
		s.Sum += v
		for i, b := range s.LE {
			if v <= b {
				s.Count[i]++
			}
		}
	}
	return s
}

func always(v float64) func(float64) float64 { return func(float64) float64 { return v } }

func quiet(seed uint64) *world {
	return &world{r: rand.New(rand.NewPCG(seed, 1)), perTick: always(100), share: always(0.1), rate: always(0.005), factor: always(1), strata: []string{""}}
}

// run returns when the release was called regressed, or NaN.
func run(w *world, p Policy, seconds int) (at float64, last belay.Card) {
	j := New(p)
	for t := range seconds {
		if last = j.Observe(w.tick(float64(t))); last.Verdict == belay.VerdictRegressed {
			return float64(t), last
		}
	}
	return math.NaN(), last
}

// TestFalseRollbacks counts how often a release that is not worse is called regressed in a watch of five minutes.
func TestFalseRollbacks(t *testing.T) {
	const runs = 40
	policy := DefaultPolicy()
	policy.Deadline, policy.FalseRollbackRate = 300, 0.05 // so that few runs can show a broken bound
	for name, change := range map[string]func(*world){
		"quiet":        func(*world) {},
		"ramped share": func(w *world) { w.share = func(t float64) float64 { return 0.01 + 0.49*t/300 } },
		"shared outage": func(w *world) {
			w.rate = func(t float64) float64 { return map[bool]float64{true: 0.1, false: 0.005}[t > 100 && t < 160] }
		},
		"clumped":     func(w *world) { w.clump = 2 },
		"strata":      func(w *world) { w.strata = []string{"a", "b", "c", "d", "e"} },
		"instance":    func(w *world) { w.factor = always(1.2) },
		"low traffic": func(w *world) { w.perTick = always(2); w.rate = always(0.02) },
		"diurnal": func(w *world) {
			w.perTick = func(t float64) float64 { return 100 * (1 + 0.8*math.Sin(t/40)) }
		},
		"same latency": func(w *world) {
			w.perTick = always(40)
			w.latency = func(belay.Arm) float64 { return 0.1 * math.Exp(0.6*w.r.NormFloat64()) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := 0
			for seed := range uint64(runs) {
				w := quiet(seed + 1000)
				change(w)
				if at, card := run(w, policy, 300); !math.IsNaN(at) {
					bad++
					t.Logf("run %d at %v s: %s", seed, at, card.Reason)
				}
			}
			if bad > 6 { // hardly possible at the stated bound; 0 to 2 are seen
				t.Errorf("%d of %d healthy releases called regressed", bad, runs)
			}
		})
	}
}

// TestSpeed guards how fast regressions are found, in seconds, by the median of some runs.
func TestSpeed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		within float64
	}{
		"5 % errors":  {func(w *world) { w.factor = always(10) }, 35},
		"50 % errors": {func(w *world) { w.factor = always(100); w.perTick = always(20) }, 15},
		"late onset": {func(w *world) {
			w.factor = func(t float64) float64 { return map[bool]float64{true: 20, false: 1}[t > 120] }
		}, 140},
		"25 % slower": {func(w *world) {
			w.perTick, w.share = always(40), always(0.5)
			w.latency = func(arm belay.Arm) float64 {
				return map[belay.Arm]float64{belay.ArmCandidate: 0.125, belay.ArmBaseline: 0.1}[arm] * math.Exp(0.6*w.r.NormFloat64())
			}
		}, 120},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var at []float64
			for seed := range uint64(15) {
				w := quiet(seed)
				c.change(w)
				found, _ := run(w, DefaultPolicy(), 300)
				at = append(at, math.Min(found, 1e9))
				if math.IsNaN(found) {
					at[len(at)-1] = math.Inf(1)
				}
			}
			slices.Sort(at)
			t.Logf("median %v s, slowest %v s", at[7], at[14])
			if at[7] > c.within {
				t.Errorf("median %v s, want at most %v s", at[7], c.within)
			}
		})
	}
}

func TestAReplayedOrLateTickCountsOnce(t *testing.T) {
	w := quiet(3)
	j, again := New(DefaultPolicy()), New(DefaultPolicy())
	for i := range 60 {
		tick := w.tick(float64(i))
		j.Observe(tick)
		again.Observe(tick)
		again.Observe(tick)
		again.Observe(belay.Tick{T: float64(i) - 5, Samples: tick.Samples})
	}
	a, err := json.Marshal(j.Card())
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(again.Card())
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Errorf("cards differ:\n%s\n%s", a, b)
	}
}

func TestSamplesThatCannotBeCountedAreLeftOut(t *testing.T) {
	j := New(DefaultPolicy())
	nan, inf := math.NaN(), math.Inf(1)
	h := belay.Sample{Signal: "response_time", Kind: belay.KindHistogram, N: 5, LE: []float64{1, 2}, Count: []float64{1, 2}}
	broken := []belay.Sample{events("candidate", "", nan, 1), events("candidate", "", inf, 1), events("candidate", "", -5, 1), events("candidate", "", 5, -1)}
	for _, change := range []func(*belay.Sample){
		func(s *belay.Sample) { s.Count = []float64{2, 1} },
		func(s *belay.Sample) { s.Count = []float64{2} },
		func(s *belay.Sample) { s.LE = []float64{2, 1} },
		func(s *belay.Sample) { s.N = 1 },
		func(s *belay.Sample) { s.Sum = nan },
		func(s *belay.Sample) { s.Kind = "nonsense" },
		func(s *belay.Sample) { s.Kind, s.Value = belay.KindGauge, inf },
	} {
		s := h
		change(&s)
		broken = append(broken, s)
	}
	for i := range 30 {
		j.Observe(belay.Tick{T: float64(i), Samples: broken})
	}
	card := j.Card()
	for _, s := range card.Signals {
		if s.N != 0 || s.X != 0 {
			t.Errorf("%s counted %v of %v", s.Signal, s.X, s.N)
		}
	}
	if card.Verdict != belay.VerdictInsufficient {
		t.Errorf("verdict %q, want insufficient: %s", card.Verdict, card.Reason)
	}
}

func TestOverwhelmingEvidenceCanBeWritten(t *testing.T) {
	p := DefaultPolicy()
	p.Signals[0].HardStop = nil
	j := New(p)
	for i := range 3000 {
		j.Observe(belay.Tick{T: float64(i), Samples: []belay.Sample{events("candidate", "", 1000, 900), events("baseline", "", 1000, 0)}})
	}
	if _, err := json.Marshal(j.Card()); err != nil || j.Card().Verdict != belay.VerdictRegressed {
		t.Errorf("verdict %q, %v", j.Card().Verdict, err)
	}
	healthy := New(p)
	for i := range 3000 {
		healthy.Observe(belay.Tick{T: float64(i), Samples: []belay.Sample{events("candidate", "", 1e6, 0), events("baseline", "", 1e6, 0)}})
	}
	if _, err := json.Marshal(healthy.Card()); err != nil || healthy.Card().Verdict != belay.VerdictHealthy {
		t.Errorf("verdict %q, %v", healthy.Card().Verdict, err)
	}
}

func TestPolicyIsRefusedWithEveryProblem(t *testing.T) {
	if err := DefaultPolicy().Validate(); err != nil {
		t.Errorf("default policy: %v", err)
	}
	if err := (Policy{}).Validate(); err != nil {
		t.Errorf("an empty policy takes the defaults: %v", err)
	}
	limit := 7.0
	err := Policy{
		FalseRollbackRate: 3, MinTime: -1,
		Signals: []SignalPolicy{
			{Name: "a", Kind: belay.KindEvents, Threshold: &limit},
			{Name: "a", Kind: "odd", Dispersion: 0.1},
			{Kind: belay.KindGauge, Compare: true},
		},
	}.Validate()
	if belay.CodeOf(err) != belay.CodeInvalid {
		t.Fatalf("want an invalid policy, got %v", err)
	}
	for _, want := range []string{"false rollback rate 3", "time of -1 s", "limit 7", "named twice", `kind "odd"`, "dispersion 0.1", "no name"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestPolicyInOneLine(t *testing.T) {
	p := DefaultPolicy()
	limit := 0.5
	p.Signals[1].Threshold, p.Signals[1].For = &limit, 10
	want := "false rollbacks at most 1 % over the whole watch; healthy after 10 s at the earliest; " +
		"error_rate hard stop 25 %, compared, changes from 0.5 points; " +
		"response_time limit 500 ms at p95 for 10 s, compared, changes from 10 %"
	if got := p.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// BenchmarkObserve is a tick of five signals with twenty strata on both sides.
func BenchmarkObserve(b *testing.B) {
	p := DefaultPolicy()
	limit := 0.8
	p.Signals = append(p.Signals,
		SignalPolicy{Name: "orders", Kind: belay.KindEvents, Compare: true, Weight: 0.2},
		SignalPolicy{Name: "cpu_usage", Unit: "%", Kind: belay.KindGauge, Threshold: &limit},
		SignalPolicy{Name: "memory_usage", Unit: "B", Kind: belay.KindGauge})
	w := quiet(1)
	w.perTick, w.rate = always(400), always(0.01)
	w.latency = func(belay.Arm) float64 { return 0.1 * math.Exp(0.6*w.r.NormFloat64()) }
	for i := range 20 {
		w.strata = append(w.strata, "GET /route/"+string(rune('a'+i)))
	}
	w.strata = w.strata[1:]
	ticks := make([]belay.Tick, 64)
	for i := range ticks {
		ticks[i] = w.tick(0)
		for _, s := range ticks[i].Samples {
			if s.Kind == belay.KindEvents {
				s.Signal = "orders"
				ticks[i].Samples = append(ticks[i].Samples, s)
			}
		}
		for _, arm := range []belay.Arm{belay.ArmCandidate, belay.ArmBaseline} {
			for _, name := range []string{"cpu_usage", "memory_usage"} {
				ticks[i].Samples = append(ticks[i].Samples, belay.Sample{Signal: name, Kind: belay.KindGauge, Arm: arm, Value: 0.5})
			}
		}
	}
	j := New(p)
	b.ReportAllocs()
	t := 0.0
	for b.Loop() {
		tick := ticks[int(t)%len(ticks)]
		tick.T = t
		j.Observe(tick)
		t++
	}
	if n := j.Card().Signals[1].N; n == 0 {
		b.Fatal("nothing was counted")
	}
}

// TestHowInstancesShareTheTrafficChangesNothing splits every sample over three instances. What is learned of instances
// is set by hand.
func TestHowInstancesShareTheTrafficChangesNothing(t *testing.T) {
	p := DefaultPolicy()
	p.Signals[0].Margin, p.Signals[0].Dispersion = 1.25, 1
	whole, split := New(p), New(p)
	w := quiet(5)
	w.factor = always(3)
	for i := range 120 {
		tick := w.tick(float64(i))
		parts := belay.Tick{T: tick.T}
		for _, s := range tick.Samples {
			for k, name := range []string{"a", "b", "c"} {
				p := s
				p.Instance, p.N, p.X = name, 0, 0
				switch k {
				case 0:
					p.N, p.X = s.X, s.X
				case 1:
					p.N = s.N - s.X
				}
				parts.Samples = append(parts.Samples, p)
			}
		}
		a, b := whole.Observe(tick), split.Observe(parts)
		if a.Reason != b.Reason || a.Signals[0].EValue != b.Signals[0].EValue {
			t.Fatalf("second %d: %q and %q, evidence %v and %v", i, a.Reason, b.Reason, a.Signals[0].EValue, b.Signals[0].EValue)
		}
	}
}

// FuzzObserve feeds whatever JSON makes a tick: nothing panics, every card can be written, and a card that calls a
// release regressed says why.
func FuzzObserve(f *testing.F) {
	f.Add([]byte(`[{"t":-5,"samples":[{"signal":"error_rate","kind":"events","n":5,"x":9}]},{"t":1,"samples":[{"signal":"response_time","kind":"histogram","arm":"baseline","le":[1,2],"count":[1,3],"n":3}]}]`))
	f.Add([]byte(`[{"t":0,"health":[{"check":"a","arm":"candidate","state":"healthy"}]},{"t":99,"health":[{"check":"a","state":"unhealthy"}],"sources":[{"source":"x"}]}]`))
	f.Add([]byte(`[{"t":1e300,"samples":[{"signal":"error_rate","kind":"events","n":1e308,"x":1e308},{"signal":"error_rate","kind":"events","arm":"baseline","n":1e308}]}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var ticks []belay.Tick
		if json.Unmarshal(data, &ticks) != nil {
			return
		}
		j := New(DefaultPolicy())
		for _, tick := range ticks {
			card := j.Observe(tick)
			if _, err := json.Marshal(card); err != nil {
				t.Fatal(err)
			}
			if card.Verdict == belay.VerdictRegressed && (card.Reason == "" || len(card.Culprits) == 0 || card.DecidedBy == "") {
				t.Fatalf("regressed without a reason: %+v", card)
			}
		}
	})
}
