package usual_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen"
	"github.com/belaydev/belay/internal/cli/usual"
)

// golden compares got with a file of testdata; UPDATE=1 rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || got != string(want) {
		t.Errorf("%s differs (%v); look at it and run UPDATE=1 go test\ngot:\n%s\nwant:\n%s", path, err, got, want)
	}
}

func TestLearnedIsToldInPlainWords(t *testing.T) {
	begin := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	l := belay.LearnedStatus{Ref: belay.Ref{Service: "shop", Environment: "production"}, Until: begin, Hours: 37.2, Signals: []belay.SignalHabits{
		{Signal: "error_rate", Kind: belay.KindEvents, Compared: true, Habits: []belay.Habit{
			{Name: belay.HabitMargin, Value: 1.146, Source: belay.HabitLearned, Detail: "3 instances, 10,800 events"},
			{Name: belay.HabitDispersion, Value: 1, Source: belay.HabitLearned, Detail: "10,800 bad events"}}},
		{Signal: "response_time", Kind: belay.KindHistogram, Compared: true, Habits: []belay.Habit{
			{Name: belay.HabitMargin, Value: 1.3, Source: belay.HabitSet, Detail: "by signals.response_time.margin in line 12 of the configuration"},
			{Name: belay.HabitDispersion, Value: 2, Source: belay.HabitAssumed, Detail: "nothing is assumed any more after some 200 bad events; none have been seen so far"}}},
		{Signal: "cpu_usage", Kind: belay.KindGauge}, {Signal: "memory_usage", Kind: belay.KindGauge},
	}}
	now := begin.Add(42 * time.Minute)
	golden(t, "learned.txt", usual.Text(screen.Style{Width: 100}, l, now))

	l.Problem = "read the metrics of shop/production: connection refused"
	golden(t, "learned_narrow.txt", usual.Text(screen.Style{Width: 50}, l, now))

	l.Hours = 0
	if got := usual.Text(screen.Style{}, l, now); !strings.Contains(got, "nothing learned yet; what comes after 2026-05-01") {
		t.Errorf("after it was forgotten:\n%s", got)
	}
	l.Until = time.Time{}
	if got := usual.Text(screen.Style{}, l, now); !strings.Contains(got, "nothing learned yet; the first quiet hour is on its way") {
		t.Errorf("in the beginning:\n%s", got)
	}
}
