package judge

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/belaydev/belay"
)

// percent writes a share for people: two digits that count, never more than needed.
func percent(share float64) string {
	return digits(share*100) + " %"
}

// digits writes a number with two significant digits, and whole numbers in full.
func digits(v float64) string {
	if math.Abs(v) >= 10 {
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	}
	f, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 2, 64), 64)
	if err != nil { // infinities and NaN parse too: cannot happen
		f = v
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// seconds writes a time for people.
func seconds(s float64) string {
	switch {
	case s < 0.0995:
		return digits(s*1000) + " ms"
	case s < 1:
		return strconv.FormatFloat(math.Round(s*1000), 'f', -1, 64) + " ms"
	case s < 120:
		return digits(s) + " s"
	case s < 7200:
		return digits(s/60) + " min"
	}
	return digits(s/3600) + " h"
}

// bytes writes a size for people.
func bytes(v float64) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if math.Abs(v) >= u.size {
			return strconv.FormatFloat(v/u.size, 'f', 1, 64) + " " + u.name
		}
	}
	return digits(v) + " B"
}

// value writes a value of the signal in its unit.
func (s *SignalPolicy) value(v float64) string {
	switch {
	case s.Kind == belay.KindEvents || s.Unit == "%":
		return percent(v)
	case s.Unit == "s":
		return seconds(v)
	case s.Unit == "B":
		return bytes(v)
	case s.Unit == "":
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + " " + s.Unit
}

// count writes a whole number with separators: 12,480.
func count(n float64) string {
	s := strconv.FormatFloat(math.Round(n), 'f', -1, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// of writes "7.9 % (31 of 392)".
func of(x, n float64) string {
	if n <= 0 {
		return "no requests"
	}
	return fmt.Sprintf("%s (%s of %s)", percent(x/n), count(x), count(n))
}

// oneIn writes a chance of 1/e from above, rounded to its safe side.
func oneIn(logE float64) string {
	if logE > math.Log(1e6) {
		return "below 1 in a million"
	}
	e := math.Exp(logE)
	unit := math.Pow(10, math.Max(0, math.Floor(math.Log10(e))-1))
	return "below 1 in " + count(math.Floor(e/unit)*unit)
}

func quantileName(q float64) string {
	return "p" + strconv.FormatFloat(q*100, 'f', -1, 64)
}

// and joins words as a sentence does.
func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
