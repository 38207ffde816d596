package kpi

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
)

// world is a store that a test fills, and a collector that looks at it.
type world struct {
	*Collector
	t     testing.TB
	store *metric.Store
	start time.Time
}

const (
	newApp = "new:1"
	oldApp = "old:1"
)

// shop is a subject with a target of its own for each release.
func shop(signals ...Spec) Subject {
	if len(signals) == 0 {
		signals = []Spec{{Name: ErrorRate}, {Name: ResponseTime}, {Name: Throughput}, {Name: CPUUsage}, {Name: MemoryUsage}}
	}
	return Subject{
		Ref:       belay.Ref{Service: "shop", Environment: "test"},
		Candidate: Arm{Release: "2.0", Targets: []belay.Target{{Address: newApp}}},
		Baseline:  Arm{Release: "1.0", Targets: []belay.Target{{Address: "http://" + oldApp + "/metrics"}}},
		Selector:  map[string]string{"job": "shop"},
		Signals:   signals,
	}
}

func newWorld(t testing.TB, s Subject) *world {
	t.Helper()
	store, err := metric.Open(metric.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, store: store, start: time.Now().Truncate(time.Hour)}
	s.Start = w.start
	w.Collector = New(store, s)
	return w
}

func (w *world) at(sec float64) time.Time {
	return w.start.Add(time.Duration(sec * float64(time.Second)))
}

// put writes points such as "1:10 2:20" (second:value) of a series of job shop.
func (w *world) put(series, points string) {
	w.t.Helper()
	ms, err := parser.NewParser(parser.Options{}).ParseMetricSelector(series)
	if err != nil {
		w.t.Fatal(err)
	}
	l := map[string]string{"job": "shop"}
	for _, m := range ms {
		l[m.Name] = m.Value
	}
	var out []metric.Sample
	for _, p := range strings.Fields(points) {
		sec, v, _ := strings.Cut(p, ":")
		s, err1 := strconv.ParseFloat(sec, 64)
		x, err2 := strconv.ParseFloat(v, 64)
		if err1 != nil || err2 != nil {
			w.t.Fatalf("point %q: %v, %v", p, err1, err2)
		}
		if l["__name__"] == "process_start_time_seconds" {
			x += float64(w.start.Unix())
		}
		out = append(out, metric.Sample{Labels: l, T: w.at(s), V: x})
	}
	if err := w.store.Append(w.t.Context(), out); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tick(sec float64) ([]belay.Sample, []belay.SourceStatus) {
	w.t.Helper()
	return w.Collect(w.t.Context(), w.at(sec))
}

// told writes the samples of a signal one a line: "3 candidate new:1 [GET /] 10/2".
func told(samples []belay.Sample, signal string) string {
	var out []string
	for _, s := range samples {
		if s.Signal != signal {
			continue
		}
		head := strings.Join(strings.Fields(fmt.Sprintf("%v %s %s", s.T, s.Arm, s.Instance)), " ")
		if s.Stratum != "" {
			head += " [" + s.Stratum + "]"
		}
		switch s.Kind {
		case belay.KindEvents, belay.KindCount:
			head += fmt.Sprintf(" %v/%v", s.N, s.X)
		case belay.KindHistogram:
			head += fmt.Sprintf(" n=%v sum=%v", s.N, s.Sum)
			for i := range s.LE {
				head += fmt.Sprintf(" %v:%v", s.LE[i], s.Count[i])
			}
		case belay.KindGauge:
			head += fmt.Sprintf(" =%v", s.Value)
		}
		out = append(out, head)
	}
	return strings.Join(out, "\n")
}

// want ticks and compares the samples of one signal.
func (w *world) want(sec float64, signal, lines string) {
	w.t.Helper()
	samples, _ := w.tick(sec)
	wantTold(w.t, samples, signal, lines)
}

func wantTold(t testing.TB, samples []belay.Sample, signal, lines string) {
	t.Helper()
	var clean []string
	for _, l := range strings.Split(strings.TrimSpace(lines), "\n") {
		clean = append(clean, strings.TrimSpace(l))
	}
	if got, want := told(samples, signal), strings.Join(clean, "\n"); got != want {
		t.Errorf("%s:\ngot\n%s\nwant\n%s", signal, got, want)
	}
}

func (w *world) wantSources(got []belay.SourceStatus, want ...string) {
	w.t.Helper()
	var lines []string
	for _, s := range got {
		state := "ok"
		if !s.OK {
			state = "not ok: " + s.Detail
		}
		lines = append(lines, s.Source+" "+state)
	}
	if len(lines) != len(want) {
		w.t.Fatalf("got sources %q, want %q", lines, want)
	}
	for i := range want {
		if !strings.Contains(lines[i], want[i]) {
			w.t.Errorf("source %q does not say %q", lines[i], want[i])
		}
	}
}

const requests = `http_requests_total{instance="new:1",status="200"}`

func failures() string { return strings.Replace(requests, "200", "500", 1) }
