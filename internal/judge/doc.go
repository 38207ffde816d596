// Package judge turns what was observed of a deployment into evidence and a verdict. It is pure: ticks in, a decision
// card out; no clock, no I/O, no logging, no goroutines. The same ticks give the same card, so the whole state can be
// rebuilt by replaying them, and every decision can be replayed later.
//
// Four ways to judge work at once: limits that must hold for a time (thresholds), limits that act in one tick (hard
// stops), health checks, and the comparison of the candidate with what it replaces by tests that stay valid however
// often one looks (package stats). Acting on a verdict is not its business: package watch does that.
package judge
