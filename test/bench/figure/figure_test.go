package figure_test

import (
	"math"
	"testing"

	"github.com/belaydev/belay/test/bench/figure"
)

func TestOrderStatistics(t *testing.T) {
	odd := figure.Series{5, 1, 4, 2, 3}
	even := figure.Series{4, 1, 3, 2}
	ten := figure.Series{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"median_of_odd", odd.Median(), 3},
		{"median_of_even", even.Median(), 2.5},
		{"p90_of_five_is_the_largest", odd.Quantile(0.9), 5},
		{"p90_of_ten_is_the_ninth", ten.Quantile(0.9), 9},
		{"p50_is_a_measured_value", even.Quantile(0.5), 2},
		{"min", odd.Min(), 1},
		{"max", odd.Max(), 5},
		{"one_value", figure.Series{7}.Quantile(0.99), 7},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	if !math.IsNaN(figure.Series{}.Median()) || !math.IsNaN(figure.Series{}.Quantile(0.9)) {
		t.Error("nothing measured must not look like a number")
	}
	if odd[0] != 5 {
		t.Error("a statistic reordered the measured values")
	}
}

func TestWriting(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{figure.Seconds(0.4213), "421 ms"},
		{figure.Seconds(12.345), "12.3 s"},
		{figure.Seconds(0.0000031), "3.10 µs"},
		{figure.Seconds(0), "0 ns"},
		{figure.Seconds(math.NaN()), "-"},
		{figure.Megabytes(3 << 20), "3.00 MiB"},
		{figure.Percent(0.976), "97.6 %"},
		{figure.Ratio(math.Inf(1)), "-"},
		{figure.Met(0.4, 0.5), "met"},
		{figure.Met(0.5, 0.5), "**missed**"},
		{figure.Met(math.NaN(), 0.5), "not measured"},
		{figure.NewTable("a", "b").Row("1|2").String(), "| a | b |\n| --- | --- |\n| 1\\|2 |  |\n"},
		{
			figure.NewTable("what", "runs", "median", "p90", "min", "max").Spread("x", figure.Series{1, 2, 3}, figure.Count).String(),
			"| what | runs | median | p90 | min | max |\n| --- | --- | --- | --- | --- | --- |\n| x | 3 | 2 | 3 | 1 | 3 |\n",
		},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
