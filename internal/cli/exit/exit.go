// Package exit is the one place where what happened becomes an exit code and an error becomes words on standard
// error. The codes are part of the interface: pipelines decide by them. It runs nothing and draws nothing else.
package exit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/belaydev/belay"
)

// The exit codes.
const (
	OK          = 0
	Error       = 1
	Usage       = 2
	RolledBack  = 3
	Incomplete  = 4
	Undecided   = 5
	Superseded  = 6
	Refused     = 7
	Unavailable = 8
	Timeout     = 9
	Interrupted = 130
)

// Meaning is one line of the table of exit codes.
type Meaning struct {
	Code  int
	Short string // for --help
	Long  string // for the manual
}

// Table lists every exit code with its meaning, in order.
func Table() []Meaning {
	return []Meaning{
		{OK, "healthy or done", "The release is healthy, or the command did what it was asked."},
		{Error, "error", "Something else went wrong, or the deploy itself failed and there was nothing to take back."},
		{Usage, "usage or configuration", "Wrong flags, arguments or configuration. Nothing was begun."},
		{RolledBack, "taken back and verified", "The release was taken back, and the certificate says that the old one serves users well again. Of \"belay judge\": regressed."},
		{Incomplete, "rollback incomplete", "The rollback failed, was aborted, or could not be verified. A person is needed."},
		{Undecided, "undecided (held or paused)", "Held: too little traffic, or no sight, by the deadline. A person decides, by promote or abort. Of \"belay judge\": insufficient or blind."},
		{Superseded, "superseded", "A newer deployment of the service took the place of this one."},
		{Refused, "refused", "A gate, the state of things, a missing right or your own \"no\" forbids it. Nothing was changed."},
		{Unavailable, "server unreachable", "The server cannot be reached, or something that it needs cannot. Trying again may help."},
		{Timeout, "timed out", "--timeout passed before the verdict. The server goes on watching."},
		{Interrupted, "interrupted", "Ctrl-C or SIGTERM. The server goes on watching."},
	}
}

// Summary is the table in one sentence, for --help.
func Summary() string {
	var parts []string
	for _, m := range Table() {
		parts = append(parts, fmt.Sprintf("%d %s", m.Code, m.Short))
	}
	return strings.Join(parts, ", ")
}

// Outcome is an exit code that needs no words: what happened has been drawn already.
type Outcome int //nolint:errname // it says how it went, and only travels as an error

// Error makes Outcome an error.
func (o Outcome) Error() string { return fmt.Sprintf("exit code %d", int(o)) }

// With returns code as an error, nil for OK.
func With(code int) error {
	if code == OK {
		return nil
	}
	return Outcome(code)
}

// Code is the exit code of err.
func Code(err error) int {
	if err == nil {
		return OK
	}
	if o, ok := errors.AsType[Outcome](err); ok {
		return int(o)
	}
	if errors.Is(err, context.Canceled) {
		return Interrupted
	}
	e, ok := errors.AsType[*belay.Error](err)
	if !ok {
		return Error
	}
	switch e.Code {
	case belay.CodeInvalid:
		return Usage
	case belay.CodeUnavailable:
		return Unavailable
	case belay.CodeConflict, belay.CodeDenied:
		return Refused
	case belay.CodeNotFound, belay.CodeInternal:
		return Error
	}
	return Error
}

// OfDeployment is the exit code for the state that a deployment was left in.
func OfDeployment(s belay.State) int {
	switch s {
	case belay.StateSucceeded, belay.StateBaking:
		return OK
	case belay.StateRolledBack:
		return RolledBack
	case belay.StateUnverified, belay.StateRollbackFailed:
		return Incomplete
	case belay.StateHeld, belay.StatePaused:
		return Undecided
	case belay.StateSuperseded:
		return Superseded
	case belay.StateRefused:
		return Refused
	case belay.StateDeployFailed:
		return Error
	case belay.StatePending, belay.StateDeploying, belay.StateWatching, belay.StateRollingBack:
		return Error
	}
	return Error
}

// OfVerdict is the exit code for what recorded evidence came to.
func OfVerdict(v belay.Verdict) int {
	switch v {
	case belay.VerdictHealthy:
		return OK
	case belay.VerdictRegressed:
		return RolledBack
	case belay.VerdictInsufficient, belay.VerdictBlind, belay.VerdictNone:
	}
	return Undecided
}

// OfRollback is the exit code for the state that a rollback was left in: it was asked for, so verified is success.
func OfRollback(s belay.RollbackState) int {
	if s == belay.RollbackVerified {
		return OK
	}
	return Incomplete
}

// Explain writes err for the person who must act, or as JSON. An Outcome has been explained already.
func Explain(w io.Writer, err error, asJSON bool) {
	if _, ok := errors.AsType[Outcome](err); ok || err == nil {
		return
	}
	if errors.Is(err, context.Canceled) {
		err = belay.Errorf(belay.CodeUnavailable, "interrupted")
	}
	if !asJSON {
		fmt.Fprintf(w, "belay: %v\n", err)
		return
	}
	var p belay.Problem
	p.Error.Code, p.Error.Message = belay.CodeOf(err), err.Error()
	if e, ok := errors.AsType[*belay.Error](err); ok && e.Next != "" {
		p.Error.Next = e.Next
		p.Error.Message = strings.TrimSuffix(p.Error.Message, "; "+e.Next)
	}
	// Nothing is left to tell an error of standard error to.
	_ = json.NewEncoder(w).Encode(p)
}
