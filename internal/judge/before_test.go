package judge

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/picture"
)

func gauge(arm belay.Arm, instance string, v float64) belay.Sample {
	return belay.Sample{Signal: "queue", Kind: belay.KindGauge, Arm: arm, Instance: instance, Value: v}
}

// queue is a value with a daily season.
func queue(r *rand.Rand, t float64) float64 {
	return 100 + 30*math.Sin(2*math.Pi*t/86400) + 3*r.NormFloat64()
}

func queuePolicy(more ...SignalPolicy) Policy {
	return Policy{Deadline: 3600, Signals: append([]SignalPolicy{{Name: "queue", Kind: belay.KindGauge, Compare: true, Required: true}}, more...)}
}

// remembered is a judge that saw so many seconds of the past, once a minute.
func remembered(r *rand.Rand, p Policy, seconds float64) *Judge {
	j := New(p)
	for t := -seconds; t < 0; t += 60 {
		j.Take(belay.Tick{T: t, Samples: []belay.Sample{gauge(belay.ArmBaseline, "", queue(r, t))}})
	}
	return j
}

func TestAValueAloneIsComparedWithItsPast(t *testing.T) {
	for _, c := range []struct {
		name      string
		shift     float64
		direction Direction
		want      belay.Verdict
	}{
		{"nothing changes", 0, "", belay.VerdictHealthy},
		{"higher", 40, "", belay.VerdictRegressed},
		{"lower", -40, "", belay.VerdictRegressed},
		{"lower is better", -40, HigherIsWorse, belay.VerdictHealthy},
		{"lower is worse", -40, LowerIsWorse, belay.VerdictRegressed},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 3))
			p := queuePolicy()
			p.Signals[0].Direction = c.direction
			j := remembered(r, p, 3*86400)
			for at := 0.0; at <= 3600 && !j.Regressed(); at += 5 {
				j.Take(belay.Tick{T: at, Samples: []belay.Sample{gauge(belay.ArmCandidate, "", queue(r, at)+c.shift)}})
			}
			card := j.Card()
			e := card.Signals[0]
			if card.Verdict != c.want || e.Against != belay.AgainstPast {
				t.Fatalf("%s: %s, against %q (%s)", card.Verdict, card.Reason, e.Against, e.Note)
			}
			if c.want != belay.VerdictRegressed {
				return
			}
			if !slices.Equal(card.Culprits, []string{"queue"}) || !strings.Contains(card.Reason, "is usual") || e.EValue < e.Limit ||
				e.Effect == nil || (*e.Effect > 1) != (c.shift > 0) || *card.DecidedAt > 1200 || *card.FirstBad > 600 {
				t.Errorf("%s\n%+v", card.Reason, e)
			}
		})
	}
}

func TestTooLittlePastIsSaidAndLimitsHold(t *testing.T) {
	limit := 500.0
	for _, c := range []struct {
		name      string
		threshold *float64
		want      belay.Verdict
	}{
		{"no limit", nil, belay.VerdictInsufficient},
		{"a limit", &limit, belay.VerdictRegressed},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 3))
			p := queuePolicy()
			p.Signals[0].Threshold, p.Signals[0].For = c.threshold, 30
			j := remembered(r, p, 1200)
			for at := 0.0; at <= 600; at += 5 {
				j.Take(belay.Tick{T: at, Samples: []belay.Sample{gauge(belay.ArmCandidate, "", 900)}})
			}
			card := j.Card()
			if card.Verdict != c.want || !strings.Contains(card.Signals[0].Note, "too little history (have 20 min, need 40 min)") {
				t.Fatalf("%s: %s; note %q", card.Verdict, card.Reason, card.Signals[0].Note)
			}
			if c.threshold == nil && !strings.Contains(card.Reason, "too little history") {
				t.Error(card.Reason)
			}
		})
	}
}

// All signals together share the rate: of two, each acts at half of it.
func TestThePastIsSpentInTheSharedBound(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	p := queuePolicy(SignalPolicy{Name: "other", Kind: belay.KindGauge, Compare: true})
	j := New(p)
	two := func(t, shift float64) belay.Tick {
		a, b := gauge(belay.ArmCandidate, "", queue(r, t)+shift), gauge(belay.ArmCandidate, "", queue(r, t))
		b.Signal = "other"
		return belay.Tick{T: t, Samples: []belay.Sample{a, b}}
	}
	for at := -2 * 86400.0; at < 0; at += 60 {
		j.Take(two(at, 0))
	}
	for at := 0.0; at <= 3600; at += 60 {
		j.Take(two(at, 30*at/3600))
		s := j.signals[0]
		if acts := s.before.Score() >= math.Log(200); acts != (len(j.guilty()) > 0) {
			t.Fatalf("at %v s: 1/p %v, guilty %v", at, math.Exp(s.before.Score()), names(j.guilty()))
		}
	}
	if !j.Regressed() || j.Card().Signals[0].Limit != 200 {
		t.Errorf("%+v", j.Card().Signals[0])
	}
}

