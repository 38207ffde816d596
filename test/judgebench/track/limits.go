package track

import (
	"math"

	"github.com/belaydev/belay/test/judgebench/limit"
)

// What the judge's default policy promises. The limits are taken at these numbers, so they must follow the policy.
const (
	Alpha          = 0.01  // false rollbacks over the whole watch, which all rules are held to
	DefaultMargin  = 1.25  // ratio of error rates up to which a release is not to be taken back
	smallestChange = 0.005 // share of errors up to which it is not either, whatever the baseline
	Harm           = 2     // ratio that must be excluded before a release is called healthy
	lowRate        = 0.01  // or else this share of errors, whatever the baseline
	PassRate       = 0.05  // chance of calling a release at that ratio or rate healthy
)

// BadLimit is the least number of bad answers at which any rule could find the fault of the cell: with the margin and the
// floor of the judge for the judge, which has to accept more, and without them for the others. Of errors that come in
// clumps a clump tells no more than one error. 0 where bad answers are not counted.
func (c *Cell) BadLimit(own bool) float64 {
	m, floor := 1.0, 0.0
	if own {
		m, floor = c.Margin, smallestChange
	}
	p := limit.Pair{Bad: c.Spec.Bad, Usual: c.Spec.Usual, Share: c.Spec.Share}
	if p.Usual == 0 {
		return 0
	}
	return p.Bad * p.Share * p.Floored(m, floor, Alpha) * math.Max(1, c.Spec.World.Clump.Size)
}

// TimeLimit is the least mean time, in seconds, in which any rule could find the fault of the cell; 0 where none is
// known.
func (c *Cell) TimeLimit(own bool) float64 {
	if c.least > 0 || c.Spec.Usual == 0 {
		return c.least
	}
	return c.BadLimit(own) / (c.Spec.Bad * c.Spec.Rate * c.Spec.Share)
}

// HealthyLimit is the least time in which any rule could show that the release of the cell is harmless: that it is not
// twice as bad, or that its rate is low by itself, whichever is sooner.
func (c *Cell) HealthyLimit() float64 {
	s := &c.Spec
	return math.Min(limit.Healthy(s.Share, Harm, PassRate)/(s.Rate*s.Usual), limit.Known(s.Usual, lowRate, PassRate)/(s.Rate*s.Share))
}
