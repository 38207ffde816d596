package metric

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/belaydev/belay"
)

// app is a target that tells of each scrape it answered.
type app struct {
	*httptest.Server
	scraped chan *http.Request
}

func newApp(t *testing.T, h http.Handler) *app {
	a := &app{scraped: make(chan *http.Request, 1000)}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		a.scraped <- r
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *app) host() string { return strings.TrimPrefix(a.URL, "http://") }

// await waits for n scrapes: all but the last of them are in the store then, since a loop scrapes in sequence.
func (a *app) await(t *testing.T, n int) *http.Request {
	t.Helper()
	var r *http.Request
	for range n {
		select {
		case r = <-a.scraped:
		case <-time.After(10 * time.Second):
			t.Fatal("no scrape within 10 s")
		}
	}
	return r
}

func instrumented() (http.Handler, *prometheus.CounterVec, *prometheus.HistogramVec) {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "h"}, []string{"code"})
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds", Help: "h", NativeHistogramBucketFactor: 1.1}, []string{"path"})
	reg.MustRegister(c, h)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{}), c, h
}

func status(s *Store, instance string) TargetStatus {
	for _, st := range s.Targets() {
		if st.Instance == instance {
			return st
		}
	}
	return TargetStatus{}
}

func last(t *testing.T, r Reader, sel string) []Series {
	t.Helper()
	s, err := r.Samples(t.Context(), sel, time.Now().Add(-time.Minute), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScrape(t *testing.T) {
	t.Parallel()
	s := open(t)
	h, c, hist := instrumented()
	c.WithLabelValues("200").Add(3)
	hist.WithLabelValues("/cart").Observe(0.2)
	a := newApp(t, h)
	if err := s.SetJobs([]Job{{Name: "shop", Targets: []string{a.host() + "/m?x=1"}, Interval: 100 * time.Millisecond, Labels: map[string]string{"env": "test"}, BearerToken: "t0k"}}); err != nil {
		t.Fatal(err)
	}
	if st := status(s, a.host()); st.Job != "shop" || st.URL != a.URL+"/m?x=1" {
		t.Errorf("got %+v before the first scrape", st)
	}
	r := a.await(t, 3)
	if r.URL.RequestURI() != "/m?x=1" || r.Header.Get("Authorization") != "Bearer t0k" {
		t.Errorf("scraped %s with %v", r.URL, r.Header)
	}
	got := last(t, s, `http_requests_total{job="shop",env="test"}`)
	if len(got) != 1 || got[0].Labels["instance"] != a.host() || got[0].Points[0].V != 3 || len(got[0].Points) < 2 {
		t.Errorf("got %v", got)
	}
	got = last(t, s, `http_request_duration_seconds`)
	if len(got) != 1 || got[0].Points[0].H == nil || got[0].Points[0].H.N != 1 || got[0].Points[0].H.At(0.3) != 1 {
		t.Errorf("native histogram: got %v", got)
	}
	if st := status(s, a.host()); st.Health != TargetUp || st.LastError != "" || st.LastScrape.IsZero() || st.Duration <= 0 {
		t.Errorf("got %+v, want the target up", st)
	}
}

func TestScrapeFailures(t *testing.T) {
	t.Parallel()
	s, err := Open(Options{Dir: t.TempDir(), BodyLimit: 4096, SampleLimit: 5, LabelLimit: 6})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	text := func(body string) *app {
		return newApp(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if body == "" {
				w.WriteHeader(http.StatusInternalServerError)
			}
			if _, err := w.Write([]byte(body)); err != nil {
				t.Log(err)
			}
		}))
	}
	cases := []struct {
		app  *app
		text string
	}{
		{text(""), "500"},
		{text("this is no metrics page\n"), "invalid syntax"},
		{text("a 1\n" + strings.Repeat("# padding\n", 500)), "body size limit"},
		{text("a 1\nb 1\nc 1\nd 1\ne 1\nf 1\n"), "sample limit"},
		{text(`a{a="1",b="2",c="3",d="4",e="5",f="6"} 1` + "\n"), "label_limit"},
		{text(`a{long="` + strings.Repeat("x", 4097) + `"} 1`), "body size"},
	}
	var targets []string
	for _, c := range cases {
		targets = append(targets, c.app.host())
	}
	// The metadata service of clouds must not be read, whoever names it.
	targets = append(targets, "169.254.169.254:80")
	if err := s.SetJobs([]Job{{Name: "shop", Targets: targets, Interval: 100 * time.Millisecond}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		c.app.await(t, 2)
		if st := status(s, c.app.host()); st.Health != TargetDown || !strings.Contains(st.LastError, c.text) {
			t.Errorf("got %s: %q, want it down with %q", st.Health, st.LastError, c.text)
		}
		if got := last(t, s, `up{instance="`+c.app.host()+`"}`); len(got) != 1 || got[0].Points[0].V != 0 {
			t.Errorf("up: got %v, want 0", got)
		}
	}
	if st := status(s, "169.254.169.254:80"); st.Health != TargetDown || !strings.Contains(st.LastError, "link-local") {
		t.Errorf("got %s: %q, want the metadata service refused", st.Health, st.LastError)
	}
}

func TestSetJobsKeepsWhatIsUnchanged(t *testing.T) {
	t.Parallel()
	s := open(t)
	h, _, _ := instrumented()
	a, b := newApp(t, h), newApp(t, h)
	job := Job{Name: "shop", Targets: []string{a.host()}, Interval: 100 * time.Millisecond}
	set := func(jobs ...Job) {
		t.Helper()
		if err := s.SetJobs(jobs); err != nil {
			t.Fatal(err)
		}
	}
	set(job)
	a.await(t, 2)
	// A new target and a new job beside it, then another interval, then the new ones leave again.
	with := job
	with.Targets = []string{a.host(), b.host()}
	set(with, Job{Name: "other", Targets: []string{b.host()}, Interval: time.Second})
	b.await(t, 3)
	faster := job
	faster.Interval = 50 * time.Millisecond
	set(faster)
	for len(a.scraped) > 0 {
		<-a.scraped
	}
	a.await(t, 8)
	if n := len(s.Targets()); n != 1 {
		t.Errorf("got %d targets, want one", n)
	}
	up := last(t, s, `up{instance="`+a.host()+`"}`)
	if len(up) != 1 {
		t.Fatalf("got %d series of the kept target, want one and the same", len(up))
	}
	for _, p := range up[0].Points {
		if p.V != 1 {
			t.Errorf("a scrape failed at %v", p.T)
		}
	}
	if got, err := s.Eval(t.Context(), `up{job="other"}`, time.Now().Add(4*time.Second)); err != nil || len(got) > 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWrongJobsChangeNothing(t *testing.T) {
	s := open(t)
	if err := s.SetJobs([]Job{{Name: "shop", Targets: []string{"127.0.0.1:1"}}}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		job  Job
		text string
	}{
		"no name":      {Job{}, "no name"},
		"no port":      {Job{Name: "a", Targets: []string{"localhost"}}, "names no port"},
		"wrong port":   {Job{Name: "a", Targets: []string{"localhost:99999"}}, "99999"},
		"wrong scheme": {Job{Name: "a", Targets: []string{"ftp://x:1"}}, "ftp"},
		"no host":      {Job{Name: "a", Targets: []string{":80"}}, "no host"},
		"password":     {Job{Name: "a", Targets: []string{"http://u:p@x/"}}, "credentials"},
		"label":        {Job{Name: "a", Labels: map[string]string{"instance": "x"}}, "label"},
		"interval":     {Job{Name: "a", Interval: time.Millisecond}, "least is 10ms"},
		"twice":        {Job{Name: "shop"}, "two jobs"},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, s.SetJobs([]Job{{Name: "shop"}, c.job}), belay.CodeInvalid, c.text)
		})
	}
	if ts := s.Targets(); len(ts) != 1 || ts[0].Instance != "127.0.0.1:1" {
		t.Errorf("got targets %v, want the first still", ts)
	}
}

