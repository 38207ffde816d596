// Package unit is the human units of belay.yaml: durations, percentages, sizes, thresholds, traffic weights and
// ranges of HTTP status codes. Every value is read from and written back to text without loss. It knows nothing
// of which setting a value belongs to.
package unit

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// MaxDuration is the longest duration that is accepted: ten years.
const MaxDuration = 10 * 365 * 24 * time.Hour

// durationParts are the units of a duration, longest first.
func durationParts() []struct {
	unit string
	size time.Duration
} {
	return []struct {
		unit string
		size time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second},
		{"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", time.Nanosecond}}
}

// DurationPattern matches the durations that ParseDuration accepts.
const DurationPattern = `^(0|([0-9]+(\.[0-9]+)?(w|d|h|ms|m|us|s|ns))+)$`

// ParseDuration reads "500ms", "30s", "1h30m", "7d" or "2w".
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	if isNumber(s) {
		return 0, fmt.Errorf("%s has no unit; write %ss for seconds, or one of ms, m, h, d", s, s)
	}
	if strings.HasPrefix(s, "-") {
		return 0, fmt.Errorf("%q is negative", s)
	}
	if !regexp.MustCompile(DurationPattern).MatchString(s) || len(s) > 64 {
		return 0, fmt.Errorf("%q is not a duration; write for example 500ms, 30s, 5m, 1h or 7d", s)
	}
	total, rest := 0.0, s
	var exact time.Duration
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return r >= 'a' && r <= 'z' })
		end := n
		for end < len(rest) && rest[end] >= 'a' && rest[end] <= 'z' {
			end++
		}
		v, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration; write for example 500ms, 30s, 5m, 1h or 7d", s)
		}
		for _, p := range durationParts() {
			if p.unit == rest[n:end] {
				total += v * float64(p.size)
				exact += time.Duration(math.Round(min(v, float64(MaxDuration)/float64(p.size)) * float64(p.size)))
			}
		}
		if total > float64(MaxDuration) {
			return 0, fmt.Errorf("%s is longer than ten years", s)
		}
		rest = rest[end:]
	}
	return exact, nil
}

// FormatDuration writes d so that ParseDuration reads it back: "7d", "1h30m", "500ms".
func FormatDuration(d time.Duration) string {
	if d > 0 && d%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
	}
	s := strings.Replace(d.String(), "µ", "u", 1)
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// NumberPattern matches the plain numbers that are accepted: no exponents, no signs, at most 15 digits a side.
const NumberPattern = `^[0-9]{1,15}(\.[0-9]{1,15})?$`

// isNumber is NumberPattern by hand: it is asked for every value.
func isNumber(s string) bool {
	whole, frac, hasFrac := strings.Cut(s, ".")
	return digits(whole) && (!hasFrac || digits(frac))
}

func digits(s string) bool {
	return s != "" && len(s) <= 15 && strings.Trim(s, "0123456789") == ""
}

// Percent is a share: 0.05 is 5 %.
type Percent float64

// UnmarshalText reads "5%" or "0.05". A number above 1 is refused: it is more likely a missing % than a factor.
func (p *Percent) UnmarshalText(b []byte) error {
	v, err := parsePercent(string(b))
	*p = Percent(v)
	return err
}

func parsePercent(s string) (float64, error) {
	if n, ok := strings.CutSuffix(s, "%"); ok && isNumber(strings.TrimSpace(n)) {
		// Shifting the decimal point in the text keeps 7% equal to 0.07, which dividing by 100 does not.
		return strconv.ParseFloat(strings.TrimSpace(n)+"e-2", 64)
	}
	if !isNumber(s) {
		return 0, fmt.Errorf("%q is not a percentage; write for example 5%% or 0.05", s)
	}
	v, err := strconv.ParseFloat(s, 64)
	if err == nil && v == 1 {
		return 0, fmt.Errorf("%s may mean 1%% or 100%%; write which", s)
	}
	if err == nil && v > 1 {
		return 0, fmt.Errorf("%s has no unit; write %s%%", s, s)
	}
	return v, err
}

// MarshalText writes "5%".
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// String returns "5%".
func (p Percent) String() string {
	s := strconv.FormatFloat(float64(p), 'f', -1, 64)
	whole, frac, _ := strings.Cut(s, ".")
	for len(frac) < 2 {
		frac += "0"
	}
	whole, frac = strings.TrimLeft(whole+frac[:2], "0"), frac[2:]
	if whole == "" {
		whole = "0"
	}
	if frac != "" {
		whole += "." + frac
	}
	return whole + "%"
}

// Size is a number of bytes.
type Size int64

// SizePattern matches the sizes that are accepted.
const SizePattern = `^(0|[0-9]{1,15}(\.[0-9]{1,15})? ?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB))$`

// sizeParts are the units of a size; a size is written in the first that divides it.
func sizeParts() []struct {
	unit string
	size int64
} {
	return []struct {
		unit string
		size int64
	}{{"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3}, {"B", 1}}
}

// UnmarshalText reads "2GiB", "500MB" or "0".
func (z *Size) UnmarshalText(b []byte) error {
	s := string(b)
	*z = 0
	if s == "0" {
		return nil
	}
	if isNumber(s) {
		return fmt.Errorf("%s has no unit; write for example %sMiB", s, s)
	}
	if !regexp.MustCompile(SizePattern).MatchString(s) {
		return fmt.Errorf("%q is not a size; write for example 500MB or 2GiB", s)
	}
	n := strings.IndexFunc(s, func(r rune) bool { return r >= 'A' && r <= 'Z' })
	v, err := strconv.ParseFloat(strings.TrimSpace(s[:n]), 64)
	if err != nil {
		return fmt.Errorf("%q is not a size; write for example 500MB or 2GiB", s)
	}
	for _, p := range sizeParts() {
		if p.unit == s[n:] {
			v *= float64(p.size)
			break
		}
	}
	if v > 1<<53 {
		return fmt.Errorf("%s is more than a disk can hold", s)
	}
	*z = Size(math.Round(v))
	return nil
}

// MarshalText writes "2GiB".
func (z Size) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

// String returns "2GiB".
func (z Size) String() string {
	if z == 0 {
		return "0"
	}
	for _, p := range sizeParts() {
		if int64(z)%p.size == 0 {
			return strconv.FormatInt(int64(z)/p.size, 10) + p.unit
		}
	}
	return strconv.FormatInt(int64(z), 10) + "B"
}
