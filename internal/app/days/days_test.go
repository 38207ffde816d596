package days_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/days"
	"github.com/belaydev/belay/internal/app/replay"
	"github.com/belaydev/belay/internal/app/session"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/stream"
	"github.com/belaydev/belay/internal/judge/stream/recording"
	"github.com/belaydev/belay/internal/observe/health"
	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
	"github.com/belaydev/belay/internal/store/sqlite"
)

// watched is how long a deployment is watched, every so often.
const (
	watched = 45 * time.Minute
	every   = 15 * time.Second
)

// start is a recent moment, so that the database keeps what is written: the watch ends now, without waiting.
var start = time.Now().Add(-watched).Truncate(time.Minute)

func service(t testing.TB) config.Service {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(t.TempDir(), "belay.yaml"), []byte(`
services:
  shop:
    targets: ["a:1", "b:1"]
    watch: {deadline: 40m, min_time: 1m, bake: 0s}
    signals:
      orders: {query: 'sum(orders{$selector})', compare: true, direction: lower_is_worse, smallest_change: 5%}
`), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Services[0]
}

// world is an embedded store in which a service shows a daily season, errors and response times with it, up to the end of a
// watch; from the deployment on they are changed by factors.
type world struct {
	orders, slow, errors float64
	steep                float64 // how much of the season there is
}

