package outlook_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/outlook"
)

func TestForecast(t *testing.T) {
	o := outlook.Forecast(judge.DefaultPolicy(), outlook.Traffic{PerSecond: 200, Share: 0.1, ErrorRate: 0.005, Past: 1800})
	if len(o.Calls) != 3 || o.Calls[1].Rate != 0.025 {
		t.Fatalf("calls %+v", o.Calls)
	}
	for i, within := range [][2]float64{{60, 200}, {15, 80}, {1, 10}} {
		if s := o.Calls[i].Seconds; s < within[0] || s > within[1] {
			t.Errorf("%v is called in %v s, want %v", o.Calls[i].Rate, s, within)
		}
	}
	if o.Healthy < 20 || o.Healthy > 300 {
		t.Errorf("healthy in %v s", o.Healthy)
	}
	if got := o.String(); !strings.HasPrefix(got, "at 200 requests/s and 10 % weight: an error rate of 1.5 % instead of 0.5 % would be called in about ") {
		t.Error(got)
	}
	for want, traffic := range map[string]outlook.Traffic{
		"without traffic":                            {},
		"the time before":                            {PerSecond: 200, Share: 1, ErrorRate: 0.02, Past: 1800},
		"too little history":                         {PerSecond: 200, Share: 1, ErrorRate: 0.02},
		"; 2 % would not be told from normal change": {PerSecond: 5, Share: 0.5, ErrorRate: 0.01, Past: 1800},
		"longer than the 5 min there are":            {PerSecond: 0.5, Share: 0.5, ErrorRate: 0.01, Past: 1800, Deadline: 300},
		"an error rate of 10 % instead of 0.1 % would not be told from normal change in time": {PerSecond: 0.005, Share: 0.5, ErrorRate: 0.001},
		"instead of 0 %": {PerSecond: 50, Share: 0.5},
	} {
		if got := outlook.Forecast(judge.DefaultPolicy(), traffic).String(); !strings.Contains(got, want) {
			t.Errorf("want %q in %q", want, got)
		}
	}
}

func percent(v float64) string { return strconv.FormatFloat(100*v, 'g', 3, 64) + " %" }
