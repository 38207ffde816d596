// Package state decides what happens next to a deployment: a charted state machine from an input to a state and
// the commands that follow from it. It is pure: no clock, no I/O, no logging. Carrying the commands out, and
// keeping the record of it, is the work of package watch. The chart is docs/states.md, made from [Transitions].
package state
