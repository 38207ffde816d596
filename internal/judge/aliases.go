package judge

import "github.com/belaydev/belay/internal/judge/policy"

// Policy is how deployments of a service are judged.
type Policy = policy.Policy

// SignalPolicy is how one signal is judged.
type SignalPolicy = policy.Signal

// Direction is which way of a signal is the wrong one.
type Direction = policy.Direction

// The directions.
const (
	HigherIsWorse = policy.HigherIsWorse
	LowerIsWorse  = policy.LowerIsWorse
	Either        = policy.Either
)

// DefaultPolicy compares error rate and response time, stops at 25 % errors, and needs traffic to call a release
// healthy.
func DefaultPolicy() Policy { return policy.Default() }
