// Package phrase writes numbers as people read them: shares, times, sizes, chances. It decides nothing.
package phrase

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Percent writes a share for people: two digits that count, never more than needed.
func Percent(share float64) string {
	return Digits(share*100) + " %"
}

// Digits writes a number with two significant digits, and whole numbers in full.
func Digits(v float64) string {
	if math.Abs(v) >= 10 {
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	}
	f, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 2, 64), 64)
	if err != nil { // infinities and NaN parse too: cannot happen
		f = v
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// Seconds writes a time for people.
func Seconds(s float64) string {
	switch {
	case s < 0.0995:
		return Digits(s*1000) + " ms"
	case s < 1:
		return strconv.FormatFloat(math.Round(s*1000), 'f', -1, 64) + " ms"
	case s < 120:
		return Digits(s) + " s"
	case s < 7200:
		return Digits(s/60) + " min"
	}
	return Digits(s/3600) + " h"
}

// Bytes writes a size for people.
func Bytes(v float64) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if math.Abs(v) >= u.size {
			return strconv.FormatFloat(v/u.size, 'f', 1, 64) + " " + u.name
		}
	}
	return Digits(v) + " B"
}

// Value writes a value in its unit: "%" (of a share), "s", "B", or any other, which is put behind it.
func Value(v float64, unit string) string {
	switch unit {
	case "%":
		return Percent(v)
	case "s":
		return Seconds(v)
	case "B":
		return Bytes(v)
	case "":
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + " " + unit
}

// Count writes a whole number with separators: 12,480.
func Count(n float64) string {
	s := strconv.FormatFloat(math.Round(n), 'f', -1, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Of writes "7.9 % (31 of 392)".
func Of(x, n float64) string {
	if n <= 0 {
		return "no requests"
	}
	return fmt.Sprintf("%s (%s of %s)", Percent(x/n), Count(x), Count(n))
}

// OneIn writes a chance of 1/e from above, rounded to its safe side.
func OneIn(logE float64) string {
	if logE > math.Log(1e6) {
		return "below 1 in a million"
	}
	e := math.Exp(logE)
	unit := math.Pow(10, math.Max(0, math.Floor(math.Log10(e))-1))
	return "below 1 in " + Count(math.Floor(e/unit)*unit)
}

// Quantile writes "p95".
func Quantile(q float64) string {
	return "p" + strconv.FormatFloat(q*100, 'f', -1, 64)
}

// And joins words as a sentence does.
func And(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// Per writes a count over an exposure: "1.2 (240 in 200)".
func Per(x, n float64) string {
	if n <= 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s (%s in %s)", Digits(x/n), Count(x), Count(n))
}

// Odds writes evidence as "1 : 250".
func Odds(logE float64) string {
	if logE > math.Log(1e6) {
		return "over 1 : 1,000,000"
	}
	return "1 : " + Count(math.Exp(logE))
}
