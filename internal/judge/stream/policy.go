package stream

import (
	"bytes"
	"encoding/json"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
)

// policy is judge.Policy as a stream has it.
type policy struct {
	Candidate         string   `json:"candidate,omitempty"`
	Baseline          string   `json:"baseline,omitempty"`
	FalseRollbackRate float64  `json:"false_rollback_rate,omitempty"`
	PassRate          float64  `json:"pass_rate,omitempty"`
	MinTime           float64  `json:"min_time,omitempty"`
	MinHealthTime     float64  `json:"min_health_time,omitempty"`
	Warmup            float64  `json:"warmup,omitempty"`
	Deadline          float64  `json:"deadline,omitempty"`
	StaleAfter        float64  `json:"stale_after,omitempty"`
	BlindAfter        float64  `json:"blind_after,omitempty"`
	Signals           []signal `json:"signals"`
}

// signal is judge.SignalPolicy as a stream has it.
type signal struct {
	Name           string           `json:"name"`
	Unit           string           `json:"unit,omitempty"`
	Kind           belay.SampleKind `json:"kind,omitempty"`
	Direction      judge.Direction  `json:"direction,omitempty"`
	Threshold      *float64         `json:"threshold,omitempty"`
	For            float64          `json:"for,omitempty"`
	HardStop       *float64         `json:"hard_stop,omitempty"`
	HardStopMin    int              `json:"hard_stop_min,omitempty"`
	Compare        bool             `json:"compare,omitempty"`
	Margin         float64          `json:"margin,omitempty"`
	SmallestChange float64          `json:"smallest_change,omitempty"`
	Harm           float64          `json:"harm,omitempty"`
	Quantile       float64          `json:"quantile,omitempty"`
	Required       bool             `json:"required,omitempty"`
	Weight         float64          `json:"weight,omitempty"`
	Dispersion     float64          `json:"dispersion,omitempty"`
}

// EncodePolicy writes a policy as the first line of a stream has it.
func EncodePolicy(p judge.Policy) ([]byte, error) {
	out := policy{
		Candidate: p.Candidate, Baseline: p.Baseline, FalseRollbackRate: p.FalseRollbackRate, PassRate: p.PassRate, MinTime: p.MinTime,
		MinHealthTime: p.MinHealthTime, Warmup: p.Warmup, Deadline: p.Deadline, StaleAfter: p.StaleAfter, BlindAfter: p.BlindAfter,
		Signals: make([]signal, len(p.Signals)),
	}
	for i, s := range p.Signals {
		out.Signals[i] = signal(s)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// DecodePolicy reads what EncodePolicy wrote, or a person. What cannot be judged by is refused.
func DecodePolicy(raw []byte) (judge.Policy, error) {
	p, err := policyOf(raw)
	if err != nil {
		return p, err
	}
	return p, nil
}

func policyOf(raw []byte) (judge.Policy, *Error) {
	var in policy
	if len(raw) == 0 || raw[0] != '{' {
		return judge.Policy{}, bad("", `"policy" is no object`)
	}
	if err := decode(raw, &in); err != nil {
		return judge.Policy{}, err
	}
	var each struct {
		Signals []json.RawMessage `json:"signals"`
	}
	if err := unmarshal(raw, &each); err != nil {
		return judge.Policy{}, err
	}
	p := judge.Policy{
		Candidate: in.Candidate, Baseline: in.Baseline, FalseRollbackRate: in.FalseRollbackRate, PassRate: in.PassRate, MinTime: in.MinTime,
		MinHealthTime: in.MinHealthTime, Warmup: in.Warmup, Deadline: in.Deadline, StaleAfter: in.StaleAfter, BlindAfter: in.BlindAfter,
	}
	for i, raw := range each.Signals {
		if err := decode(raw, new(signal)); err != nil {
			return p, bad(err.Hint, "signal %d of the policy: %s", i+1, err.Message)
		}
		p.Signals = append(p.Signals, judge.SignalPolicy(in.Signals[i]))
	}
	if err := p.Validate(); err != nil {
		return p, bad("", "%v", err)
	}
	return p, nil
}
