package advice_test

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/advice"
	"github.com/belaydev/belay/internal/app/past"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge/stream"
	"github.com/belaydev/belay/internal/learn/backtest"
)

// showing is what a release and the one before it show, each second: bad answers of 100.
func showing(seconds int, candidate, baseline func(t int) float64, slow float64) iter.Seq2[stream.Tick, error] {
	return func(yield func(stream.Tick, error) bool) {
		for i := 1; i <= seconds; i++ {
			t := float64(i)
			tick := stream.Tick{Tick: belay.Tick{T: t, Samples: []belay.Sample{
				{T: t, Signal: "error_rate", Kind: belay.KindEvents, Arm: belay.ArmCandidate, Instance: "a", N: 100, X: candidate(i)},
				{T: t, Signal: "error_rate", Kind: belay.KindEvents, Arm: belay.ArmBaseline, Instance: "b", N: 100, X: baseline(i)},
				{T: t, Signal: "response_time", Kind: belay.KindHistogram, Arm: belay.ArmCandidate, Instance: "a", N: 100, LE: []float64{0.1, 0.2, 1}, Count: []float64{80, 100 - slow, 100}},
				{T: t, Signal: "orders", Kind: belay.KindGauge, Arm: belay.ArmCandidate, Instance: "a", Value: 40 + math.Mod(t, 3)},
				{T: t, Signal: "throughput", Kind: belay.KindGauge, Arm: belay.ArmCandidate, Instance: "a", Value: 40},
			}}}
			if !yield(tick, nil) {
				return
			}
		}
	}
}

func every(n int) func(int) float64 {
	return func(t int) float64 {
		if t%n == 0 {
			return 1
		}
		return 0
	}
}

const yaml = `services:
  shop:
    environment: production
    targets: ["a:1"]
    signals: {orders: {query: x, direction: lower_is_worse}}
    watch: {deadline: 10m, bake: 15m}
    rollback: {steps: [{command: [./back.sh]}]}
`

