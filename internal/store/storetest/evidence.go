package storetest

import (
	"fmt"
	"math"
	"testing"
	"time"

	belay "github.com/belaydev/belay"
)

// Tick is a look as a busy service gives it: two releases with three instances each, five signals of which one is
// a histogram over four routes, and health. Package sqlite measures with it too.
func Tick(second int) belay.Tick {
	t := belay.Tick{T: float64(second) + 0.0123*float64(second%7), Sources: []belay.SourceStatus{{Source: "metrics", OK: true}}}
	wave := func(i int) float64 { return math.Round(100 * (1 + math.Sin(float64(second*7+i*13)))) }
	for a, arm := range []belay.Arm{belay.ArmCandidate, belay.ArmBaseline} {
		for i := range 3 {
			at := fmt.Sprintf("10.0.%d.%d:8000", a, i)
			for r, route := range []string{"/", "/cart", "/checkout", "/search"} {
				n := wave(a + i + r)
				t.Samples = append(t.Samples,
					belay.Sample{T: t.T, Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, Instance: at, Stratum: route, N: n, X: math.Floor(n / 50)},
					belay.Sample{
						T: t.T, Signal: "response_time", Kind: belay.KindHistogram, Arm: arm, Instance: at, Stratum: route, N: n, Sum: n * 0.0371,
						LE:    []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
						Count: []float64{math.Floor(n / 9), math.Floor(n / 5), math.Floor(n / 3), math.Floor(n / 2), math.Floor(n / 1.2), n - 2, n - 1, n, n, n, n},
					})
			}
			t.Samples = append(t.Samples,
				belay.Sample{T: t.T, Signal: "cpu_usage", Kind: belay.KindGauge, Arm: arm, Instance: at, Value: wave(i) / 317},
				belay.Sample{T: t.T, Signal: "memory_usage", Kind: belay.KindGauge, Arm: arm, Instance: at, Value: 1e8 + 4096*wave(i+1)},
				belay.Sample{T: t.T, Signal: "throughput", Kind: belay.KindGauge, Arm: arm, Instance: at, Value: wave(i) / 1.01})
			t.Health = append(t.Health, belay.HealthStatus{
				Check: "web", Target: "http://" + at + "/healthz", Arm: arm, State: belay.HealthHealthy,
				Since: after(0), At: after(second), Passes: second, Latency: time.Duration(1e6 + 1e3*wave(i)), Detail: "HTTP 200",
			})
		}
	}
	return t
}

func testTicks(t *testing.T, open Open) {
	s, ctx := fresh(t, open), t.Context()
	ok(t, s.SaveDeployment(ctx, deployment("d-1", 0)))
	ok(t, s.SaveDeployment(ctx, deployment("d-2", 0)))
	full := filled(belay.Tick{})
	full.T = -5.5
	want := []belay.Tick{full}
	ok(t, s.AppendTick(ctx, "d-1", full))
	for i := range 150 {
		tick := belay.Tick{T: float64(i) + 0.25, Samples: []belay.Sample{{T: float64(i), Signal: "orders", Kind: belay.KindGauge, Value: 0.1 * float64(i)}}}
		want = append(want, tick)
		ok(t, s.AppendTick(ctx, "d-1", tick))
		ok(t, s.AppendTick(ctx, "d-1", tick)) // as a caller does that was killed before it heard that the first worked
	}
	ok(t, s.AppendTick(ctx, "d-1", want[20])) // long ago
	ok(t, s.AppendTick(ctx, "d-2", belay.Tick{T: 1}))
	same(t, "all ticks, each once", must[[]belay.Tick](t)(s.Ticks(ctx, "d-1", math.Inf(-1))), want)
	for _, from := range []int{0, 1, 59, 60, 61, 100, 149, 150} {
		got := must[[]belay.Tick](t)(s.Ticks(ctx, "d-1", want[from].T))
		if len(got) != len(want)-from || got[0].T != want[from].T {
			t.Errorf("from %g: %d ticks, want %d", want[from].T, len(got), len(want)-from)
		}
	}
	if got := must[[]belay.Tick](t)(s.Ticks(ctx, "d-1", 1000)); len(got) != 0 {
		t.Errorf("from the future: %d ticks, want none", len(got))
	}
	// Saving the deployment must not touch its evidence.
	ok(t, s.SaveDeployment(ctx, deployment("d-1", 0)))
	if got := must[[]belay.Tick](t)(s.Ticks(ctx, "d-1", -10)); len(got) != len(want) {
		t.Errorf("after the deployment was saved again: %d ticks, want %d", len(got), len(want))
	}
	wantCode(t, "of an unknown deployment", s.AppendTick(ctx, "d-3", belay.Tick{}), belay.CodeNotFound)
	wantCode(t, "not a number", s.AppendTick(ctx, "d-1", belay.Tick{T: math.NaN()}), belay.CodeInvalid)
}

func testTicksReopened(t *testing.T, open Open) {
	dir, ctx := t.TempDir(), t.Context()
	const each = 45
	for round := range 3 {
		s := open(t, dir)
		ok(t, s.SaveDeployment(ctx, deployment("d-1", 0)))
		for i := range each {
			ok(t, s.AppendTick(ctx, "d-1", belay.Tick{T: float64(round*each + i)}))
		}
		got := must[[]belay.Tick](t)(s.Ticks(ctx, "d-1", 0))
		ok(t, s.Close())
		if len(got) != (round+1)*each {
			t.Fatalf("round %d: %d ticks, want %d", round, len(got), (round+1)*each)
		}
		for i := range got {
			if got[i].T != float64(i) {
				t.Fatalf("tick %d has T %g", i, got[i].T)
			}
		}
	}
}
