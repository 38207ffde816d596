package past_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/belaydev/belay/internal/judge/past"
	"github.com/belaydev/belay/internal/judge/placebo"
)

// TestAStakeAloneIsNoEvidence: the other comparison was all but sure of a change too small to act on. That its evidence
// is staked on the past, in which nothing is found, does not call the release bad.
func TestAStakeAloneIsNoEvidence(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := &past.Bet{Series: past.New(past.Settings{Direction: placebo.Either, Length: 2400})}
	remember(b.Series, r, 86400, 60)
	const wealth, at = 688.0, 5.0
	b.Close(-1, wealth, true)
	for t := 0.0; t <= 200; t++ {
		b.Take(past.Candidate, usual(r, t), 1)
		b.Close(t, wealth, true)
	}
	if !b.Placed() || b.Score() > 0 {
		t.Fatalf("placed %v, score %v: want a bet, and nothing found", b.Placed(), b.Score())
	}
	if got := b.Worth(0, at); got >= at {
		t.Errorf("worth %v, acts at %v", got, at)
	}
	for t := 201.0; t <= 2400; t++ {
		b.Take(past.Candidate, 1e6, 1)
		b.Close(t, wealth, true)
	}
	if got := b.Worth(0, at); got < at || math.IsInf(math.Exp(got), 1) {
		t.Errorf("worth %v of a change beyond doubt: want more than %v, and a number that can be written", got, at)
	}
}

// TestNoReadingCountsTwice: what the readings that wait said to the other comparison is not staked on the same readings.
func TestNoReadingCountsTwice(tt *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	b := &past.Bet{Series: past.New(past.Settings{Direction: placebo.Either, Length: 2400})}
	remember(b.Series, r, 86400, 60)
	b.Close(-1, 1, true)
	for t := 0.0; !b.Placed(); t++ {
		b.Take(past.Candidate, usual(r, t), 1)
		b.Close(t, 3+t, true)
		if got, most := b.Worth(3+t, 100), math.Log((math.Exp(3+t)+math.Exp(1))/2); !b.Placed() && got > most+1e-9 {
			tt.Errorf("at %v s, before the bet: worth %v, want at most %v", t, got, most)
		}
	}
	for t := 3.0; t <= 2400; t++ {
		b.Take(past.Candidate, 1e6, 1)
		b.Close(t, 0, true)
	}
	if got, want := b.Worth(0, 1), b.Score()+1-math.Ln2; math.Abs(got-want) > 1e-9 {
		tt.Errorf("worth %v, want %v: the wealth from before the readings, and what the past says of them", got, want)
	}
}
