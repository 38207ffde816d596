package unit

import (
	"fmt"
	"strconv"
	"strings"
)

// The units of a Quantity.
const (
	None      = ""   // a plain number
	Share     = "%"  // a share: 5% is 0.05
	Seconds   = "s"  // a duration, in seconds
	Bytes     = "B"  // a size, in bytes
	PerSecond = "/s" // a rate
)

// Quantity is a number with a unit: the threshold of a signal.
type Quantity struct {
	Value float64 // in the unit: a share, seconds, bytes, events per second, or a plain number
	Unit  string  // None, Share, Seconds, Bytes or PerSecond
	text  string  // as it was written, so that it is written back the same
}

// UnmarshalText reads "5%", "0.05", "1.5s", "2GiB", "100/s" or "-3".
func (q *Quantity) UnmarshalText(b []byte) error {
	s := string(b)
	v, unit, err := parseQuantity(s)
	*q = Quantity{Value: v, Unit: unit, text: s}
	return err
}

func parseQuantity(s string) (float64, string, error) {
	if n, ok := strings.CutSuffix(s, "/s"); ok && isNumber(n) {
		v, err := strconv.ParseFloat(n, 64)
		return v, PerSecond, err
	}
	if strings.HasSuffix(s, "%") {
		v, err := parsePercent(s)
		return v, Share, err
	}
	if isNumber(strings.TrimPrefix(s, "-")) {
		v, err := strconv.ParseFloat(s, 64)
		return v, None, err
	}
	if d, err := ParseDuration(s); err == nil {
		return d.Seconds(), Seconds, nil
	}
	var z Size
	if err := z.UnmarshalText([]byte(s)); err == nil {
		return float64(z), Bytes, nil
	}
	return 0, None, fmt.Errorf("%q is not a number with a unit; write for example 5%%, 1s, 2GiB, 100/s or 0.5", s)
}

// MarshalText writes the quantity as it was read.
func (q Quantity) MarshalText() ([]byte, error) { return []byte(q.text), nil }

// String returns the quantity as it was read.
func (q Quantity) String() string { return q.text }

// Weight is a share of traffic in whole percent, 0 to 100.
type Weight int

// UnmarshalText reads "10%" or "0.1".
func (w *Weight) UnmarshalText(b []byte) error {
	p, err := parsePercent(string(b))
	if err != nil {
		return err
	}
	percent, err := strconv.ParseFloat(strings.TrimSuffix(Percent(p).String(), "%"), 64)
	if err != nil {
		return fmt.Errorf("%q is not a percentage; write for example 10%%", b)
	}
	if percent > 100 {
		return fmt.Errorf("%s is more than all traffic; the most is 100%%", b)
	}
	if percent != float64(int(percent)) {
		return fmt.Errorf("%s is not a whole percentage; traffic is split in steps of 1%%", b)
	}
	*w = Weight(percent)
	return nil
}

// MarshalText writes "10%".
func (w Weight) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// String returns "10%".
func (w Weight) String() string { return strconv.Itoa(int(w)) + "%" }

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct{ Low, High int }

// StatusPattern matches the ranges that are accepted.
const StatusPattern = `^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$`

// UnmarshalText reads "200" or "200-299".
func (r *StatusRange) UnmarshalText(b []byte) error {
	low, high, ranged := strings.Cut(string(b), "-")
	if !ranged {
		high = low
	}
	a, errA := strconv.Atoi(low)
	z, errZ := strconv.Atoi(high)
	if errA != nil || errZ != nil || len(low) != 3 || len(high) != 3 || a < 100 || z > 599 {
		return fmt.Errorf("%q is not an HTTP status; write for example 200 or 200-299", b)
	}
	if a > z {
		return fmt.Errorf("%q is an empty range; write %d-%d", b, z, a)
	}
	*r = StatusRange{Low: a, High: z}
	return nil
}

// MarshalText writes "200" or "200-299".
func (r StatusRange) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String returns "200" or "200-299".
func (r StatusRange) String() string {
	if r.Low == r.High {
		return strconv.Itoa(r.Low)
	}
	return strconv.Itoa(r.Low) + "-" + strconv.Itoa(r.High)
}

// Contains tells whether status is in the range.
func (r StatusRange) Contains(status int) bool { return r.Low <= status && status <= r.High }

// Word names the kind of a value in unit u: "a percentage".
func Word(u string) string {
	switch u {
	case Share:
		return "a percentage"
	case Seconds:
		return "a duration"
	case Bytes:
		return "a size"
	case PerSecond:
		return "a rate"
	}
	return "a plain number"
}

// Measured completes "it is measured in" for unit u.
func Measured(u string) string {
	switch u {
	case Share:
		return "percent"
	case Seconds:
		return "time"
	case Bytes:
		return "bytes"
	case PerSecond:
		return "events per second"
	}
	return "plain numbers"
}

// Example is a value in unit u as a person would write it.
func Example(u string) string {
	switch u {
	case Share:
		return "5%"
	case Seconds:
		return "500ms or 1s"
	case Bytes:
		return "500MB or 2GiB"
	case PerSecond:
		return "100/s"
	}
	return "0.5"
}
