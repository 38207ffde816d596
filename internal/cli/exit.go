package cli

import (
	"context"
	"errors"

	"github.com/belaydev/belay"
)

// The exit codes. They are part of the interface: pipelines decide by them.
const (
	ExitOK          = 0   // healthy, or the command did what it was asked
	ExitError       = 1   // something else went wrong
	ExitUsage       = 2   // wrong flags or configuration
	ExitRolledBack  = 3   // the release was worse; it was taken back and the certificate says verified
	ExitIncomplete  = 4   // the release was worse; the rollback failed or could not be verified: a person is needed
	ExitUndecided   = 5   // held: too little traffic or no sight by the deadline; a person decides
	ExitSuperseded  = 6   // a newer deployment took its place
	ExitRefused     = 7   // refused by a gate or by the state of things: nothing was deployed
	ExitUnavailable = 8   // the server cannot be reached
	ExitTimeout     = 9   // --timeout passed before the verdict
	ExitInterrupted = 130 // interrupted; the deployment goes on being watched by the server
)

const exitCodesShort = `0 healthy or done, 1 error, 2 usage or configuration, 3 taken back and verified,
4 rollback incomplete, 5 undecided (held), 6 superseded, 7 refused, 8 server unreachable, 9 timed out, 130 interrupted.`

// outcome is an exit code that needs no message: what happened has been drawn already.
type outcome int

// Error makes outcome an error.
func (o outcome) Error() string { return "" }

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	if o, ok := errors.AsType[outcome](err); ok {
		return int(o)
	}
	if errors.Is(err, context.Canceled) {
		return ExitInterrupted
	}
	e, ok := errors.AsType[*belay.Error](err)
	if !ok {
		return ExitError
	}
	switch e.Code {
	case belay.CodeInvalid:
		return ExitUsage
	case belay.CodeUnavailable:
		return ExitUnavailable
	case belay.CodeConflict, belay.CodeDenied:
		return ExitRefused
	case belay.CodeNotFound, belay.CodeInternal:
		return ExitError
	}
	return ExitError
}

// verdictExit gives the exit code for the state in which a followed deployment was left.
func verdictExit(s belay.State) int {
	switch s {
	case belay.StateSucceeded, belay.StateBaking:
		return ExitOK
	case belay.StateRolledBack:
		return ExitRolledBack
	case belay.StateUnverified, belay.StateRollbackFailed:
		return ExitIncomplete
	case belay.StateHeld, belay.StatePaused:
		return ExitUndecided
	case belay.StateSuperseded:
		return ExitSuperseded
	case belay.StateRefused:
		return ExitRefused
	case belay.StateDeployFailed:
		return ExitError
	case belay.StatePending, belay.StateDeploying, belay.StateWatching, belay.StateRollingBack:
		return ExitError
	}
	return ExitError
}
