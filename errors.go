package belay

import (
	"errors"
	"fmt"
)

// Code classifies an error for machines. It decides the HTTP status (package serve/api) and the exit code
// (package cli), in one place each.
type Code string

// The codes.
const (
	CodeInvalid     Code = "invalid"     // the caller's input cannot be accepted
	CodeNotFound    Code = "not_found"   // the named thing does not exist
	CodeConflict    Code = "conflict"    // the state of things forbids it now
	CodeDenied      Code = "denied"      // the caller may not do this
	CodeUnavailable Code = "unavailable" // a dependency cannot be reached; trying again may help
	CodeInternal    Code = "internal"    // a defect in belay
)

// Error is an error with a code and a sentence for the person who must act.
type Error struct {
	Code    Code   // what kind of error
	Message string // what, where and why, in one sentence
	Next    string // what to do next; may be empty

	cause error // kept for errors.Is; already part of Message
}

// Error returns the sentence and what to do next.
func (e *Error) Error() string {
	if e.Next == "" {
		return e.Message
	}
	return e.Message + "; " + e.Next
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Errorf makes an Error of the given code. A %w verb is honoured: the cause stays reachable by errors.Is.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

// WithNext adds what to do next and returns e.
func (e *Error) WithNext(format string, args ...any) *Error {
	e.Next = fmt.Sprintf(format, args...)
	return e
}

// CodeOf returns the code of the first Error in err's chain, CodeInternal when there is none and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
