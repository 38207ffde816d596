package past_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
	"github.com/belaydev/belay/internal/observe/metric/past"
)

// start is a recent moment: the database refuses samples that are older than its retention.
var start = time.Now().Truncate(time.Minute)

func subject(signals ...kpi.Spec) kpi.Subject {
	return kpi.Subject{Ref: belay.Ref{Service: "shop", Environment: "test"}, Start: start, Selector: map[string]string{"job": "shop"}, Signals: signals}
}

func usual() []kpi.Spec {
	return []kpi.Spec{{Name: kpi.ErrorRate}, {Name: kpi.ResponseTime}, {Name: kpi.Throughput}, {Name: kpi.CPUUsage}, {Name: kpi.MemoryUsage},
		{Name: "orders", Query: `sum(orders{$selector})`}}
}

func open(t testing.TB) *metric.Store {
	t.Helper()
	s, err := metric.Open(metric.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// fill writes what two instances show, scraped every so often, in the time before the deployment: 10 requests/s each, one
// in a hundred bad, 200 ms each.
func fill(t testing.TB, s *metric.Store, reach, every time.Duration, skip func(at time.Time) bool) {
	t.Helper()
	n := 0.0
	for at := start.Add(-reach); !at.After(start); at = at.Add(every) {
		n += 10 * every.Seconds()
		if skip != nil && skip(at) {
			continue
		}
		var rows []metric.Sample
		for _, in := range []string{"a:1", "b:1"} {
			add := func(name string, v float64, more ...string) {
				l := map[string]string{"__name__": name, "job": "shop", "instance": in}
				for i := 0; i+1 < len(more); i += 2 {
					l[more[i]] = more[i+1]
				}
				rows = append(rows, metric.Sample{Labels: l, T: at, V: v})
			}
			add("up", 1)
			add("http_requests_total", math.Floor(n*0.99), "status", "200", "path", "/cart")
			add("http_requests_total", math.Floor(n*0.01), "status", "503", "path", "/cart")
			add("http_requests_total", n, "status", "503", "path", "/healthz")
			add("http_request_duration_seconds_count", n)
			add("http_request_duration_seconds_sum", n*0.2)
			add("process_cpu_seconds_total", n/20)
			add("process_resident_memory_bytes", 5e7)
			add("orders", 7)
		}
		if err := s.Append(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
}

func of(samples []belay.Sample, signal string) []belay.Sample {
	return slices.DeleteFunc(slices.Clone(samples), func(m belay.Sample) bool { return m.Signal != signal })
}

// wantUsual checks the past of each signal against what fill wrote.
func wantUsual(t *testing.T, h past.History, minutes int) {
	t.Helper()
	if h.Failed != nil {
		t.Fatal(h.Failed)
	}
	for signal, ok := range map[string]func(m belay.Sample) bool{
		kpi.ErrorRate:    func(m belay.Sample) bool { return math.Abs(m.N-1200) < 5 && math.Abs(m.X-12) < 3 },
		kpi.ResponseTime: func(m belay.Sample) bool { return m.N == 1200 && math.Abs(m.Sum-240) < 0.001 && m.LE == nil },
		kpi.Throughput:   func(m belay.Sample) bool { return math.Abs(m.Value-10) < 0.1 },
		kpi.CPUUsage:     func(m belay.Sample) bool { return math.Abs(m.Value-0.5) < 0.001 },
		kpi.MemoryUsage:  func(m belay.Sample) bool { return m.Value == 5e7 },
		"orders":         func(m belay.Sample) bool { return m.Value == 14 },
	} {
		found := of(h.Samples, signal)
		if len(found) < minutes-3 || len(found) > minutes+1 {
			t.Errorf("%s: %d samples, want about %d", signal, len(found), minutes)
			continue
		}
		if last := found[len(found)-1].T; last != -past.Near.Seconds() {
			t.Errorf("%s ends at %g", signal, last)
		}
		for i, m := range found {
			if !ok(m) || m.Instance != belay.AllInstances || m.Arm != belay.ArmBaseline || i > 0 && m.T <= found[i-1].T {
				t.Errorf("%s, sample %d: %+v", signal, i, m)
				break
			}
		}
	}
}

func TestThreeDaysOfTheEmbeddedStore(t *testing.T) {
	s := open(t)
	fill(t, s, 3*24*time.Hour, time.Minute/2, nil)
	h := past.Read(t.Context(), past.Options{Source: s, Subject: subject(usual()...)})
	wantUsual(t, h, 3*24*60-30)
}

// A time without scrapes is a gap, not a time without requests, and the first scrape after it does not bring all at once. A
// release that was taken back is no part of what is usual.
func TestGapsAreLeftOut(t *testing.T) {
	s := open(t)
	down := func(at time.Time) bool {
		ago := start.Sub(at)
		return ago > 3*time.Hour && ago < 4*time.Hour
	}
	fill(t, s, 8*time.Hour, time.Minute/2, down)
	bad := past.Span{From: start.Add(-6 * time.Hour), To: start.Add(-5 * time.Hour)}
	h := past.Read(t.Context(), past.Options{Source: s, Subject: subject(usual()...), Skip: []past.Span{bad}})
	for _, signal := range []string{kpi.ErrorRate, kpi.Throughput} {
		found := of(h.Samples, signal)
		if n := len(found); n < 5*60+20 || n > 5*60+32 {
			t.Errorf("%s: %d minutes", signal, n)
		}
		for _, m := range found {
			ago := time.Duration(-m.T * float64(time.Second))
			switch {
			case ago > 5*time.Hour && ago <= 6*time.Hour:
				t.Errorf("%s of the release that was taken back: %+v", signal, m)
			case ago > 3*time.Hour+time.Minute && ago < 4*time.Hour-3*time.Minute:
				t.Errorf("%s while nothing was scraped: %+v", signal, m)
			case m.N > 1300 || m.Value > 11:
				t.Errorf("%s: the gap at once: %+v", signal, m)
			}
		}
	}
}

// A process that begins anew takes nothing away, and the first failure counts though its series is new.
func TestRestartsAndFirstFailures(t *testing.T) {
	s := open(t)
	for i := -120; i <= 0; i++ {
		n := 1000 + 60*float64(i+120)
		if i > -60 {
			n = 60 * float64(i+60)
		}
		l := func(name string, more ...string) map[string]string {
			m := map[string]string{"__name__": name, "job": "shop", "instance": "a:1"}
			if len(more) > 0 {
				m["status"] = more[0]
			}
			return m
		}
		at := start.Add(time.Duration(i) * time.Minute)
		rows := []metric.Sample{{Labels: l("up"), T: at, V: 1}, {Labels: l("http_requests_total", "200"), T: at, V: n}}
		if i > -90 {
			rows = append(rows, metric.Sample{Labels: l("http_requests_total", "500"), T: at, V: 3})
		}
		if err := s.Append(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	h := past.Read(t.Context(), past.Options{Source: s, Subject: subject(kpi.Spec{Name: kpi.ErrorRate})})
	n, x := 0.0, 0.0
	for _, m := range h.Samples {
		n, x = n+m.N, x+m.X
	}
	// 89 minutes up to half an hour before the deployment, less that of the restart.
	if h.Failed != nil || x != 3 || n < 60*87+3 || n > 60*89+3 {
		t.Errorf("%g of %g, %v", x, n, h.Failed)
	}
}

// server answers range queries out of a store, as a Prometheus-compatible server does, and refuses more than so many steps.
func server(t *testing.T, s *metric.Store, most int, asked *int) *metric.Remote {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked++
		num := func(name string) float64 { v, _ := strconv.ParseFloat(r.PostFormValue(name), 64); return v }
		if r.URL.Path != "/api/v1/query_range" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if (num("end")-num("start"))/num("step") > float64(most) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"status":"error","errorType":"bad_data","error":"exceeded maximum resolution of 11,000 points per timeseries"}`)
			return
		}
		at := func(v float64) time.Time { return time.UnixMilli(int64(v*1000 + 0.5)) }
		found, err := s.Range(r.Context(), r.PostFormValue("query"), at(num("start")), at(num("end")), time.Duration(num("step")*float64(time.Second)))
		if err != nil {
			t.Error(err)
		}
		type element struct {
			Metric map[string]string `json:"metric"`
			Values [][2]any          `json:"values"`
		}
		all := []element{}
		for _, f := range found {
			e := element{Metric: f.Labels}
			for _, p := range f.Points {
				e.Values = append(e.Values, [2]any{float64(p.T.UnixMilli()) / 1000, strconv.FormatFloat(p.V, 'g', -1, 64)})
			}
			all = append(all, e)
		}
		body, _ := json.Marshal(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": all}})
		w.Header().Set("Content-Type", "application/json")
		w.Write(body)
	}))
	t.Cleanup(srv.Close)
	remote, err := metric.NewRemote(metric.RemoteOptions{URL: srv.URL, Client: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return remote
}

// A remote server gives the same, also when it takes less at once; and when it takes nothing useful at all that is said.
func TestRemoteServers(t *testing.T) {
	s := open(t)
	fill(t, s, 30*time.Hour, time.Minute, nil)
	want := past.Read(t.Context(), past.Options{Source: s, Subject: subject(usual()...)})
	for _, most := range []int{11000, 500} {
		asked := 0
		h := past.Read(t.Context(), past.Options{Source: server(t, s, most, &asked), Subject: subject(usual()...)})
		wantUsual(t, h, 30*60-30)
		if !slices.EqualFunc(h.Samples, want.Samples, func(a, b belay.Sample) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			t.Errorf("%d steps at once: not what the embedded store gives", most)
		}
		if most == 11000 && asked > 1+7*9 {
			t.Errorf("%d questions", asked)
		}
	}
	asked := 0
	h := past.Read(t.Context(), past.Options{Source: server(t, s, 100, &asked), Subject: subject(usual()...)})
	if len(h.Samples) > 0 || h.Failed == nil || !strings.Contains(h.Failed.Error(), "maximum resolution") {
		t.Errorf("%d samples, %v", len(h.Samples), h.Failed)
	}
}

// failing answers until it has answered so often.
type failing struct {
	*metric.Store
	left int
}

func (f *failing) Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) ([]metric.Series, error) {
	if f.left--; f.left < 0 {
		return nil, errors.New("gone")
	}
	return f.Store.Range(ctx, expr, from, to, step)
}

// What was read before a failure is the newest, and is kept.
func TestAFailureKeepsTheNewest(t *testing.T) {
	s := open(t)
	fill(t, s, 3*24*time.Hour, time.Minute, nil)
	h := past.Read(t.Context(), past.Options{Source: &failing{s, 4}, Subject: subject(kpi.Spec{Name: kpi.ErrorRate})})
	if n := len(h.Samples); n != 2*24*60 || h.Failed == nil || h.Samples[n-1].T != -past.Near.Seconds() {
		t.Errorf("%d samples, %v", n, h.Failed)
	}
}

// However many signals there are, what is read is bounded: the newest days of all.
func TestManySignals(t *testing.T) {
	s := open(t)
	if err := s.Append(t.Context(), []metric.Sample{{Labels: map[string]string{"__name__": "up", "job": "shop", "instance": "a:1"}, T: start.Add(-time.Hour), V: 1}}); err != nil {
		t.Fatal(err)
	}
	var signals []kpi.Spec
	for i := range 56 {
		signals = append(signals, kpi.Spec{Name: fmt.Sprint(i), Query: "vector(1)"})
	}
	h := past.Read(t.Context(), past.Options{Source: s, Subject: subject(signals...)})
	if n := len(h.Samples); h.Failed != nil || n != 56*(24*60-30) || h.Samples[n-1].T != -past.Near.Seconds() {
		t.Errorf("%d samples, %v", n, h.Failed)
	}
}