// A rolling update runs both releases for a while: that is compared side by side, and what follows with the past.
func TestTheOverlapOfARollingUpdateIsComparedSideBySide(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	p := queuePolicy(SignalPolicy{Name: "error_rate", Kind: belay.KindEvents, Compare: true})
	p.Signals[0].Required = false
	j := New(p)
	tick := func(t, factor float64, candidate, baseline []string) belay.Tick {
		tick := belay.Tick{T: t}
		add := func(arm belay.Arm, names []string, rate float64) {
			level := queue(r, t)
			for _, name := range names {
				tick.Samples = append(tick.Samples, gauge(arm, name, level+3*r.NormFloat64()))
				n, x := 30.0, 0.0
				for range int(n) {
					if r.Float64() < rate {
						x++
					}
				}
				tick.Samples = append(tick.Samples, belay.Sample{Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, Instance: name, N: n, X: x})
			}
		}
		add(belay.ArmBaseline, baseline, 0.01)
		add(belay.ArmCandidate, candidate, 0.01*factor)
		return tick
	}
	for at := -86400.0; at < 0; at += 60 {
		j.Take(tick(at, 1, nil, []string{"a", "b"}))
	}
	for at := 0.0; at <= 900; at += 5 {
		mine, base := []string{"c"}, []string{"b"}
		if at > 300 {
			mine, base = []string{"c", "d"}, nil
		}
		j.Take(tick(at, 1, mine, base))
		want := belay.AgainstBaseline
		if at > 400 {
			want = belay.AgainstBoth
		}
		if at < 20 || at > 300 && at <= 400 {
			continue // until readings suffice, and until the old release is held to be gone
		}
		for _, e := range j.Card().Signals {
			if e.Against != want {
				t.Fatalf("at %v s %s is compared with %q, want %q: %s", at, e.Signal, e.Against, want, e.Note)
			}
		}
	}
	if j.Regressed() {
		t.Fatal(j.Card().Reason)
	}
	bad := New(p)
	for at := 0.0; at <= 300; at += 5 {
		bad.Take(tick(at, 8, []string{"c"}, []string{"b"}))
	}
	if !bad.Regressed() || bad.Card().Signals[1].Against != belay.AgainstBaseline {
		t.Errorf("a fault in the overlap: %s", bad.Card().Reason)
	}
}

// requests are those of a minute: errors, and times around a second.
func requests(r *rand.Rand, t, rate, slow float64) []belay.Sample {
	n, x, sum := 60.0, 0.0, 0.0
	le, count := []float64{0.5, 1, 2, 4}, make([]float64, 4)
	for range int(n) {
		if r.Float64() < rate {
			x++
		}
		took := slow * math.Exp(0.4*r.NormFloat64())
		sum += took
		for i, b := range le {
			if took <= b {
				count[i]++
			}
		}
	}
	arm := belay.ArmCandidate
	if t < 0 {
		arm = belay.ArmBaseline
	}
	return []belay.Sample{
		{Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, N: n, X: x},
		{Signal: "response_time", Kind: belay.KindHistogram, Arm: arm, N: n, Sum: sum, LE: le, Count: count},
	}
}

// What is counted is compared with a long past by placebos too: by time of day, where its worst minute hides a fault.
func TestCountsAloneAreComparedWithALongPast(t *testing.T) {
	usual := func(t float64) float64 { return 0.04 * (1 - 0.9*math.Cos(2*math.Pi*t/86400)) } // least at 0
	for _, c := range []struct {
		name         string
		hours        float64
		errors, slow float64
		culprit      string
	}{
		{"nothing changes", 72, 1, 1, ""},
		{"errors", 72, 8, 1, "error_rate"},
		{"slow answers", 72, 1, 1.7, "response_time"},
		{"errors, an hour of past", 1, 8, 1, "error_rate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, 5))
			p := DefaultPolicy()
			p.Deadline = 3600
			j := New(p)
			for at := -3600 * c.hours; at < 0; at += 60 {
				j.Take(belay.Tick{T: at, Samples: requests(r, at, usual(at), 1)})
			}
			for at := 0.0; at <= 3600; at += 60 {
				j.Take(belay.Tick{T: at, Samples: requests(r, at, c.errors*usual(at), c.slow)})
			}
			for _, s := range j.signals {
				if got := s.before.Placed(); got != (c.hours > 24) {
					t.Errorf("%s: on the past: %v", s.Name, got)
				}
			}
			if card := j.Card(); j.Regressed() != (c.culprit != "") || c.culprit != "" && !slices.Contains(card.Culprits, c.culprit) {
				t.Errorf("%s %v: %s", card.Verdict, card.Culprits, card.Reason)
			}
		})
	}
}

