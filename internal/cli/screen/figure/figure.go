// Package figure writes the numbers of the terminal for people: values with their units, counts, odds, times, bars; and
// says where a line may be broken.
package figure

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/belaydev/belay"
)

// Value writes a signal's value with its unit.
func Value(v *float64, unit string) string {
	if v == nil {
		return "–"
	}
	return Number(*v, unit)
}

// Number writes a value: shares in per cent, seconds, bytes, or with the unit as it is.
func Number(v float64, unit string) string {
	switch unit {
	case "%":
		return Trim(v*100) + " %"
	case "s":
		if math.Abs(v) < 1 {
			return Trim(v*1000) + " ms"
		}
		return Trim(v) + " s"
	case "B":
		const names = "KMGT"
		if math.Abs(v) < 1024 {
			return Trim(v) + " B"
		}
		i := -1
		for math.Abs(v) >= 1024 && i < len(names)-1 {
			v, i = v/1024, i+1
		}
		return Trim(v) + " " + names[i:i+1] + "iB"
	case "":
		return Trim(v)
	}
	return Trim(v) + " " + unit
}

// Count writes a whole number with thousands set apart.
func Count(n float64) string {
	s := fmt.Sprintf("%.0f", n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Clock writes a running time in whole seconds, so that a frame changes once a second and not more often.
func Clock(d time.Duration) string {
	d = max(0, d.Round(time.Second))
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	return belay.Duration(d).String()
}

// Since writes a duration for people: "340 ms", "4.2 s", "3m20s", "2h5m".
func Since(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Since(-d)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return belay.Duration(d.Round(time.Second)).String()
	}
	return belay.Duration(d.Round(time.Minute)).String()
}

// About writes an estimate of seconds to come: "35 s", "4 min", "3 h", "> 1 day".
func About(seconds float64) string {
	switch {
	case seconds < 90:
		return fmt.Sprintf("%.0f s", math.Max(1, math.Ceil(seconds)))
	case seconds < 5400:
		return fmt.Sprintf("%.0f min", seconds/60)
	case seconds < 86400:
		return fmt.Sprintf("%.0f h", seconds/3600)
	}
	return "> 1 day"
}

// Odds writes an e-value as odds, "none" when it is next to nothing.
func Odds(e float64) string {
	switch {
	case e < 1.5:
		return "none"
	case e >= 1e6:
		return "> 1 M : 1"
	}
	return Count(e) + " : 1"
}

// Bar draws a share from 0 to 1 over n columns.
func Bar(share float64, n int) string {
	const eighths = " ▏▎▍▌▋▊▉"
	if math.IsNaN(share) {
		share = 0
	}
	units := int(math.Round(min(max(share, 0), 1) * float64(n) * 8))
	full, rest := units/8, units%8
	out := strings.Repeat("█", full)
	if rest > 0 {
		out += string([]rune(eighths)[rest])
	}
	return out + strings.Repeat("·", max(0, n-ansi.StringWidth(out)))
}

// Ago writes how long ago something was.
func Ago(d time.Duration) string {
	switch {
	case d < 0:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}

// Trim writes three significant digits, never an exponent for usual sizes.
func Trim(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	case a >= 0.01:
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
	}
	return fmt.Sprintf("%.2g", v)
}