func (w world) fill(t testing.TB, reach time.Duration) *metric.Store {
	t.Helper()
	s, err := metric.Open(metric.Options{Dir: t.TempDir(), OutOfOrder: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	r := rand.New(rand.NewPCG(5, 6))
	counts := map[string]float64{}
	// The deployment falls into the steepest hour.
	gap := time.Minute // between two scrapes; from an hour before the deployment on, that of the watch
	for at := start.Add(-reach); at.Before(start.Add(watched)); at = at.Add(gap) {
		t0 := at.Sub(start).Seconds()
		if t0 >= -3600 {
			gap = every
		}
		season := 1 + w.steep*math.Sin(2*math.Pi*t0/86400)
		after := world{1, 1, 1, 0}
		if t0 >= 0 {
			after = w
		}
		if t0 >= 0 && t0 < every.Seconds() {
			clear(counts) // new processes
		}
		var rows []metric.Sample
		for _, in := range []string{"a:1", "b:1"} {
			add := func(name, status string, v float64) {
				l := map[string]string{"__name__": name, "job": "shop/production", "instance": in}
				if status != "" {
					l["status"] = status
				}
				rows = append(rows, metric.Sample{Labels: l, T: at, V: v})
			}
			count := func(name, status string, n float64) {
				counts[name+status+in] += n
				add(name, status, counts[name+status+in])
			}
			n := math.Round(gap.Seconds() * 20 * season)
			bad := 0.0
			for range int(n) {
				if r.Float64() < 0.01*season*after.errors {
					bad++
				}
			}
			add("up", "", 1)
			count("http_requests_total", "200", n-bad)
			count("http_requests_total", "500", bad)
			add("orders", "", 100*season*after.orders*(1+0.01*r.NormFloat64()))
			began := -1e6
			if t0 >= 0 {
				began = 1
			}
			add("process_start_time_seconds", "", float64(start.Unix())+began)
		}
		if err := s.Append(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

type deployments []belay.Deployment

func (d deployments) Deployments(context.Context, belay.DeploymentFilter) ([]belay.Deployment, error) {
	return d, nil
}

func deployment(s config.Service) belay.Deployment {
	return belay.Deployment{ID: "d-2", Ref: s.Ref(), Release: belay.Release{Version: "2"}, Previous: belay.Release{Version: "1"}, CreatedAt: start,
		Targets: []belay.Target{{Address: "a:1"}, {Address: "b:1"}}, State: belay.StateWatching, Weight: 100}
}

// observe watches the deployment in pretended time; the days before come with the tick after so many.
func observe(t testing.TB, s config.Service, m *metric.Store, past deployments, late int) []belay.Tick {
	t.Helper()
	d := deployment(s)
	r := days.New(days.Options{Source: m, Own: true, Store: past, Log: slog.New(slog.DiscardHandler), Reg: prometheus.NewRegistry()})
	t.Cleanup(r.Stop)
	r.Begin(s, d)
	days.Wait(r)
	before := r.Take(d.ID)
	looks := 0
	give := func() []belay.Sample {
		if looks++; looks != late+1 {
			return nil
		}
		return before
	}
	o := session.New(session.Options{Key: d.ID, Start: start, After: math.Inf(-1), Health: health.NewMonitor(health.Options{}),
		Metrics: kpi.New(m, translate.Subject(s, d, translate.Specs(s))), Days: give})
	defer o.Close()
	var out []belay.Tick
	for now := start.Add(every / 3); now.Before(start.Add(watched)); now = now.Add(every) {
		tick, err := o.Collect(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, tick)
	}
	return out
}

func judged(s config.Service, ticks []belay.Tick) belay.Card {
	j := judge.New(translate.JudgePolicy(s, deployment(s), true))
	for _, t := range ticks {
		if j.Take(t); j.Regressed() {
			break
		}
	}
	return j.Card()
}

func note(c belay.Card, signal string) string {
	for _, s := range c.Signals {
		if s.Signal == signal {
			return s.Note
		}
	}
	return ""
}

// A release that is deployed in place is compared with the days before: what a day does by itself is not its fault, and
// what it does beyond that is.
func TestReleasesInPlaceAreComparedWithTheDaysBefore(t *testing.T) {
	s := service(t)
	for _, c := range []struct {
		name      string
		world     world
		reach     time.Duration
		late      int
		regressed string // the culprit
		note      string // of the value
	}{
		{"an ordinary ramp", world{1, 1, 1, 0.4}, 72 * time.Hour, 0, "", "by time of day"},
		{"fewer orders on the ramp", world{0.8, 1, 1, 0.4}, 72 * time.Hour, 0, "orders", "by time of day"},
		{"more errors on the ramp", world{1, 1, 3, 0.4}, 72 * time.Hour, 0, "error_rate", "by time of day"},
		{"the days come late", world{0.8, 1, 1, 0.4}, 72 * time.Hour, 20, "", "the history came after"},
		{"a young service", world{1, 1, 1, 0}, 40 * time.Minute, 0, "", "too little history (have "},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := c.world.fill(t, c.reach)
			card := judged(s, observe(t, s, m, nil, c.late))
			if got := strings.Join(card.Culprits, " "); got != c.regressed || !strings.Contains(note(card, "orders")+note(card, "error_rate"), c.note) {
				t.Errorf("%s, culprits %q, want %q: %s\norders: %s\nerrors: %s", card.Verdict, got, c.regressed, card.Reason, note(card, "orders"), note(card, "error_rate"))
			}
		})
	}
}

// What was given is stored with the tick, small, and leads to the same card again: after a restart, and as a record.
func TestTheDaysAreStoredAndRecorded(t *testing.T) {
	s := service(t)
	ticks := observe(t, s, world{0.8, 1, 1, 0.4}.fill(t, 72*time.Hour), nil, 0)
	want := judged(s, ticks)
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "belay.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d := deployment(s)
	if err := db.SaveDeployment(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	for _, tick := range ticks {
		if err := db.AppendTick(t.Context(), d.ID, tick); err != nil {
			t.Fatal(err)
		}
	}
	again, err := db.Ticks(t.Context(), d.ID, -math.MaxFloat64)
	if err != nil || len(again) != len(ticks) {
		t.Fatalf("%d ticks, %v", len(again), err)
	}
	if got := judged(s, again); got.Reason != want.Reason || got.Verdict != want.Verdict || want.Verdict != belay.VerdictRegressed {
		t.Errorf("%s: %s\nwant %s: %s", got.Verdict, got.Reason, want.Verdict, want.Reason)
	}
	var b bytes.Buffer
	p := translate.JudgePolicy(s, d, true)
	w, rec := stream.NewWriter(&b), recording.New(p)
	if err := w.Policy(p); err != nil {
		t.Fatal(err)
	}
	for _, tick := range again {
		for _, one := range rec.Record(stream.Tick{Tick: tick}) {
			if err := w.Tick(one); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := replay.File(replay.Source{Name: "record", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }})
	if err != nil || got.Card.Reason != want.Reason {
		t.Errorf("%v: %s, want %s", err, got.Card.Reason, want.Reason)
	}
}

// What a release showed that was taken back is not usual.
func TestReleasesThatWereTakenBackAreLeftOut(t *testing.T) {
	s := service(t)
	m := world{1, 1, 1, 0}.fill(t, 10*time.Hour)
	ago := func(h float64) time.Time { return start.Add(-time.Duration(h * float64(time.Hour))) }
	ticks := observe(t, s, m, deployments{
		{ID: "a", State: belay.StateRolledBack, CreatedAt: ago(9), EndedAt: ago(8)},
		{ID: "b", State: belay.StateSucceeded, CreatedAt: ago(6), EndedAt: ago(5)},
		{ID: "c", State: belay.StateSuperseded, CreatedAt: ago(4), DetectedAt: ago(3.9), EndedAt: ago(3)},
	}, 0)
	hours := map[int]int{}
	for _, x := range ticks[0].Samples {
		if x.Signal == "error_rate" && x.Instance == belay.AllInstances {
			hours[int(math.Ceil(-x.T/3600))]++
		}
	}
	if hours[9] != 0 || hours[4] != 0 || hours[6] < 59 || hours[8] < 58 {
		t.Errorf("minutes by hour: %v", hours)
	}
}

func TestWhatIsRead(t *testing.T) {
	s := service(t)
	names := func(d belay.Deployment) string {
		var out []string
		for _, x := range days.Specs(s, d) {
			out = append(out, x.Name)
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	d := deployment(s)
	if got := names(d); got != "error_rate orders response_time" {
		t.Errorf("in place: %s", got)
	}
	d.PreviousTargets = []belay.Target{{Address: "old:1"}}
	if got := names(d); got != "" {
		t.Errorf("beside the old release: %s", got)
	}
	s.Signals[slices.IndexFunc(s.Signals, func(x config.Signal) bool { return x.Name == "orders" })].Query = "sum(orders)"
	if got := names(d); got != "orders" {
		t.Errorf("one value for both releases: %s", got)
	}
}

// Two weeks of an embedded store, scraped every minute: how long they take to read, and how much is stored of them.
func BenchmarkTwoWeeks(b *testing.B) {
	s := service(b)
	m := world{1, 1, 1, 0.4}.fill(b, 14*24*time.Hour)
	for b.Loop() {
		d := deployment(s)
		r := days.New(days.Options{Source: m, Own: true, Store: deployments(nil), Log: slog.New(slog.DiscardHandler), Reg: prometheus.NewRegistry()})
		r.Begin(s, d)
		days.Wait(r)
		got := r.Take(d.ID)
		r.Stop()
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if err := json.NewEncoder(z).Encode(got); err != nil {
			b.Fatal(err)
		}
		if err := z.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(got)), "samples")
		b.ReportMetric(float64(packed.Len()), "bytes-stored")
	}
}