func TestInstance(t *testing.T) {
	for target, want := range map[string]string{
		"10.0.0.1:80": "10.0.0.1:80", "http://10.0.0.1:80/m": "10.0.0.1:80", "https://shop/metrics": "shop", "h:1/m?x=1": "h:1", "[::1]:80": "[::1]:80", "http://[::1]:80": "[::1]:80",
	} {
		if got := Instance(target); got != want {
			t.Errorf("Instance(%q) = %q, want %q", target, got, want)
		}
	}
}

func TestStoreIsOpenedOnce(t *testing.T) {
	dir := t.TempDir()
	a, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(Options{Dir: dir})
	wantCode(t, err, belay.CodeConflict, "another process")
	if err := a.Append(t.Context(), []Sample{{Labels: map[string]string{"__name__": "a"}, T: t0, V: 4}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, a.Ready(t.Context()), belay.CodeUnavailable, "closed")
	if _, err := a.Eval(t.Context(), "a", t0); belay.CodeOf(err) != belay.CodeUnavailable {
		t.Errorf("a closed store answered %v", err)
	}
	b, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := samples(t, b, "a", -1, 1); len(got) != 1 || got[0].Points[0].V != 4 {
		t.Errorf("after reopening: got %v", got)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{}); belay.CodeOf(err) != belay.CodeInvalid {
		t.Errorf("got %v, want a store without a folder refused", err)
	}
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	h, _, _ := instrumented()
	before := runtime.NumGoroutine()
	a := newApp(t, h)
	for range 3 {
		s, err := Open(Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetJobs([]Job{{Name: "a", Targets: []string{a.host()}, Interval: 100 * time.Millisecond}}); err != nil {
			t.Fatal(err)
		}
		a.await(t, 2)
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// A connection that was being opened while the engine closed its idle ones lives on until it idles out.
	a.Close()
	deadline := time.After(5 * time.Second)
	for runtime.NumGoroutine() > before {
		select {
		case <-deadline:
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
		default:
			runtime.Gosched()
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		s, err := Open(Options{Dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		var m, n runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		if err := s.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&n)
		b.ReportMetric(float64(m.HeapAlloc-n.HeapAlloc)/1e6, "idle-MB")
		b.StartTimer()
	}
}
