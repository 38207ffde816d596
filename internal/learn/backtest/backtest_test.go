package backtest_test

import (
	"encoding/json"
	"errors"
	"iter"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/stream"
	"github.com/belaydev/belay/internal/learn/backtest"
)

// story is what a service showed: bad answers of the new and the old release, of so many a second.
type story struct {
	seconds       int
	candidate     func(t int) (bad, all float64)
	baseline      func(t int) (bad, all float64) // nil: nothing beside it
	health        func(t int) belay.HealthState  // nil: no checks
	cut           int                            // the record breaks off with an error; 0 for never
	share, fullAt int                            // per cent of the traffic until then
	blindFrom     int
}

func steady(bad, all float64) func(int) (float64, float64) {
	return func(int) (float64, float64) { return bad, all }
}

// from is one series until a moment and another one after it.
func from(at int, before, after func(int) (float64, float64)) func(int) (float64, float64) {
	return func(t int) (float64, float64) {
		if t < at {
			return before(t)
		}
		return after(t)
	}
}

// every is one bad answer each so many seconds.
func every(n int, all float64) func(int) (float64, float64) {
	return func(t int) (float64, float64) {
		if t%n == n-1 {
			return 1, all
		}
		return 0, all
	}
}

func (s story) ticks() iter.Seq2[stream.Tick, error] {
	return func(yield func(stream.Tick, error) bool) {
		for t := range s.seconds {
			if s.cut > 0 && t == s.cut {
				yield(stream.Tick{}, errors.New("line 7: cut off"))
				return
			}
			if !yield(s.tick(t), nil) {
				return
			}
		}
	}
}

func (s story) tick(t int) stream.Tick {
	tick := stream.Tick{Tick: belay.Tick{T: float64(t)}}
	add := func(arm belay.Arm, of func(int) (float64, float64)) {
		if of == nil {
			return
		}
		if x, n := of(t); n > 0 {
			tick.Samples = append(tick.Samples, belay.Sample{T: float64(t), Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, Instance: string(arm), N: n, X: x})
		}
	}
	add(belay.ArmCandidate, s.candidate)
	add(belay.ArmBaseline, s.baseline)
	if s.health != nil {
		tick.Health = []belay.HealthStatus{{Check: "web", Target: "a", Arm: belay.ArmCandidate, State: s.health(t)}}
	}
	if t < s.fullAt {
		share := float64(s.share) / 100
		tick.Share = &share
	}
	if s.blindFrom > 0 && t >= s.blindFrom {
		tick.Samples, tick.Sources = nil, []belay.SourceStatus{{Source: "metrics", Detail: "connection refused"}}
	}
	return tick
}

func at(v float64) *float64 { return &v }

func takenBack(t float64, by string) backtest.Actual {
	return backtest.Actual{Fate: backtest.FateTakenBack, T: at(t), By: by}
}

var kept = backtest.Actual{Fate: backtest.FateKept}

// errorsOnly compares error rates and nothing else.
func errorsOnly() judge.Policy {
	p := judge.DefaultPolicy()
	p.Signals = p.Signals[:1]
	return p
}

func byPolicy(name string, p judge.Policy, w backtest.Watch) backtest.Rule {
	return backtest.Judged(name, "", func(*backtest.Case) (judge.Policy, backtest.Watch, error) { return p, w, nil })
}

func standard() backtest.Watch {
	return backtest.Watch{StartDeadline: 300, Deadline: 600, MinTime: 10, Bake: 1800,
		OnTimeout: backtest.OnTimeout{NeverHealthy: backtest.DoRollback, Insufficient: backtest.DoHold, Blind: backtest.DoHold}}
}

func usual(names ...string) []backtest.Rule {
	var out []backtest.Rule
	for _, r := range backtest.Usual() {
		if slices.Contains(names, r.Name) {
			out = append(out, r)
		}
	}
	return out
}