// A long past that cannot be used leaves response times to the comparison with all of it, and that is said.
func TestTimesWithAnUnusablePastAreCompared(t *testing.T) {
	for _, c := range []struct {
		name string
		slow float64
		bad  bool
	}{{"as before", 1, false}, {"slow answers", 2, true}} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(8, 8))
			j := New(DefaultPolicy())
			for at := -2 * 86400.0; at < -3*3600; at += 60 { // it ends hours before
				j.Take(belay.Tick{T: at, Samples: requests(r, at, 0.01, 1)})
			}
			for at := 0.0; at <= 1800; at += 15 {
				j.Take(belay.Tick{T: at, Samples: requests(r, at, 0.01, c.slow)})
			}
			e := j.Card().Signals[1]
			if j.Regressed() != c.bad || e.Against != belay.AgainstPast || !strings.Contains(e.Note, "not with earlier days: its history ends before the deployment") {
				t.Errorf("%s, against %q (%s)", j.Card().Reason, e.Against, e.Note)
			}
		})
	}
}

// What is to be compared and has nothing to be compared with is not called healthy; a limit is something to go by.
func TestWhatIsNotComparedIsNotHealthy(t *testing.T) {
	limit := 10.0
	for _, c := range []struct {
		kind      belay.SampleKind
		threshold *float64
		past      int // minutes
		want      belay.Verdict
		standing  string
	}{
		{belay.KindHistogram, nil, 2, belay.VerdictInsufficient, "insufficient: not compared"},
		{belay.KindHistogram, nil, 90, belay.VerdictHealthy, "healthy: shown not to be worse"},
		{belay.KindHistogram, &limit, 2, belay.VerdictHealthy, "healthy: "},
		{belay.KindGauge, nil, 2, belay.VerdictInsufficient, "insufficient: not compared"},
		{belay.KindGauge, nil, 90, belay.VerdictHealthy, "healthy: nothing speaks against it"},
		{belay.KindCount, nil, 0, belay.VerdictInsufficient, "insufficient: not compared"},
		{belay.KindEvents, nil, 0, belay.VerdictHealthy, "healthy: shown to do no harm"},
	} {
		r := rand.New(rand.NewPCG(9, 9))
		j := New(Policy{Deadline: 1800, Signals: []SignalPolicy{{Name: "it", Kind: c.kind, Compare: true, Threshold: c.threshold}}})
		for at := -60.0 * float64(c.past); at < 1800; at += 60 {
			m := requests(r, at, 0.001, 1)[0]
			switch c.kind {
			case belay.KindHistogram:
				m = requests(r, at, 0, 1)[1]
			case belay.KindGauge:
				m = gauge(m.Arm, "", 100+r.NormFloat64())
			case belay.KindEvents, belay.KindCount:
			}
			m.Signal, m.Kind = "it", c.kind
			j.Take(belay.Tick{T: at, Samples: []belay.Sample{m}})
		}
		card := j.Card()
		text := picture.Text(card, picture.Options{})
		if e := card.Signals[0]; e.Verdict != c.want || !strings.Contains(text, c.standing) || strings.Contains(card.Reason, "not compared") != (c.want == belay.VerdictInsufficient) {
			t.Errorf("%s, limit %v, %d min of past: %s (%s), %s\n%s", c.kind, c.threshold != nil, c.past, e.Verdict, e.Note, card.Reason, text)
		}
	}
}

// Response times wander by themselves, from hour to hour by more than instances differ: the past shows it.
func TestTimesThatWanderAreNoRegression(t *testing.T) {
	for _, c := range []struct {
		name   string
		past   float64
		factor float64
		least  int
		most   int
	}{
		{"two days, good", 2 * 86400, 1, 0, 0},
		{"an hour, good", 3600, 1, 0, 1},
		{"an hour, twice as slow", 3600, 2, 12, 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := 0
			for seed := range uint64(12) {
				r := rand.New(rand.NewPCG(seed, 6))
				p := DefaultPolicy()
				p.Deadline = 2400
				j, wander := New(p), 0.0
				for at := -c.past; at <= 2400 && !j.Regressed(); at += 30 {
					wander = 0.995*wander + 0.015*r.NormFloat64()
					factor := 1.0
					if at >= 0 {
						factor = c.factor
					}
					j.Take(belay.Tick{T: at, Samples: requests(r, at, 0.01, factor*math.Exp(wander))})
				}
				if j.Regressed() {
					bad++
				}
			}
			if bad < c.least || bad > c.most {
				t.Errorf("%d of 12 are called regressed, want %d to %d", bad, c.least, c.most)
			}
		})
	}
}
