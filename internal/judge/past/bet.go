package past

import (
	"math"

	"github.com/belaydev/belay/internal/judge/stats"
)

// Bet is the comparison of a signal with its own past, beside another that yields e-values: the one side by side, or
// that of counts with the past. It begins once no old release is seen beside the candidate, with what is left of the
// other's wealth: half of it, so that either may go on; all of it where the other has not begun and never may.
//
// The p-value of the past is valid over the whole watch. It is spent all at once, as the e-value that is worth 1/a when
// p <= a and nothing otherwise. With a = (what the signal may spend of the false-rollback rate) times the stake, the bound on
// all signals together holds as it stands. The readings that wait until it can begin are judged by the past: what is staked
// is the wealth from before the first of them, and until then the other's evidence counts for no more than it will afterwards.
type Bet struct {
	*Series
	// Long is the history in seconds from which on a bet is placed. On a shorter one the test is a witness only: see Doubts.
	Long float64
	// Matters tells whether a change from usual to actual is worth acting on; nil for all.
	Matters func(actual, usual float64) bool

	placed bool
	wealth float64 // logarithm of the other's evidence at the last tick
	before float64 // logarithm of the other's evidence before the first reading that waits
	stake  float64 // logarithm of what is put on the past
	kept   float64 // logarithm of the share of the other's evidence that is kept; -Inf when all is staked
}

// Close closes the tick at t, and tells whether the bet is placed with it. Wealth is the logarithm of the other's
// evidence; begun tells whether there is any, or may be.
func (b *Bet) Close(t, wealth float64, begun bool) bool {
	waited := len(b.waiting) > 0
	b.Step(t)
	if !waited {
		b.before = b.wealth
	}
	b.wealth = wealth
	if b.placed || !b.Begun() || b.usable < b.Long {
		return false
	}
	b.placed, b.stake, b.kept = true, 0, math.Inf(-1)
	if begun {
		b.stake, b.kept = b.before-math.Ln2, -math.Ln2
	}
	return true
}

// doubt is 1/p below which a change is within what the past does by itself.
const doubt = 20

// Doubts tells whether what another comparison with the past finds may well be what the past does by itself: where
// there are placebos, its p-value by them is more than one in twenty, or they were not asked yet.
func (b *Bet) Doubts() bool {
	switch {
	case b == nil || b.placed:
		return false
	case b.test == nil:
		return b.Spans(0)
	}
	return b.Begun() && b.Score() < math.Log(doubt)
}

// Placed tells whether the bet is on.
func (b *Bet) Placed() bool { return b != nil && b.placed }

// own is the evidence of the past alone, times what was staked: none where the past found nothing, however large the
// stake is, for what the other found may not matter.
func (b *Bet) own() float64 {
	score := b.Score()
	if b.Matters != nil && score > 0 {
		if f := b.test.Finding(); !b.Matters(f.Actual, f.Usual) {
			score = 0
		}
	}
	if score <= 0 {
		return math.Min(0, b.stake)
	}
	return math.Min(stats.MaxLog, score+b.stake)
}

// left is what the other's evidence e counts for.
func (b *Bet) left(e float64) float64 {
	if math.IsInf(b.kept, -1) {
		return b.kept
	}
	return e + b.kept
}

// LogE is the evidence as people are shown it, the stronger of both; e is the other's.
func (b *Bet) LogE(e float64) float64 {
	if !b.Placed() {
		return b.Worth(e, 0)
	}
	return math.Max(b.own(), b.left(e))
}

// Worth is the logarithm of the e-value of both together; at is the one at which the signal acts alone.
func (b *Bet) Worth(e, at float64) float64 {
	switch {
	case b != nil && len(b.waiting) > 0:
		return math.Min(e, stats.LogSum(e, b.before)-math.Ln2)
	case !b.Placed():
		return e
	case b.own() >= at:
		return b.LogE(e)
	}
	return b.left(e)
}

// Blames tells whether it is the past that speaks against the candidate most.
func (b *Bet) Blames(e float64) bool { return b.Placed() && b.own() > b.left(e) }

// Since is when what speaks against the candidate began.
func (b *Bet) Since() float64 {
	from, _ := b.Span(b.test.Finding())
	return from
}

// Effect is the ratio of what was seen to what was to be expected; nil where nothing was found, or a ratio says nothing.
func (b *Bet) Effect() *float64 {
	f := b.test.Finding()
	if !(f.Usual > 0 && f.Actual >= 0) {
		return nil
	}
	ratio := f.Actual / f.Usual
	return &ratio
}
