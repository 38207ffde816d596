package belay

import "time"

// LabelWord is a person's word on what became of a deployment.
type LabelWord string

// The words, and the empty one for "not said".
const (
	LabelNone  LabelWord = ""
	LabelRight LabelWord = "right" // a bad release was taken back, or a good one kept
	LabelWrong LabelWord = "wrong" // a good release was taken back, or a bad one kept
)

// Label says whether what was done about a deployment, taking it back or keeping it, was right. From labels the rates
// of false rollbacks and of missed regressions are counted.
type Label struct {
	Word   LabelWord `json:"word"`
	Reason string    `json:"reason,omitempty"`
	Actor  string    `json:"actor"`
	Time   time.Time `json:"time"`
}

// LabelRequest labels a deployment that has ended, or takes its label away.
type LabelRequest struct {
	Label  LabelWord `json:"label"` // "right" or "wrong"; "" takes the label away
	Reason string    `json:"reason,omitempty"`
	Actor  string    `json:"actor,omitempty"`
}

// TakenBack tells whether the deployment ended with its release taken back, or with an attempt at it.
func (d Deployment) TakenBack() bool {
	return d.State == StateRolledBack || d.State == StateUnverified || d.State == StateRollbackFailed
}

// Good tells whether the release was a good one, by the label; known is false without one.
func (d Deployment) Good() (good, known bool) {
	if d.Label == nil || d.Label.Word == LabelNone {
		return false, false
	}
	return d.TakenBack() == (d.Label.Word == LabelWrong), true
}
