package learning_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/learning"
)

func line(path string) string { return path + " in line 7" }

// habits are what is held of a signal, by name.
func habits(s belay.LearnedStatus, signal string) map[belay.HabitName]belay.Habit {
	out := map[belay.HabitName]belay.Habit{}
	for _, sig := range s.Signals {
		if sig.Signal == signal {
			for _, h := range sig.Habits {
				out[h.Name] = h
			}
		}
	}
	return out
}

func TestBeforeAnythingIsKnownTheAssumptionsAreShown(t *testing.T) {
	cfg := parse(t, "targets: [a:1], signals: {cpu_usage: {compare: true}}")
	s := learning.Explain(cfg.Services[0], belay.Learned{}, line)
	if s.Ref != shop() || s.Hours != 0 || len(s.Signals) != 5 {
		t.Errorf("%+v", s)
	}
	for signal, want := range map[string]map[belay.HabitName]float64{
		"error_rate":    {belay.HabitMargin: 1.5, belay.HabitDispersion: 5},
		"response_time": {belay.HabitMargin: 1.08, belay.HabitDispersion: 2},
		"cpu_usage":     {belay.HabitMargin: 1.49},
		"memory_usage":  {},
	} {
		got := habits(s, signal)
		if len(got) != len(want) {
			t.Errorf("%s: habits %+v, want %v", signal, got, want)
		}
		for name, v := range want {
			if h := got[name]; h.Source != belay.HabitAssumed || !near(h.Value, v, 0.01) || !strings.Contains(h.Detail, "so far") {
				t.Errorf("%s: %+v, want an assumed %s of %v, and what would change it", signal, h, name, v)
			}
		}
	}
}

func TestWhatIsLearnedIsShownAsItIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		time.Sleep(2 * time.Minute)
		w.l.Stop()
		s := learning.Explain(w.cfg.Services[0], w.of(shop()), line)
		if s.Hours != 1 || !s.Until.Equal(w.of(shop()).Until) {
			t.Errorf("%+v", s)
		}
		got := habits(s, "error_rate")
		if h := got[belay.HabitMargin]; h.Source != belay.HabitLearned || h.Value >= 1.5 || !strings.Contains(h.Detail, "3 instances") {
			t.Errorf("margin %+v, want one that is learned from three alike instances", h)
		}
		if h := got[belay.HabitDispersion]; h.Source != belay.HabitLearned || h.Value > 1.2 || !strings.Contains(h.Detail, "1,0") {
			t.Errorf("dispersion %+v, want that errors come one by one, learned from a thousand of them", h)
		}
		if h := habits(s, "response_time")[belay.HabitMargin]; h.Source != belay.HabitAssumed {
			t.Errorf("margin of response times %+v, of which there are none", h)
		}
	})
}

func TestWhatIsSetByHandIsShownWithItsLine(t *testing.T) {
	cfg := parse(t, "targets: [a:1], signals: {error_rate: {margin: 3, dispersion: 7}, response_time: {margin: 2, compare: true}, cpu_usage: {compare: true, margin: 4}}")
	s := learning.Explain(cfg.Services[0], belay.Learned{}, line)
	for _, want := range []struct {
		signal string
		name   belay.HabitName
		value  float64
	}{{"error_rate", belay.HabitMargin, 3}, {"error_rate", belay.HabitDispersion, 7}, {"response_time", belay.HabitMargin, 2}, {"cpu_usage", belay.HabitMargin, 4}} {
		h := habits(s, want.signal)[want.name]
		if h.Source != belay.HabitSet || !near(h.Value, want.value, 0.001) || h.Detail != "signals."+want.signal+"."+string(want.name)+" in line 7" {
			t.Errorf("%s: %+v, want %s %v, set in its line", want.signal, h, want.name, want.value)
		}
	}
}

// TestValuesAreLearnedOfToo: how instances differ in their CPU, once it is compared.
func TestValuesAreLearnedOfToo(t *testing.T) {
	cfg := parse(t, "targets: [a:1], signals: {cpu_usage: {compare: true}}")
	moments := func(name string, mean float64) belay.LearnedMoments {
		const n = 1000.0
		return belay.LearnedMoments{Name: name, N: n, Sum: n * mean, Squares: n * (mean*mean + 0.0025), Cross: n * mean * mean, Pairs: n, Spacing: 15 * n}
	}
	known := belay.Learned{Until: time.Unix(1e9, 0), Seconds: 7200, Signals: []belay.LearnedSignal{{Signal: "cpu_usage", Kind: belay.KindGauge,
		Levels: []belay.LearnedMoments{moments("a", -0.02), moments("b", 0), moments("c", 0), moments("d", 0.02)}, Scale: &belay.LearnedScale{Unit: 1}}}}
	h := habits(learning.Explain(cfg.Services[0], known, line), "cpu_usage")[belay.HabitMargin]
	if h.Source != belay.HabitLearned || h.Value >= 1.2 || h.Detail != "4 instances" {
		t.Errorf("margin %+v, want a small one, learned from 4 instances", h)
	}
}
