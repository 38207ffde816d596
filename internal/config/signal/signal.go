// Package signal is what the configuration can say of one signal: what it is, which way is worse, its limits, and how it
// is compared. It knows no files and judges nothing.
package signal

import (
	"fmt"
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
	Compare        bool           `yaml:"compare" default:"false" doc:"Whether the release is compared with the old one. Signals that count requests, error_rate and response_time, are unless this says false; any other is a value, which is shown and held to its limits unless this says true. Then its values on the instances of both releases are compared: there should be several, and a query must hold $selector, $release or $instance. Where no old release runs beside the new one, and of a query with one value for both, the value is compared with its own past."`
	SmallestChange unit.Percent   `yaml:"smallest_change" default:"10%" max:"1000%" doc:"The smallest change that matters: for error_rate in percentage points, else relative to the old release."`
	Harm           unit.Factor    `yaml:"harm" default:"2" min:"1.05" max:"100" doc:"A release is called healthy once it is ruled out that its odds of a failed, or slow, answer are so many times those of the old one. For error_rate and response_time."`
	Margin         *unit.Factor   `yaml:"margin" min:"1" max:"100" example:"1.3" doc:"By which factor instances of one and the same release differ, for good: a difference up to it is not held against a release. Learned from the past when not given (belay learned)."`
	Dispersion     *unit.Factor   `yaml:"dispersion" min:"1" max:"1000" example:"3" doc:"In clumps of which size bad events come, because a client tries again, say; 1 is one by one. For error_rate and response_time. Learned from the past when not given."`
	Weight         unit.Factor    `yaml:"weight" default:"0.1" min:"0.001" max:"1000" doc:"Its share of watch.false_rollback_rate, relative to the other compared signals: what weighs more is believed sooner. 0.6 for error_rate, 0.4 for response_time, 0.1 for any other."`
}

// BuiltIn tells whether belay knows how to measure the signal without a query.
func (s Signal) BuiltIn() bool { return BuiltInUnit(s.Name) != "?" }

// BuiltInUnit is the unit of a built-in signal, or "?" for another.
func BuiltInUnit(name string) string {
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

// CountsEvents tells whether the signal counts requests, rather than reading values now and then.
func (s Signal) CountsEvents() bool {
	return (s.Name == ErrorRate || s.Name == ResponseTime) && s.Query == ""
}

const defaultHarm = 2

// defaultWeight is the weight of a signal, by how much it says about users.
func defaultWeight(name string) unit.Factor {
	switch name {
	case ErrorRate:
		return 0.6
	case ResponseTime:
		return 0.4
	}
	return 0.1
}

// HardStop is a limit that acts in one tick.
type HardStop struct {
	_ struct{} `shorthand:"above" oneof:"above below" doc:"A limit that acts in one tick. A bare value is above."`

	Signal      string         `yaml:"-,key"`
	Above       *unit.Quantity `yaml:"above" example:"25%" doc:"Stops when the signal is above this."`
	Below       *unit.Quantity `yaml:"below" doc:"Stops when the signal is below this."`
	MinRequests int            `yaml:"min_requests" default:"20" min:"1" max:"1000000" doc:"Requests of the new release that must have been seen."`
}

// Names are those of the built-in signals, in order.
func Names() []string { return []string{ErrorRate, ResponseTime, Throughput, CPUUsage, MemoryUsage} }

// BuiltIns are the built-in signals as they are when nothing is said of them.
func BuiltIns() []Signal {
	var out []Signal
	for _, name := range Names() {
		sig := Signal{Name: name, Direction: HigherIsWorse, For: 10 * time.Second, Quantile: 0.95,
			SmallestChange: 0.1, Unit: BuiltInUnit(name), Harm: defaultHarm, Weight: defaultWeight(name)}
		switch name {
		case ErrorRate:
			sig.Compare, sig.SmallestChange = true, 0.005
		case ResponseTime:
			sig.Compare = true
		case Throughput:
			// How many requests a release gets is the router's decision, so its drop is not its fault.
			sig.Direction, sig.SmallestChange = LowerIsWorse, 0.2
		case CPUUsage, MemoryUsage:
			sig.SmallestChange = 0.2
		}
		out = append(out, sig)
	}
	return out
}

// Stops are the hard stops that there are when nothing is said of them.
func Stops() []HardStop {
	var above unit.Quantity
	if err := above.UnmarshalText([]byte("25%")); err != nil {
		panic(err)
	}
	return []HardStop{{Signal: ErrorRate, Above: &above, MinRequests: 20}}
}

// Fault is a mistake in what is said of a signal: of the keys that it names, the first is wrong.
type Fault struct {
	Message, Hint string
	Keys          []string
}

// Comparison says which comparison cannot be made, and which settings of one have no use. Behind tells whether a proxy
// deals the traffic out, said whether it was written that the signal is compared, or is not.
func (s Signal) Comparison(behind, said bool) []Fault {
	var out []Fault
	refuse := func(wrong bool, message, hint string, keys ...string) {
		if wrong {
			out = append(out, Fault{message, hint, keys})
		}
	}
	refuse(s.Compare && s.Name == Throughput && s.Query == "" && behind, "behind a proxy the throughput of a release is the share of traffic that it is given",
		"remove compare; to compare what users get done, count that by a query", "compare")
	counts := s.CountsEvents()
	refuse(!counts && s.Dispersion != nil, fmt.Sprintf("dispersion is for signals that count events, and %s is a value", s.Name), "remove it", "dispersion")
	refuse(!counts && s.Harm != defaultHarm, fmt.Sprintf("harm is for signals that count events, and %s is a value", s.Name),
		"remove it; of a value, three times smallest_change must be ruled out", "harm")
	idle := !s.Compare && !said // who turns the comparison off for a while may keep its settings
	for _, set := range []struct {
		key string
		is  bool
	}{{"margin", s.Margin != nil}, {"weight", s.Weight != defaultWeight(s.Name)}} {
		refuse(idle && set.is, fmt.Sprintf("%s is of no use while %s is not compared", set.key, s.Name), "give compare: true too, or remove it", set.key)
	}
	return out
}
