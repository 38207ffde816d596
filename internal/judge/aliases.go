package judge

import "github.com/belaydev/belay/internal/judge/policy"

// The words of package policy, as those who judge know them.
type (
	Policy       = policy.Policy
	SignalPolicy = policy.Signal
	Direction    = policy.Direction
)

// The directions.
const (
	HigherIsWorse = policy.HigherIsWorse
	LowerIsWorse  = policy.LowerIsWorse
	Either        = policy.Either
)

// DefaultPolicy compares error rate and response time, stops at 25 % errors, and needs traffic to call a release
// healthy.
func DefaultPolicy() Policy { return policy.Default() }
