package config

import "github.com/belaydev/belay/internal/config/signal"

// The built-in signals.
const (
	ErrorRate    = signal.ErrorRate
	ResponseTime = signal.ResponseTime
	Throughput   = signal.Throughput
	CPUUsage     = signal.CPUUsage
	MemoryUsage  = signal.MemoryUsage
)

// Signal is one series of facts that a release is judged by.
type Signal = signal.Signal

// HardStop is a limit that acts in one tick.
type HardStop = signal.HardStop

// Direction says which way a signal gets worse.
type Direction = signal.Direction

// The directions.
const (
	HigherIsWorse = signal.HigherIsWorse
	LowerIsWorse  = signal.LowerIsWorse
	EitherIsWorse = signal.EitherIsWorse
)

// Defaults turns the built-in signals and the hard stop on errors on.
func (s *Service) Defaults() {
	s.Signals = append(s.Signals, signal.BuiltIns()...)
	s.HardStops = append(s.HardStops, signal.Stops()...)
}
