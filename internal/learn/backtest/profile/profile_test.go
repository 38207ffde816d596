package profile_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/stream"
	"github.com/belaydev/belay/internal/learn/backtest"
	"github.com/belaydev/belay/internal/learn/backtest/profile"
)

func ticks(samples ...belay.Sample) iter.Seq2[stream.Tick, error] {
	return func(yield func(stream.Tick, error) bool) {
		for _, m := range samples {
			if !yield(stream.Tick{Tick: belay.Tick{T: m.T, Samples: []belay.Sample{m}}}, nil) {
				return
			}
		}
	}
}

// events are bad of all in each of so many seconds from a moment on.
func events(arm belay.Arm, from, seconds int, bad, all float64) []belay.Sample {
	var out []belay.Sample
	for t := from; t < from+seconds; t++ {
		out = append(out, belay.Sample{T: float64(t), Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, X: bad, N: all})
	}
	return out
}

func ask(string) (window, quantile float64) { return 30, 0.9 }

func of(t *testing.T, cases ...backtest.Case) map[string]profile.Signal {
	t.Helper()
	list, err := profile.Of(t.Context(), cases, ask)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]profile.Signal{}
	for _, s := range list {
		out[s.Name] = s
	}
	return out
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestLevelsOfEvents(t *testing.T) {
	good := append(events(belay.ArmCandidate, 0, 60, 1, 100), events(belay.ArmCandidate, 60, 31, 4, 100)...)
	got := of(t,
		backtest.Case{ID: "good", Truth: backtest.TruthGood, Ticks: ticks(append(good, events(belay.ArmBaseline, 0, 60, 1, 100)...)...)},
		backtest.Case{ID: "bad", Truth: backtest.TruthBad, Ticks: ticks(events(belay.ArmCandidate, 0, 60, 50, 100)...)},
		backtest.Case{ID: "nobody knows", Ticks: ticks(events(belay.ArmCandidate, 0, 60, 99, 100)...)},
	)["error_rate"]
	if !near(got.High, 0.04) || got.HighIn != "good" || !near(got.Low, 0.01) || len(got.Bad) != 1 || !near(got.Bad[0].High, 0.5) {
		t.Errorf("%+v", got)
	}
	if got.Spread == nil || got.Spread.Of != 1 || got.Spread.Sure >= got.Spread.Ratio || got.Spread.Ratio < 1.9 || got.Spread.Ratio > 2.1 {
		t.Errorf("spread %+v", got.Spread)
	}
}

// Where traffic is low, a window lasts until it holds a hundred requests: three of twenty are no level.
func TestFewEventsAreNoLevel(t *testing.T) {
	low := events(belay.ArmCandidate, 0, 300, 0, 1)
	for _, i := range []int{3, 4, 5} {
		low[i].X = 1
	}
	got := of(t, backtest.Case{ID: "night", Truth: backtest.TruthGood, Ticks: ticks(low...)})["error_rate"]
	if !near(got.High, 0.03) || got.Windows != 3 {
		t.Errorf("%+v", got)
	}
	if got := of(t, backtest.Case{ID: "night", Truth: backtest.TruthGood, Ticks: ticks(low[:90]...)})["error_rate"]; got.Windows != 0 {
		t.Errorf("90 requests are a level: %+v", got)
	}
}

func TestQuantilesAndValues(t *testing.T) {
	var all []belay.Sample
	for i := range 40 {
		at := float64(i)
		all = append(all,
			belay.Sample{T: at, Signal: "response_time", Kind: belay.KindHistogram, Arm: belay.ArmCandidate, N: 100, LE: []float64{0.1, 0.3}, Count: []float64{80, 100}},
			belay.Sample{T: at, Signal: "slow", Kind: belay.KindHistogram, Arm: belay.ArmCandidate, N: 100, LE: []float64{0.1}, Count: []float64{80}},
			belay.Sample{T: at, Signal: "cpu_usage", Kind: belay.KindGauge, Instance: "a", Value: 0.4},
			belay.Sample{T: at, Signal: "cpu_usage", Kind: belay.KindGauge, Instance: "b", Value: 0.8},
		)
	}
	got := of(t, backtest.Case{ID: "x", Actual: backtest.Actual{Fate: backtest.FateKept}, Ticks: ticks(all...)})
	if s := got["response_time"]; !near(s.High, 0.2) {
		t.Errorf("a quantile between two bounds: %+v", s)
	}
	if s := got["slow"]; s.Windows != 0 {
		t.Errorf("a quantile above all bounds is not known: %+v", s)
	}
	if s := got["cpu_usage"]; !near(s.High, 0.8) || !near(s.Low, 0.4) {
		t.Errorf("values by instance: %+v", s)
	}
}

func TestTheLargestOfManyIsHeldToMore(t *testing.T) {
	pair := func(id string, bad float64) backtest.Case {
		return backtest.Case{ID: id, Truth: backtest.TruthGood, Ticks: ticks(append(events(belay.ArmCandidate, 0, 50, bad, 100), events(belay.ArmBaseline, 0, 50, 1, 100)...)...)}
	}
	alone := of(t, pair("a", 2))["error_rate"].Spread
	among := of(t, pair("a", 2), pair("b", 1), pair("c", 1), pair("d", 1))["error_rate"].Spread
	if among.Case != "a" || among.Of != 4 || among.Sure >= alone.Sure {
		t.Errorf("alone %+v, among four %+v", alone, among)
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	torn := func(yield func(stream.Tick, error) bool) {
		if yield(stream.Tick{Tick: belay.Tick{Samples: events(belay.ArmCandidate, 0, 1, 100, 100)}}, nil) {
			yield(stream.Tick{}, errors.New("torn"))
		}
	}
	if got := of(t, backtest.Case{ID: "x", Truth: backtest.TruthGood, Ticks: torn}); len(got) != 0 {
		t.Errorf("half of a record counts: %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := profile.Of(ctx, []backtest.Case{{Truth: backtest.TruthGood, Ticks: ticks()}}, ask); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
