package kpi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
)

// TestScrapedApplication goes all the way: an application instrumented with the usual library, scraped.
func TestScrapedApplication(t *testing.T) {
	reg := prometheus.NewRegistry()
	count := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "h"}, []string{"code", "method", "handler"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds", Help: "h", NativeHistogramBucketFactor: 2, NativeHistogramZeroThreshold: 1e-6}, []string{"handler"})
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "shop_build_info", Help: "h", ConstLabels: prometheus.Labels{"version": "2.0"}})
	build.Set(1)
	reg.MustRegister(count, took, build)
	request := func(code string, seconds float64) {
		count.WithLabelValues(code, "GET", "/cart").Inc()
		took.WithLabelValues("/cart").Observe(seconds)
	}
	request("200", 0.3)
	page := promhttp.InstrumentMetricHandler(reg, promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	scraped := make(chan int64, 100)
	var scrapes atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := scrapes.Add(1)
		if n == 3 {
			request("200", 0.3)
			request("200", 0.4)
			request("500", 3)
		}
		page.ServeHTTP(w, r)
		scraped <- n
	}))
	defer srv.Close()

	s := shop(Spec{Name: ErrorRate}, Spec{Name: ResponseTime})
	s.Candidate.Targets = []belay.Target{{Address: srv.URL + "/metrics"}}
	s.Start = time.Now().Add(-time.Second)
	w := newWorld(t, s)
	w.start, w.subject.Start = s.Start, s.Start
	if err := w.store.SetJobs([]metric.Job{{Name: "shop", Targets: []string{srv.URL + "/metrics"}, Interval: 100 * time.Millisecond}}); err != nil {
		t.Fatal(err)
	}
	for n := range scraped {
		if n == 5 { // the fourth is in the store then
			break
		}
	}
	samples, sources := w.Collect(t.Context(), time.Now())
	w.wantSources(sources, "metrics ok", "scrape of ")
	got := told(samples, ErrorRate)
	if !strings.HasSuffix(got, "candidate "+metric.Instance(srv.URL)+" [GET /cart] 3/1") {
		t.Errorf("got %q, want 3 requests and 1 failure", got)
	}
	// (0.25, 0.5] holds two, (2, 4] one; what was there at the first scrape is not counted.
	if got := told(samples, ResponseTime); !strings.HasSuffix(got, "[/cart] n=3 sum=3.7 0.25:0 0.5:2 2:2 4:3") {
		t.Errorf("got %q", got)
	}
	rel, err := ReleasesReported(t.Context(), w.store, s, time.Now())
	if err != nil || rel[metric.Instance(srv.URL)].Version != "2.0" {
		t.Errorf("got releases %v, %v", rel, err)
	}
	found, err := Discover(t.Context(), w.store, s, time.Now())
	if err != nil || found[0].Metric != "http_requests_total" || found[1].Form != "native histogram" {
		t.Errorf("got %+v, %v", found, err)
	}
}

// BenchmarkTick measures a tick over 1000 series that are scraped every second.
func BenchmarkTick(b *testing.B) {
	w := newWorld(b, shop())
	const instances, routes, codes = 10, 25, 4
	app := func(sec int) {
		var batch []metric.Sample
		for i := range instances {
			in := "new:1"
			if i > 0 {
				in = "new:1" + strings.Repeat("0", i)
			}
			for r := range routes {
				for c := range codes {
					batch = append(batch, metric.Sample{T: w.at(float64(sec)), V: float64(sec * (i + r + c)), Labels: map[string]string{
						"__name__": "http_requests_total", "job": "shop", "instance": in, "path": "/r" + strings.Repeat("x", r), "method": "GET", "status": []string{"200", "201", "404", "500"}[c]}})
				}
			}
		}
		if err := w.store.Append(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
	}
	for sec := range 40 {
		app(sec)
	}
	for i := range instances {
		w.subject.Candidate.Targets = append(w.subject.Candidate.Targets, belay.Target{Address: "new:1" + strings.Repeat("0", i)})
	}
	w.Collector = New(w.store, w.subject)
	w.Collect(context.Background(), w.at(39.5))
	sec := 40
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		app(sec)
		b.StartTimer()
		samples, _ := w.Collect(context.Background(), w.at(float64(sec)+0.5))
		n = len(samples)
		sec++
	}
	b.ReportMetric(float64(n), "samples")
	runtime.KeepAlive(w)
}
