package metric

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/belaydev/belay"
)

var (
	_ Reader = (*Store)(nil)
	_ Reader = (*Remote)(nil)
)

// t0 is a recent moment: the database refuses samples that are older than its retention.
var t0 = time.Now().Truncate(time.Hour)

func sec(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }

func open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(Options{Dir: t.TempDir()})
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

type row struct {
	l string
	t float64
	v float64
	h *histogram.Histogram
	f *histogram.FloatHistogram
}

func load(t testing.TB, s *Store, rows ...row) {
	t.Helper()
	app := s.db.AppenderV2(t.Context())
	for _, r := range rows {
		ms, err := matchers(r.l)
		if err != nil {
			t.Fatal(err)
		}
		b := labels.NewScratchBuilder(4)
		for _, m := range ms {
			b.Add(m.Name, m.Value)
		}
		b.Sort()
		if _, err := app.Append(0, b.Labels(), 0, sec(r.t).UnixMilli(), r.v, r.h, r.f, storage.AppendV2Options{}); err != nil {
			t.Fatalf("append %s at %v: %v", r.l, r.t, err)
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

// api serves the store as a Prometheus server does: the engine's own values in the engine's own JSON.
func api(s *Store) http.HandlerFunc {
	type data struct {
		ResultType string `json:"resultType"`
		Result     any    `json:"result"`
	}
	send := func(w http.ResponseWriter, code int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		if err := json.NewEncoder(w).Encode(v); err != nil {
			panic(err)
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/prom/api/v1/query" || r.Method != http.MethodPost {
			http.NotFound(w, r)
			return
		}
		at := time.Now()
		if v := r.FormValue("time"); v != "" {
			f, err := strconv.ParseFloat(v, 64)
			if err != nil {
				panic(err)
			}
			at = time.UnixMilli(int64(math.Round(f * 1000)))
		}
		refuse := func(err error) {
			send(w, http.StatusBadRequest, map[string]string{"status": "error", "errorType": "bad_data", "error": err.Error()})
		}
		q, err := s.engine.NewInstantQuery(r.Context(), s.db, promql.NewPrometheusQueryOpts(false, 0, nil), r.FormValue("query"), at)
		if err != nil {
			refuse(err)
			return
		}
		defer q.Close()
		res := q.Exec(r.Context())
		if res.Err != nil {
			refuse(res.Err)
			return
		}
		send(w, http.StatusOK, map[string]any{"status": "success", "data": data{string(res.Value.Type()), res.Value}})
	}
}

// both runs a test against the store and against a server that serves it.
func both(t *testing.T, s *Store, f func(t *testing.T, r Reader)) {
	t.Helper()
	t.Run("store", func(t *testing.T) { f(t, s) })
	srv := httptest.NewServer(api(s))
	t.Cleanup(srv.Close)
	r, err := NewRemote(RemoteOptions{URL: srv.URL + "/prom/"})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("remote", func(t *testing.T) { f(t, r) })
}

func stale() float64 { return math.Float64frombits(value.StaleNaN) }

func native(n int64) *histogram.Histogram {
	return &histogram.Histogram{
		Schema: 0, ZeroThreshold: 1e-128, ZeroCount: 1, Count: uint64(3*n + 1), Sum: 5 * float64(n),
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}, {Offset: 2, Length: 1}}, PositiveBuckets: []int64{n, 0, 0},
	}
}

func samples(t *testing.T, r Reader, sel string, from, to float64) []Series {
	t.Helper()
	s, err := r.Samples(t.Context(), sel, sec(from), sec(to))
	if err != nil {
		t.Fatalf("Samples(%s): %v", sel, err)
	}
	return s
}

func values(s Series) (out [][2]float64) {
	for _, p := range s.Points {
		out = append(out, [2]float64{p.T.Sub(t0).Seconds(), p.V})
	}
	return out
}

func wantCode(t *testing.T, err error, code belay.Code, text string) {
	t.Helper()
	if belay.CodeOf(err) != code {
		t.Fatalf("got error %v (code %q), want code %q", err, belay.CodeOf(err), code)
	}
	if !contains(err.Error(), text) {
		t.Fatalf("error %q does not say %q", err, text)
	}
}
