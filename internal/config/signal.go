package config

import (
	"time"

	"github.com/belaydev/belay/internal/config/unit"
)

// The built-in signals.
const (
	ErrorRate    = "error_rate"
	ResponseTime = "response_time"
	Throughput   = "throughput"
	CPUUsage     = "cpu_usage"
	MemoryUsage  = "memory_usage"
)

// Direction says which way a signal gets worse.
type Direction string

// The directions.
const (
	HigherIsWorse Direction = "higher_is_worse"
	LowerIsWorse  Direction = "lower_is_worse"
	EitherIsWorse Direction = "either_is_worse"
)

// Signal is one series of facts that a release is judged by.
type Signal struct {
	_ struct{} `shorthand:"threshold" doc:"What a release is judged by. A bare value is the threshold."`

	Name           string         `yaml:"-,key"`
	Query          string         `yaml:"query" default:"" example:"sum(rate(orders_total{$selector}[1m]))" doc:"PromQL expression; needed for every signal that is not built in. $selector stands for the labels of the release."`
	Direction      Direction      `yaml:"direction" default:"higher_is_worse" enum:"higher_is_worse|lower_is_worse|either_is_worse" doc:"Which way is worse."`
	Unit           string         `yaml:"unit" default:"" enum:"%|s|B|/s" doc:"Unit of the values of query, for messages; that of the threshold when not given."`
	Threshold      *unit.Quantity `yaml:"threshold" example:"5%" doc:"Limit that the signal may not pass, in its own unit: a percentage for error_rate and cpu_usage (of one core), a duration for response_time, a size for memory_usage, a number or 100/s for throughput."`
	For            time.Duration  `yaml:"for" default:"10s" doc:"How long the threshold must be passed before it counts."`
	Quantile       unit.Percent   `yaml:"quantile" default:"95%" min:"1%" max:"99.99%" doc:"Which quantile of the response time is compared with the threshold."`
	Compare        bool           `yaml:"compare" default:"true" doc:"Whether the release is compared with the old one."`
	SmallestChange unit.Percent   `yaml:"smallest_change" default:"10%" max:"1000%" doc:"The smallest change that matters: for error_rate in percentage points, else relative to the old release."`
}

// BuiltIn tells whether belay knows how to measure the signal without a query.
func (s Signal) BuiltIn() bool { return builtInUnit(s.Name) != "?" }

// builtInUnit is the unit of a built-in signal, or "?" for another.
func builtInUnit(name string) string {
	switch name {
	case ErrorRate, CPUUsage:
		return unit.Share
	case ResponseTime:
		return unit.Seconds
	case Throughput:
		return unit.PerSecond
	case MemoryUsage:
		return unit.Bytes
	}
	return "?"
}

// HardStop is a limit that acts in one tick.
type HardStop struct {
	_ struct{} `shorthand:"above" oneof:"above below" doc:"A limit that acts in one tick. A bare value is above."`

	Signal      string         `yaml:"-,key"`
	Above       *unit.Quantity `yaml:"above" example:"25%" doc:"Stops when the signal is above this."`
	Below       *unit.Quantity `yaml:"below" doc:"Stops when the signal is below this."`
	MinRequests int            `yaml:"min_requests" default:"20" min:"1" max:"1000000" doc:"Requests of the new release that must have been seen."`
}

// Defaults turns the built-in signals and the hard stop on errors on.
func (s *Service) Defaults() {
	for _, name := range []string{ErrorRate, ResponseTime, Throughput, CPUUsage, MemoryUsage} {
		sig := Signal{Name: name, Direction: HigherIsWorse, For: 10 * time.Second, Quantile: 0.95, Compare: true,
			SmallestChange: 0.1, Unit: builtInUnit(name)}
		switch name {
		case ErrorRate:
			sig.SmallestChange = 0.005
		case Throughput:
			// How many requests a release gets is the router's decision, so its drop is not its fault.
			sig.Direction, sig.Compare, sig.SmallestChange = LowerIsWorse, false, 0.2
		case CPUUsage, MemoryUsage:
			sig.SmallestChange = 0.2
		}
		s.Signals = append(s.Signals, sig)
	}
	var above unit.Quantity
	if err := above.UnmarshalText([]byte("25%")); err != nil {
		panic(err)
	}
	s.HardStops = append(s.HardStops, HardStop{Signal: ErrorRate, Above: &above, MinRequests: 20})
}