func question(t *testing.T, cases []backtest.Case) advice.Question {
	t.Helper()
	cfg, err := config.Parse("belay.yaml", []byte(yaml), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cases {
		cases[i].Ref = belay.Ref{Service: "shop", Environment: "production"}
	}
	return advice.Question{Cases: cases, Present: past.Present(cfg, "belay.yaml")}
}

func ofSetting(a advice.Advice, setting string) advice.Change {
	i := slices.IndexFunc(a.Changes, func(c advice.Change) bool { return c.Setting == setting })
	if i < 0 {
		return advice.Change{}
	}
	return a.Changes[i]
}

func TestSuggest(t *testing.T) {
	var cases []backtest.Case
	for i := range 7 {
		cases = append(cases, backtest.Case{ID: fmt.Sprintf("good-%d", i), Truth: backtest.TruthGood, Actual: backtest.Actual{Fate: backtest.FateKept}, Ticks: showing(900, every(3), every(3), 3)})
	}
	// A good release that always shows twice the errors of the one beside it.
	cases = append(cases, backtest.Case{ID: "odd", Actual: backtest.Actual{Fate: backtest.FateKept}, Ticks: showing(900, every(1), every(2), 3)})
	late := func(t int) float64 { return map[bool]float64{true: 20, false: 0}[t > 800] }
	cases = append(cases, backtest.Case{ID: "leak", Truth: backtest.TruthBad, Ticks: showing(900, late, every(3), 3)})
	q := question(t, cases)
	calls := 0
	q.Progress = func(int, int) { calls++ }
	a, err := advice.Suggest(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if a.Good != 8 || a.Bad != 1 || a.Service != "shop" || calls != 2*len(cases) {
		t.Errorf("%d good, %d bad, %s, %d calls", a.Good, a.Bad, a.Ref, calls)
	}
	for setting, want := range map[string]advice.Change{
		"signals.error_rate.threshold":    {Present: "none", Proposed: "1.5%", Why: "good releases showed at most 1% over 30 s (odd); 1 of 1 bad release went beyond the limit"},
		"signals.response_time.threshold": {Present: "none", Proposed: "290ms", Why: "good releases showed at most 190ms over 30 s (good-0); 0 of 1 bad release went beyond the limit"},
		"signals.orders.threshold":        {Present: "none", Proposed: "27", Why: "good releases showed at least 41 over 30 s (good-0); 0 of 1 bad release went beyond the limit"},
		"watch.bake":                      {Present: "15m", Proposed: "30m", Why: "the latest bad release was found after 13m"},
		"watch.deadline":                  {Present: "10m", Why: "19 of 20 good releases were proven within "},
		"signals.error_rate.margin":       {Present: "learned", Proposed: "1.95", Why: "of 8 good releases, the one that differed most showed 2.00 times"},
		"signals.throughput.threshold":    {},
	} {
		if got := ofSetting(a, setting); got.Present != want.Present || got.Proposed != want.Proposed || !strings.HasPrefix(got.Why, want.Why) {
			t.Errorf("%s: %+v, want %+v", setting, got, want)
		}
	}
	if !strings.HasPrefix(a.Section, "signals:\n  error_rate: {threshold: 1.5%") {
		t.Errorf("section:\n%s", a.Section)
	}
	// What is advised can be read, and is what was tried.
	cfg, err := config.ParsePolicy("p.yaml", []byte(a.Section), []string{"orders"})
	if err != nil {
		t.Fatalf("the advised section is refused: %v\n%s", err, a.Section)
	}
	if a.Best == "together" && cfg.Services[0].Watch.Bake != 30*time.Minute {
		t.Errorf("bake %s", cfg.Services[0].Watch.Bake)
	}
	if len(a.Report.Rules) != 5 || a.Report.Rules[0].Rule != "present" || a.Report.Rules[4].Rule != "together" {
		t.Errorf("rules %+v", a.Report.Rules)
	}
	if notes := strings.Join(a.Notes, "\n"); !strings.Contains(notes, "Not labelled: 1 of the releases that count as good") || !strings.Contains(notes, "Good releases this few (8) prove little") {
		t.Errorf("notes:\n%s", notes)
	}
}

func TestNothingIsKnown(t *testing.T) {
	_, err := advice.Suggest(t.Context(), question(t, []backtest.Case{{ID: "x", Ticks: showing(10, every(3), every(3), 3)}}))
	if belay.CodeOf(err) != belay.CodeConflict || !strings.Contains(err.Error(), "none of the 1 deployments is known to have been good; label some") {
		t.Errorf("%v", err)
	}
}

func TestLittleIsKnown(t *testing.T) {
	a, err := advice.Suggest(t.Context(), question(t, []backtest.Case{{ID: "x", Truth: backtest.TruthGood, Ticks: showing(60, every(1000), every(1000), 3)}}))
	if err != nil {
		t.Fatal(err)
	}
	if c := ofSetting(a, "watch.deadline"); c.Proposed != "" || !strings.Contains(c.Why, "too few to tell") {
		t.Errorf("%+v", c)
	}
	if c := ofSetting(a, "watch.bake"); c.Proposed != "" || !strings.Contains(c.Why, "nothing says how late") {
		t.Errorf("%+v", c)
	}
	if c := ofSetting(a, "signals.error_rate.threshold"); c.Proposed != "" || !strings.Contains(c.Why, "1 good release, too few to propose from (5 are needed)") {
		t.Errorf("a limit from one release: %+v", c)
	}
	if a.Section != "" || a.Best != "present" {
		t.Errorf("from one release %s is advised:\n%s", a.Best, a.Section)
	}
	var five []backtest.Case
	for i := range 5 {
		five = append(five, backtest.Case{ID: fmt.Sprint(i), Truth: backtest.TruthGood, Ticks: showing(60, every(1000), every(1000), 3)})
	}
	if a, err = advice.Suggest(t.Context(), question(t, five)); err != nil {
		t.Fatal(err)
	}
	if c := ofSetting(a, "signals.error_rate.threshold"); c.Proposed != "1%" {
		t.Errorf("a limit of twice the smallest change, where nothing fails: %+v", c)
	}
}
