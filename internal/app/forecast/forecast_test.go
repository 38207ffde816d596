package forecast_test

import (
	"strings"
	"testing"
	"time"

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
	got := forecast.Of(service(t, ""), seen(), belay.LearnedStatus{}, nil)
	for _, want := range []string{"at 200 requests/s and 10 % weight: ", "an error rate of 1.5 % instead of 0.5 % would be called in about ", "healthy can be proven in about "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if got := forecast.Of(service(t, ", steps: [100%]"), seen(), belay.LearnedStatus{}, nil); !strings.Contains(got, "the time before") {
		t.Error(got)
	}
	for name, past := range map[string][]belay.Sample{"nothing seen": nil, "no requests": {{T: -30, Signal: config.ErrorRate, Kind: belay.KindEvents}, {T: -60, Signal: config.ErrorRate, Kind: belay.KindEvents}}} {
		if got := forecast.Of(service(t, ""), past, belay.LearnedStatus{}, nil); got != forecast.NoTraffic {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestWhatWasLearnedCounts: clumps take longer to tell from change.
func TestWhatWasLearnedCounts(t *testing.T) {
	known := belay.LearnedStatus{Signals: []belay.SignalHabits{{Signal: config.ErrorRate, Habits: []belay.Habit{{Name: belay.HabitDispersion, Value: 8, Source: belay.HabitLearned}, {Name: belay.HabitMargin, Value: 2.5, Source: belay.HabitLearned}}}}}
	if with, without := forecast.Of(service(t, ""), seen(), known, nil), forecast.Of(service(t, ""), seen(), belay.LearnedStatus{}, nil); with == without || !strings.Contains(with, "would not be told from normal change") {
		t.Errorf("with %q, without %q", with, without)
	}
}

// TestOfAServiceWithoutAProxy: nothing runs beside the new release, and what was scraped of the old one is the past.
func TestOfAServiceWithoutAProxy(t *testing.T) {
	s := alone(t)
	if got := forecast.Of(s, seen(), belay.LearnedStatus{}, nil); !strings.HasPrefix(got, "at 200 requests/s, compared with the time before because nothing runs beside it: an error rate of 1.5 % instead of 0.5 % would be called in about ") {
		t.Error(got)
	}
}

func alone(t *testing.T) config.Service {
	t.Helper()
	c, err := config.Parse("belay.yaml", []byte("services: {shop: {targets: ['127.0.0.1:1'], rollback: {command: ./b.sh}}}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Services[0]
}

// TestLive: a watch says once what it can see, by the past that it is shown or by its first traffic.
func TestLive(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	d := belay.Deployment{CreatedAt: began, DeployedAt: began.Add(5 * time.Second)}
	card := func(at, n, x, baseN, baseX float64) belay.Card {
		return belay.Card{T: at, Signals: []belay.SignalEvidence{{Signal: config.ErrorRate, N: n, X: x, BaseN: baseN, BaseX: baseX}}}
	}
	routed := d
	routed.Slot, routed.Weight = "green", 10
	for _, c := range []struct {
		name string
		s    config.Service
		d    belay.Deployment
		tick belay.Tick
		card belay.Card
		want string
	}{
		{"the past of the first tick", alone(t), belay.Deployment{}, belay.Tick{Samples: seen()}, belay.Card{}, "at 200 requests/s, compared with the time before"},
		{"before any traffic", alone(t), d, belay.Tick{}, card(60, 0, 0, 0, 0), ""},
		{"the first second", alone(t), d, belay.Tick{}, card(6, 50, 0, 0, 0), ""},
		{"not deployed", alone(t), belay.Deployment{CreatedAt: began}, belay.Tick{}, card(60, 5000, 0, 0, 0), ""},
		{"alone and without a past", alone(t), d, belay.Tick{}, card(25, 1000, 0, 0, 0), "at 50 requests/s, with no old release beside it"},
		{"instances beside it", alone(t), d, belay.Tick{}, card(25, 1000, 0, 3000, 15), "at 160 requests/s and 25 % weight: an error rate of 1.5 % instead of 0.5 %"},
		{"behind a proxy", service(t, ""), routed, belay.Tick{}, card(25, 400, 0, 4500, 45), "at 196 requests/s and 10 % weight: an error rate of 4 % instead of 1 %"},
	} {
		if got := forecast.Live(c.s, c.d, c.tick, c.card); c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestWhatAWatchCounted stands in where nothing was seen before: a first release that bakes.
func TestWhatAWatchCounted(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	d := belay.Deployment{State: belay.StateBaking, CreatedAt: began, DeployedAt: began, Card: &belay.Card{T: 100, Signals: []belay.SignalEvidence{{Signal: config.ErrorRate, N: 2000, X: 10}}}}
	if got := forecast.Of(service(t, ""), nil, belay.LearnedStatus{}, &d); !strings.HasPrefix(got, "at 20 requests/s and 10 % weight: ") {
		t.Error(got)
	}
	d.State = belay.StateRolledBack
	if got := forecast.Of(service(t, ""), nil, belay.LearnedStatus{}, &d); got != forecast.NoTraffic {
		t.Error(got)
	}
}
