package past_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/belaydev/belay/internal/judge/past"
	"github.com/belaydev/belay/internal/judge/placebo"
)

// usual is a value with a daily season.
func usual(r *rand.Rand, t float64) float64 {
	return 100 + 20*math.Sin(2*math.Pi*t/86400) + 2*r.NormFloat64()
}

func remember(s *past.Series, r *rand.Rand, seconds, step float64) {
	for t := -seconds; t < 0; t += step {
		s.Remember(t, usual(r, t), 1)
	}
}

func TestAWatchInSecondsIsJudgedInTheStepsOfItsHistory(t *testing.T) {
	for _, shift := range []float64{0, 30} {
		r := rand.New(rand.NewPCG(1, 2))
		s := past.New(past.Settings{Direction: placebo.Either, Length: 2400, Warmup: 15})
		remember(s, r, 2*86400, 60)
		for at := 0.0; at <= 2400; at++ {
			s.Take(past.Candidate, usual(r, at)+shift, 1)
			s.Step(at)
		}
		if so, most := s.Judged(); !s.Begun() || so < 2300 || most != 2400 {
			t.Fatalf("judged %v of %v s", so, most)
		}
		if got := s.Score() > math.Log(100); got != (shift > 0) {
			t.Errorf("shift %v: score %v", shift, s.Score())
		}
		if f := s.Test().Finding(); shift > 0 {
			from, to := s.Span(f)
			if math.Abs(f.Actual-f.Usual-shift) > 8 || from < 0 || to > 2400 || from >= to {
				t.Errorf("finding %+v from %v to %v", f, from, to)
			}
		}
	}
}

func TestTheCandidateIsNotJudgedByThePastWhileABaselineServes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := past.New(past.Settings{Direction: placebo.Either, Length: 2400})
	remember(s, r, 86400, 60)
	for at := 0.0; at <= 1500; at++ {
		s.Take(past.Candidate, 500, 1)
		if at < 300 {
			s.Take(past.Baseline, usual(r, at), 1)
		}
		s.Step(at)
		if s.Tried() != (at >= 361) {
			t.Fatalf("at %v: tried %v", at, s.Tried())
		}
	}
	if !s.Beside() || s.Score() < math.Log(100) {
		t.Errorf("score %v", s.Score())
	}
}

func TestTooLittleHistoryIsSaid(t *testing.T) {
	for _, c := range []struct {
		name    string
		seconds float64
		gap     float64
		want    placebo.Lack
	}{
		{"none", 0, 0, placebo.TooShort},
		{"20 minutes", 1200, 0, placebo.TooShort},
		{"a day that ends an hour ago", 86400, 3600, placebo.Ended},
		{"a day", 86400, 0, placebo.Nothing},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			s := past.New(past.Settings{Length: 2400})
			for at := -c.seconds; at < -c.gap; at += 60 {
				s.Remember(at, usual(r, at), 1)
			}
			for at := 0.0; at < 600; at += 60 {
				s.Take(past.Candidate, 900, 1)
				s.Step(at)
			}
			why, have, need := s.Lack()
			if why != c.want || have > c.seconds+60 || need != 2400 {
				t.Errorf("lack %v, have %v, need %v", why, have, need)
			}
			if got := s.Score() > 0; got != (c.want == placebo.Nothing) {
				t.Errorf("score %v", s.Score())
			}
		})
	}
}

// A mean of many readings moves less than one reading, and the other way round: neither is a change.
func TestHowOftenItIsReadIsNoChange(t *testing.T) {
	for _, c := range []struct{ before, apart float64 }{{60, 1}, {60, 5}, {60, 60}, {5, 60}, {20, 60}, {60, 300}} {
		alarms := 0
		for seed := range uint64(8) {
			r := rand.New(rand.NewPCG(seed, 3))
			s := past.New(past.Settings{Direction: placebo.Either, Length: 7200})
			remember(s, r, 2*86400, c.before)
			for at := 0.0; at <= 7200; at += c.apart {
				s.Take(past.Candidate, usual(r, at), 1)
				s.Step(at)
			}
			if !s.Begun() {
				t.Fatal(s.Lack())
			}
			if s.Score() > math.Log(50) {
				alarms++
			}
		}
		if alarms > 1 {
			t.Errorf("history every %v s, watch every %v s: %d of 8 watches are called changed", c.before, c.apart, alarms)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s := past.New(past.Settings{Length: 600})
	r := rand.New(rand.NewPCG(1, 2))
	remember(s, r, 3*86400, 1)
	for at := 0.0; at < 600; at++ {
		s.Take(past.Candidate, usual(r, at), 1)
		s.Step(at)
	}
	if !s.Begun() {
		t.Fatal(s.Lack())
	}
	if so, _ := s.Judged(); so < 560 {
		t.Errorf("judged %v s", so)
	}
}

func FuzzSeries(f *testing.F) {
	f.Add(uint64(1), 60.0, 60.0, 500, 40, 7)
	f.Add(uint64(2), 1.0, 30.0, 200, 3, 0)
	f.Add(uint64(3), 300.0, 1.0, 900, 90, 3)
	f.Fuzz(func(t *testing.T, seed uint64, before, apart float64, n, watch, every int) {
		if !(before > 0 && before < 1e6) || !(apart > 0 && apart < 1e6) || n < 0 || n > 3000 || watch < 0 || watch > 500 {
			return
		}
		r := rand.New(rand.NewPCG(seed, 1))
		odd := func(v float64) float64 {
			if every <= 0 || r.IntN(every+1) > 0 {
				return v
			}
			return []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e100, -1e100, 0, 5e-324}[r.IntN(7)]
		}
		s := past.New(past.Settings{Direction: placebo.Direction(r.IntN(3)), Length: float64(watch) * apart})
		for i := range n {
			s.Remember((float64(i-n)+r.Float64()-0.5)*before, odd(r.NormFloat64()+5), 1)
		}
		last := 0.0
		for i := range watch {
			s.Take(past.Candidate, odd(r.NormFloat64()+5), 1)
			s.Step((float64(i) + r.Float64()) * apart)
			if got := s.Score(); !(got >= last && got <= 700) {
				t.Fatalf("score %v after %v", got, last)
			}
			last = s.Score()
		}
	})
}
