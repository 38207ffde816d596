package recovery_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/recovery"
)

// ticks returns n seconds from the given one, each with the same samples.
func ticks(from, n int, samples ...belay.Sample) []belay.Tick {
	all := make([]belay.Tick, n)
	for i := range all {
		all[i] = belay.Tick{T: float64(from + i), Samples: samples}
	}
	return all
}

func requests(arm belay.Arm, stratum string, n, x float64) belay.Sample {
	return belay.Sample{Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, Stratum: stratum, N: n, X: x}
}

func errorPolicy() judge.Policy {
	p := judge.DefaultPolicy()
	p.Signals = p.Signals[:1]
	return p
}

func TestRecoveredErrors(t *testing.T) {
	good, bad := requests("baseline", "", 50, 0), requests("baseline", "", 50, 10)
	before := ticks(-300, 300, good)
	for name, c := range map[string]struct {
		before, after []belay.Tick
		want          belay.CheckResult
		got           string
	}{
		"well again":              {before, ticks(100, 12, good), belay.CheckPassed, "0 % (0 of "},
		"too little":              {before, ticks(100, 3, good), belay.CheckUnknown, "0 % (0 of 150); "},
		"no traffic":              {before, ticks(100, 60, requests("baseline", "", 0, 0)), belay.CheckUnknown, "no requests"},
		"no samples":              {before, nil, belay.CheckUnknown, "no samples"},
		"still bad":               {before, ticks(100, 12, bad), belay.CheckFailed, "20 % (120 of 600)"},
		"bad at first, then well": {before, append(ticks(100, 5, bad), ticks(105, 15, good)...), belay.CheckPassed, "0 % (0 of "},
		"well, then bad":          {before, append(ticks(100, 30, good), ticks(130, 5, bad)...), belay.CheckFailed, ""},
		"as bad as before":        {ticks(-300, 300, bad), ticks(100, 60, bad), belay.CheckPassed, "20 %"},
		"past unknown, well":      {nil, ticks(100, 12, good), belay.CheckPassed, "0 % (0 of "},
		"past unknown, bad":       {nil, ticks(100, 12, bad), belay.CheckFailed, "20 %"},
	} {
		r := recovery.Recovered(c.before, c.after, errorPolicy())
		if len(r) != 1 || r[0].Result != c.want || !strings.Contains(r[0].Got, c.got) {
			t.Errorf("%s: want %s %q, got %+v", name, c.want, c.got, r)
		}
	}
}

func TestRecoveredNeedsFewRequests(t *testing.T) {
	before := ticks(-300, 300, requests("baseline", "", 50, 0))
	for n := 1; ; n++ {
		if r := recovery.Recovered(before, ticks(0, n, requests("baseline", "", 10, 0)), errorPolicy()); r[0].Result == belay.CheckPassed {
			if n*10 < 250 || n*10 > 600 {
				t.Errorf("passed after %d requests without an error, want 300 to 600", n*10)
			}
			return
		}
	}
}

func slow(counts ...float64) belay.Sample {
	return belay.Sample{Signal: "response_time", Kind: belay.KindHistogram, Arm: belay.ArmBaseline, N: 20, LE: []float64{0.1, 0.5, 1}, Count: counts}
}

func TestRecoveredResponseTimesAndGauges(t *testing.T) {
	gauge := func(v float64) belay.Sample {
		return belay.Sample{Signal: "cpu_usage", Kind: belay.KindGauge, Value: v}
	}
	limit := 0.8
	p := judge.Policy{Signals: []judge.SignalPolicy{
		{Name: "response_time", Unit: "s", Kind: belay.KindHistogram, Compare: true},
		{Name: "cpu_usage", Unit: "%", Kind: belay.KindGauge, Threshold: &limit},
		{Name: "orders", Kind: belay.KindEvents, Compare: true},
		{Name: "shown_only", Kind: belay.KindGauge},
	}}
	before := append(ticks(-60, 30, slow(10, 20, 20), gauge(0.4)), ticks(-30, 30, slow(12, 19, 20), gauge(0.5))...)
	for name, c := range map[string]struct {
		after []belay.Tick
		want  [3]belay.CheckResult
	}{
		"well": {ticks(100, 40, slow(11, 20, 20), gauge(0.45)), [3]belay.CheckResult{belay.CheckPassed, belay.CheckPassed, belay.CheckAbsent}},
		"slow": {ticks(100, 40, slow(2, 10, 20), gauge(0.7)), [3]belay.CheckResult{belay.CheckFailed, belay.CheckFailed, belay.CheckAbsent}},
		"few":  {ticks(100, 2, slow(11, 20, 20), gauge(0.45)), [3]belay.CheckResult{belay.CheckUnknown, belay.CheckUnknown, belay.CheckAbsent}},
	} {
		r := recovery.Recovered(before, c.after, p)
		if len(r) != 3 {
			t.Fatalf("%s: %d readings: %+v", name, len(r), r)
		}
		for i := range r {
			if r[i].Result != c.want[i] {
				t.Errorf("%s: want %s, got %+v", name, c.want[i], r[i])
			}
		}
	}
	if r := recovery.Recovered(before, ticks(0, 40, slow(11, 20, 20)), p); !strings.Contains(r[0].Want, "slower than 500 ms, before the deployment 2.5 % (30 of 1,200)") {
		t.Errorf("want text: %q", r[0].Want)
	}
}

// FuzzRecovered feeds whatever JSON makes ticks: nothing panics.
func FuzzRecovered(f *testing.F) {
	f.Add([]byte(`[{"t":-5,"samples":[{"signal":"error_rate","kind":"events","n":5,"x":9}]},{"t":1,"samples":[{"signal":"response_time","kind":"histogram","arm":"baseline","le":[1,2],"count":[1,3],"n":3}]}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var ticks []belay.Tick
		if json.Unmarshal(data, &ticks) != nil {
			return
		}
		recovery.Recovered(ticks, ticks, judge.DefaultPolicy())
	})
}