func run(t *testing.T, cases []backtest.Case, rules ...backtest.Rule) backtest.Report {
	t.Helper()
	r, err := backtest.Run(t.Context(), cases, rules, backtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A quarter of a year of a small shop: what was done, what a stricter policy would have done, and what the usual rules
// would have.
func TestAQuarterOfAYear(t *testing.T) {
	quiet := steady(0, 50)
	cases := []backtest.Case{
		{ID: "good", Truth: backtest.TruthGood, Actual: kept, Ticks: story{seconds: 900, candidate: quiet, baseline: quiet}.ticks()},
		{ID: "good, few users", Truth: backtest.TruthGood, Actual: kept, Ticks: story{seconds: 900, candidate: every(70, 1), baseline: every(70, 9)}.ticks()},
		{ID: "bad from 60 s", Truth: backtest.TruthBad, Actual: takenBack(90, "user:ann"), FirstBad: at(60),
			Ticks: story{seconds: 95, candidate: from(60, quiet, steady(4, 50)), baseline: quiet}.ticks()},
		{ID: "bad, and kept", Truth: backtest.TruthBad, Actual: kept, FirstBad: at(300),
			Ticks: story{seconds: 900, candidate: from(300, quiet, steady(5, 50)), baseline: quiet}.ticks()},
		{ID: "nobody said", Actual: kept, Ticks: story{seconds: 900, candidate: quiet, baseline: quiet}.ticks()},
		{ID: "nothing", Ticks: story{}.ticks()},
		{ID: "torn", Ticks: story{seconds: 10, cut: 5}.ticks()},
	}
	careless := errorsOnly()
	careless.Signals[0].SmallestChange, careless.Signals[0].HardStop = 0.3, at(0.9)
	r := run(t, cases, append([]backtest.Rule{byPolicy("current", errorsOnly(), standard()), byPolicy("careless", careless, standard())}, usual("argo", "flagger", "kayenta")...)...)

	fates := map[string]string{}
	for _, o := range r.Cases {
		var all []string
		for _, res := range o.Results {
			all = append(all, string(res.Fate))
		}
		fates[o.ID] = strings.Join(all, " ")
	}
	want := map[string]string{
		"good":            "kept kept kept kept kept",
		"good, few users": "held kept kept taken_back taken_back",
		"bad from 60 s":   "taken_back undecided undecided undecided undecided",
		"bad, and kept":   "taken_back kept taken_back taken_back kept",
		"nobody said":     "kept kept kept kept kept",
	}
	if !reflect.DeepEqual(fates, want) {
		t.Errorf("fates:\n%v\nwant:\n%v", fates, want)
	}
	if want := []backtest.Left{{ID: "nothing", Reason: "nothing of it was recorded"}, {ID: "torn", Reason: "line 7: cut off", Broken: true}}; !slices.Equal(r.Left, want) {
		t.Errorf("left out: %+v", r.Left)
	}
	byName := map[string]backtest.Summary{"really": r.Really}
	for _, s := range r.Rules {
		byName[s.Rule] = s
	}
	if s := byName["current"]; s.TakenBack != 2 || s.False.K != 0 || s.False.N != 2 || s.Missed.K != 0 || s.Missed.N != 2 || s.Earlier != 1 {
		t.Errorf("current: %+v", s)
	}
	if s := byName["careless"]; s.Missed.K != 1 || s.Missed.N != 1 || s.Undecided != 1 || s.Open != 1 || s.Later != 1 || !slices.Equal(s.MissedIDs, []string{"bad, and kept"}) {
		t.Errorf("careless: %+v", s)
	}
	if s := byName["flagger"]; !slices.Equal(s.FalseIDs, []string{"good, few users"}) || s.False.K != 1 {
		t.Errorf("flagger: %+v", s)
	}
	if s := byName["really"]; s.TakenBack != 1 || s.Kept != 4 || s.Missed.K != 1 || s.Missed.N != 2 || s.Bad != 31*4+600*5 {
		t.Errorf("really: %+v", s)
	}
	if n := len(r.Disagreements); n != 2 || r.Disagreements[0].ID != "good, few users" {
		t.Errorf("disagreements: %+v", r.Disagreements)
	}
}

// Harm is counted from the first bad moment to the decision; what it avoids is measured against what really happened.
func TestHarm(t *testing.T) {
	c := backtest.Case{ID: "bad", Truth: backtest.TruthBad, Actual: takenBack(100, "user:ann"), FirstBad: at(50),
		Ticks: story{seconds: 120, candidate: from(50, steady(0, 20), steady(10, 20)), baseline: steady(0, 80)}.ticks()}
	r := run(t, []backtest.Case{c}, byPolicy("current", errorsOnly(), standard()))
	o := r.Cases[0]
	res := o.Results[0]
	if res.Fate != backtest.FateTakenBack || *res.T < 50 || *res.T > 53 {
		t.Fatalf("%+v", res)
	}
	seconds := *res.T - 50 + 1
	if o.Bad.Bad != 510 || res.Harm.Bad != 10*seconds || res.Harm.Served != 20*seconds || *res.Avoided != 510-10*seconds {
		t.Errorf("really %+v, with the policy %+v, avoided %v", o.Bad, res.Harm, *res.Avoided)
	}
	// Without anybody's word, the first bad moment is the earliest that a policy sees.
	c.FirstBad, c.Truth = nil, backtest.TruthUnknown
	if o := run(t, []backtest.Case{c}, byPolicy("current", errorsOnly(), standard())).Cases[0]; o.FirstBad == nil || *o.FirstBad != 50 || o.Results[0].Harm.Bad != res.Harm.Bad {
		t.Errorf("found by itself: %+v", o.FirstBad)
	}
	// A release that was good does no harm, whoever took it back.
	c.Truth = backtest.TruthGood
	if o := run(t, []backtest.Case{c}, byPolicy("current", errorsOnly(), standard())).Cases[0]; o.Bad != nil || o.Results[0].Harm != nil {
		t.Errorf("harm of a good release: %+v", o)
	}
}

// A watch decides at its deadlines too, by what was missing.
func TestDeadlines(t *testing.T) {
	quiet := steady(0, 50)
	healthyFrom := func(at int) func(int) belay.HealthState {
		return func(t int) belay.HealthState {
			if t >= at {
				return belay.HealthHealthy
			}
			return belay.HealthUnhealthy
		}
	}
	w := standard()
	w.StartDeadline, w.Deadline, w.Bake = 60, 120, 300
	promote := w
	promote.OnTimeout.Insufficient = backtest.DoPromote
	for _, c := range []struct {
		name  string
		story story
		watch backtest.Watch
		fate  backtest.Fate
		t     float64
	}{
		{"never healthy", story{seconds: 200, health: healthyFrom(1000)}, w, backtest.FateTakenBack, 60},
		{"healthy in time, then without users", story{seconds: 200, health: healthyFrom(30), candidate: steady(0, 0), baseline: steady(0, 5)}, w, backtest.FateHeld, 120},
		{"too little traffic, and the policy says promote", story{seconds: 500, candidate: every(1000, 1), baseline: steady(0, 5)}, promote, backtest.FateKept, 120},
		{"monitoring down", story{seconds: 200, candidate: quiet, baseline: quiet, blindFrom: 5}, w, backtest.FateHeld, 120},
		{"proven at ten per cent is not proven", story{seconds: 100, candidate: quiet, baseline: steady(0, 450), share: 10, fullAt: 100}, w, backtest.FateUndecided, math.NaN()},
		{"proven once it has all traffic", story{seconds: 500, candidate: quiet, baseline: from(60, steady(0, 450), steady(0, 0)), share: 10, fullAt: 60}, w, backtest.FateKept, 60},
		{"bad after the bake", story{seconds: 900, candidate: from(800, quiet, steady(25, 50)), baseline: quiet}, w, backtest.FateKept, 12},
		{"bad while it is held", story{seconds: 400, candidate: from(200, steady(0, 0), steady(30, 50)), baseline: quiet}, w, backtest.FateTakenBack, 200},
	} {
		p := errorsOnly()
		p.Signals[0].Required = c.story.candidate != nil
		r := run(t, []backtest.Case{{ID: c.name, Ticks: c.story.ticks()}}, byPolicy("p", p, c.watch))
		res := r.Cases[0].Results[0]
		got := math.NaN()
		if res.T != nil {
			got = *res.T
		}
		if res.Fate != c.fate || !(math.Abs(got-c.t) <= 15 || math.IsNaN(got) && math.IsNaN(c.t)) {
			t.Errorf("%s: %s at %v (%s: %s), want %s at %v", c.name, res.Fate, got, res.By, res.Reason, c.fate, c.t)
		}
	}
}

func TestARuleThatCannotBeAppliedSaysSo(t *testing.T) {
	r := run(t, []backtest.Case{
		{ID: "alone", Ticks: story{seconds: 900, candidate: steady(0, 50)}.ticks()},
		{ID: "health only", Ticks: story{seconds: 900, health: func(int) belay.HealthState { return belay.HealthHealthy }}.ticks()},
	}, usual("argo", "kayenta")...)
	for i, want := range [][]backtest.Fate{{backtest.FateKept, backtest.FateNone}, {backtest.FateNone, backtest.FateNone}} {
		for k, res := range r.Cases[i].Results {
			if res.Fate != want[k] || res.Fate == backtest.FateNone && res.Reason == "" {
				t.Errorf("%s of %q: %+v, want %s", res.Rule, r.Cases[i].ID, res, want[k])
			}
		}
	}
	if s := r.Rules[0]; s.Cases != 1 || s.Kept != 1 {
		t.Errorf("argo: %+v", s)
	}
}

// The same cases give the same bytes, however many are replayed at once.
func TestTheSameWhateverRunsAtOnce(t *testing.T) {
	var cases []backtest.Case
	for i := range 12 {
		cases = append(cases, backtest.Case{ID: string(rune('a' + i)), Truth: []backtest.Truth{"", "good", "bad"}[i%3], Actual: kept, At: time.Unix(int64(i), 0).UTC(),
			Ticks: story{seconds: 120 + 30*i, candidate: from(20*i, every(7, 20), every(2+i%3, 20)), baseline: every(8, 80)}.ticks()})
	}
	rules := append([]backtest.Rule{byPolicy("current", errorsOnly(), standard())}, backtest.Usual()...)
	var first []byte
	for _, procs := range []int{1, 2, 2} {
		before := runtime.GOMAXPROCS(procs)
		calls := 0
		r, err := backtest.Run(t.Context(), cases, rules, backtest.Options{Workers: 2 * procs, Progress: func(done, all int) {
			if calls++; done != calls || all != len(cases) {
				t.Errorf("progress %d of %d at call %d", done, all, calls)
			}
		}})
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b
		}
		if string(b) != string(first) {
			t.Fatalf("with %d at once:\n%s\nbefore:\n%s", procs, b, first)
		}
	}
}

func TestIntervalsAreExact(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{
		{0, 0, 0, 1}, {0, 100, 0, 0.03622}, {1, 100, 0.000253, 0.05446}, {10, 1000, 0.004805, 0.01831}, {50, 100, 0.39832, 0.60168}, {100, 100, 0.96378, 1},
	} {
		if r := backtest.RateOf(c.k, c.n); math.Abs(r.Low-c.low) > 2e-5 || math.Abs(r.High-c.high) > 2e-5 || r.K != c.k || r.N != c.n {
			t.Errorf("%d of %d: %+v, want %.6f to %.6f", c.k, c.n, r, c.low, c.high)
		}
	}
}
