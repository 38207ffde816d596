// Package replay judges again what a watch saw: from the store of a server, or from a stream in a file. The same
// evidence and the same policy come to the same decision card, byte for byte. It is part of the composition root: it
// knows the store, the judge and the form of streams, and it changes nothing but what it records for later.
package replay

import (
	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/picture"
)

// Judgement is what judging a whole stream came to: the decision card of the moment at which the release was called
// regressed, else that of the end.
type Judgement struct {
	Verdict   belay.Verdict `json:"verdict"`
	DecidedAt *float64      `json:"decided_at"` // seconds since the deployment at which this verdict was reached; null when the stream ends before one
	belay.Card
	Candidate string   `json:"candidate,omitempty"`  // name of the new release, where the policy has one
	Baseline  string   `json:"baseline,omitempty"`   // name of the release that it replaces
	NotJudged []string `json:"not_judged,omitempty"` // signals of the stream that the policy does not name
}

// SVG draws the card.
func (j Judgement) SVG() []byte {
	return picture.SVG(j.Card, picture.Options{Candidate: j.Candidate, Baseline: j.Baseline})
}
