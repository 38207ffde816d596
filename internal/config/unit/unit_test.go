package unit_test

import (
	"encoding"
	"testing"
	"time"

	"github.com/belaydev/belay/internal/config/unit"
)

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "500ms": 500 * time.Millisecond, "1.5s": 1500 * time.Millisecond, "1h30m": 90 * time.Minute,
		"7d": 7 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "1d12h": 36 * time.Hour, "0.1s": 100 * time.Millisecond, "3ns": 3,
	} {
		got, err := unit.ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
		if again, err := unit.ParseDuration(unit.FormatDuration(want)); err != nil || again != want {
			t.Errorf("%v is written %s and read as %v, %v", want, unit.FormatDuration(want), again, err)
		}
	}
	for _, text := range []string{"", "5", "-1s", "1x", "s", "1 s", "1e3s", "11y", "4000d", "1sm", "1..5s", "9999999999999999999h"} {
		if got, err := unit.ParseDuration(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

// value is a unit that can be read and written.
type value interface {
	encoding.TextUnmarshaler
	encoding.TextMarshaler
}

func TestTextsSurvive(t *testing.T) {
	cases := []struct {
		fresh func() value
		texts map[string]string // as read: as written
		bad   []string
	}{
		{func() value { return new(unit.Percent) }, map[string]string{"5%": "5%", "0.05": "5%", "7%": "7%", "0.07": "7%", "0.5%": "0.5%", "99.99%": "99.99%",
			"150%": "150%", "0": "0%", "0%": "0%", "0.001%": "0.001%", "12.5 %": "12.5%"}, []string{"", "%", "5", "1", "-5%", "5%%", "1e2%", "NaN", "5 percent"}},
		{func() value { return new(unit.Size) }, map[string]string{"2GiB": "2GiB", "500MB": "500MB", "1.5GiB": "1536MiB", "0": "0", "1000KB": "1MB", "7B": "7B", "2 GiB": "2GiB"},
			[]string{"", "2", "2G", "2gib", "-2GiB", "99999999999TiB", "GiB"}},
		{func() value { return new(unit.Factor) }, map[string]string{"1.5": "1.5", "2x": "2", "0.1": "0.1", "1.50": "1.5", "0": "0"}, []string{"", "x", "-1", "150%", "1.5 x", "1e2", "NaN", "Inf"}},
		{func() value { return new(unit.Weight) }, map[string]string{"10%": "10%", "0.1": "10%", "100%": "100%", "0%": "0%", "0.07": "7%"}, []string{"10", "1", "101%", "0.5%", ""}},
		{func() value { return new(unit.StatusRange) }, map[string]string{"200": "200", "200-299": "200-299", "404-404": "404"}, []string{"", "2xx", "99", "600", "299-200", "200-", "2e2", "+20"}},
		{func() value { return new(unit.Quantity) }, map[string]string{"5%": "5%", "1.5s": "1.5s", "2GiB": "2GiB", "100/s": "100/s", "0.50": "0.50", "-3": "-3"},
			[]string{"", "x", "5 apples", "/s", "--3", "1e9"}},
	}
	for _, c := range cases {
		for text, want := range c.texts {
			v := c.fresh()
			if err := v.UnmarshalText([]byte(text)); err != nil {
				t.Errorf("%T %q: %v", v, text, err)
				continue
			}
			if got, err := v.MarshalText(); err != nil || string(got) != want {
				t.Errorf("%T %q is written %q, %v, want %q", v, text, got, err, want)
			}
		}
		for _, text := range c.bad {
			if v := c.fresh(); v.UnmarshalText([]byte(text)) == nil {
				t.Errorf("%T reads %q as %v", v, text, v)
			}
		}
	}
}

func TestQuantityUnits(t *testing.T) {
	for text, want := range map[string]unit.Quantity{
		"5%": {Value: 0.05, Unit: unit.Share}, "250ms": {Value: 0.25, Unit: unit.Seconds}, "1KiB": {Value: 1024, Unit: unit.Bytes},
		"100/s": {Value: 100, Unit: unit.PerSecond}, "0.05": {Value: 0.05, Unit: unit.None},
	} {
		var q unit.Quantity
		if err := q.UnmarshalText([]byte(text)); err != nil || q.Value != want.Value || q.Unit != want.Unit {
			t.Errorf("%s: got %v in %q, %v", text, q.Value, q.Unit, err)
		}
	}
}

func TestStatusRangeContains(t *testing.T) {
	r := unit.StatusRange{Low: 200, High: 299}
	for status, want := range map[int]bool{199: false, 200: true, 299: true, 300: false} {
		if r.Contains(status) != want {
			t.Errorf("%d: got %v", status, !want)
		}
	}
}
