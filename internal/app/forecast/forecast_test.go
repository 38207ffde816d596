package forecast_test

import (
	"strings"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/forecast"
	"github.com/belaydev/belay/internal/config"
)

func service(t *testing.T, more string) config.Service {
	t.Helper()
	c, err := config.Parse("belay.yaml", []byte("proxies: {edge: {listen: '127.0.0.1:1', admin: '127.0.0.1:2', slots: {blue: '127.0.0.1:3', green: '127.0.0.1:4'}}}\nservices: {shop: {deploy: ./d.sh, rollout: {proxy: edge"+more+"}}}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Services[0]
}

// seen are ten minutes of 200 requests/s of which 1 in 200 fails.
func seen() []belay.Sample {
	var out []belay.Sample
	for i := range 20 {
		for _, instance := range []string{"a", "b"} {
			out = append(out, belay.Sample{T: float64(30*i) - 585, Signal: config.ErrorRate, Kind: belay.KindEvents, Arm: belay.ArmBaseline, Instance: instance, N: 3000, X: 15})
		}
		out = append(out, belay.Sample{T: float64(30*i) - 585, Signal: config.ResponseTime, Kind: belay.KindHistogram, N: 6000})
	}
	return out
}

func TestOf(t *testing.T) {
	got := forecast.Of(service(t, ""), seen(), belay.LearnedStatus{})
	for _, want := range []string{"at 200 requests/s and 10 % weight: ", "an error rate of 1 % instead of 0.5 % would be called in about ", "healthy can be proven in about "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if got := forecast.Of(service(t, ", steps: [100%]"), seen(), belay.LearnedStatus{}); !strings.Contains(got, "the time before") {
		t.Error(got)
	}
	for name, past := range map[string][]belay.Sample{"nothing seen": nil, "no requests": {{T: -30, Signal: config.ErrorRate, Kind: belay.KindEvents}, {T: -60, Signal: config.ErrorRate, Kind: belay.KindEvents}}} {
		if got := forecast.Of(service(t, ""), past, belay.LearnedStatus{}); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestWhatWasLearnedCounts: clumps take longer to tell from change.
func TestWhatWasLearnedCounts(t *testing.T) {
	known := belay.LearnedStatus{Signals: []belay.SignalHabits{{Signal: config.ErrorRate, Habits: []belay.Habit{{Name: belay.HabitDispersion, Value: 8}, {Name: belay.HabitMargin, Value: 2.5}}}}}
	if with, without := forecast.Of(service(t, ""), seen(), known), forecast.Of(service(t, ""), seen(), belay.LearnedStatus{}); with == without || !strings.Contains(with, "would not be told from normal change") {
		t.Errorf("with %q, without %q", with, without)
	}
}
