package kpi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay/internal/observe/metric"
)

func TestBadAndTotalOfBothArms(t *testing.T) {
	w := newWorld(t, shop())
	w.put(`http_requests_total{instance="new:1",code="200",method="get",handler="/cart"}`, "1:100 2:110")
	w.put(`http_requests_total{instance="new:1",code="503",method="get",handler="/cart"}`, "1:5 2:7")
	w.put(`http_requests_total{instance="old:1",code="200",method="get",handler="/cart"}`, "1.5:100 2.5:130")
	w.put(`http_requests_total{instance="old:1",code="404",method="post",handler="/pay"}`, "1.5:3 2.5:4")
	w.put(`http_requests_total{instance="else:1",code="500"}`, "1:5 2:70")
	w.put(`http_requests_total{instance="new:1",job="other",code="500"}`, "1:5 2:70")
	if samples, _ := w.tick(1.8); len(samples) != 0 {
		t.Errorf("got %v from one reading of counters", samples)
	}
	w.want(3, ErrorRate, `
		2 candidate new:1 [GET /cart] 12/2
		2.5 baseline old:1 [GET /cart] 30/0
		2.5 baseline old:1 [POST /pay] 1/0`)
}

func TestFirstFailureCounts(t *testing.T) {
	w := newWorld(t, shop())
	w.put(requests, "1:100 2:110 3:120")
	w.tick(2.5)
	// The counter of failures is created by the first failures.
	w.put(failures(), "3:4")
	w.want(3.5, ErrorRate, "3 candidate new:1 14/4")
}

func TestFirstSampleOfAProcess(t *testing.T) {
	t.Run("started after the deployment", func(t *testing.T) {
		w := newWorld(t, shop())
		w.put(requests, "3:40")
		w.put(`process_start_time_seconds{instance="new:1"}`, "3:1")
		samples, _ := w.tick(3.5)
		wantTold(t, samples, ErrorRate, "3 candidate new:1 40/0")
		wantTold(t, samples, Throughput, "3 candidate new:1 =20")
	})
	t.Run("started long before", func(t *testing.T) {
		w := newWorld(t, shop())
		w.put(`http_requests_total{instance="old:1",status="200"}`, "3:4000")
		w.put(`process_start_time_seconds{instance="old:1"}`, "3:-86400")
		w.want(3.5, ErrorRate, "")
	})
	t.Run("after scrapes without it", func(t *testing.T) {
		w := newWorld(t, shop())
		w.put(`up{instance="new:1"}`, "1:0 2:1 3:1")
		w.put(requests, "3:7")
		w.want(3.5, ErrorRate, "3 candidate new:1 7/0")
	})
	t.Run("after failed scrapes only", func(t *testing.T) {
		w := newWorld(t, shop())
		w.put(`up{instance="new:1"}`, "1:0 2:0 3:1")
		w.put(requests, "3:7")
		w.want(3.5, ErrorRate, "")
	})
}

func TestCounterResets(t *testing.T) {
	w := newWorld(t, shop())
	w.put(requests, "1:100 2:110 3:4 4:9")
	w.tick(1.5)
	w.want(2.5, ErrorRate, "2 candidate new:1 10/0")
	w.want(3.5, ErrorRate, "3 candidate new:1 4/0")
	w.want(4.5, ErrorRate, "4 candidate new:1 5/0")
}

func TestRestartThatCountedFurther(t *testing.T) {
	w := newWorld(t, shop())
	w.put(`process_start_time_seconds{instance="new:1"}`, "1:-50 2:-49.9 3:2.5")
	w.put(requests, "1:10 2:20 3:30")
	w.tick(2.5)
	w.want(3.5, ErrorRate, "3 candidate new:1 30/0")
}

func TestMissedScrapesAndLateTicks(t *testing.T) {
	w := newWorld(t, shop())
	w.put(requests, "1:100 2:110")
	w.tick(1.5)
	w.tick(2.5)
	w.want(3.5, ErrorRate, "") // nothing new, and nothing twice
	w.put(requests, "6:170")
	samples, _ := w.tick(6.5)
	wantTold(t, samples, ErrorRate, "6 candidate new:1 60/0")
	wantTold(t, samples, Throughput, "6 candidate new:1 =15")
	// Late: the sample of a scrape before the one that was counted adds nothing.
	w.put(requests, "4:150")
	w.want(7, ErrorRate, "")
	// A long gap in which the series had ended.
	w.put(requests, "127:180")
	w.want(127.5, ErrorRate, "127 candidate new:1 10/0")
}

func TestSamplesThatComeLate(t *testing.T) {
	w := newWorld(t, shop())
	w.put(requests, "1:100")
	w.tick(5) // the server had not taken in the scrapes of seconds 2 to 4 yet
	w.put(requests, "2:101 3:102 4:103")
	w.want(6, ErrorRate, "4 candidate new:1 3/0")
}

// flaky fails as a server does that is away for a while.
type flaky struct {
	metric.Reader
	err error
}

func (f *flaky) Samples(ctx context.Context, sel string, from, to time.Time) ([]metric.Series, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.Reader.Samples(ctx, sel, from, to)
}

func TestACollectorThatTakesOverCountsNothingTwice(t *testing.T) {
	w := newWorld(t, shop())
	w.put(requests, "1:100 2:110 3:120 4:130 5:140 6:150 7:160")
	w.want(3.2, ErrorRate, "3 candidate new:1 20/0")
	w.Collector = New(w.store, w.subject)
	w.Counted(w.at(3.2))
	// It adds up in steps, and the first began before it took over: only what came since is in it.
	w.want(7.5, ErrorRate, `
		4 candidate new:1 10/0
		7 candidate new:1 30/0`)
	w.put(requests, "8:170")
	w.want(8.5, ErrorRate, "8 candidate new:1 10/0")
}

func TestServerAway(t *testing.T) {
	w := newWorld(t, shop())
	r := &flaky{Reader: w.store}
	w.reader = r
	w.put(`up{instance="new:1"}`, "1:1 2:1 90:1")
	w.put(requests, "1:100 2:110 90:500")
	w.tick(2.5)
	r.err = errors.New("ask metrics server x: connection refused")
	samples, sources := w.tick(60)
	if len(samples) != 0 {
		t.Errorf("got %v without a server", samples)
	}
	w.wantSources(sources, "metrics not ok: ask metrics server x: connection refused")
	r.err = nil
	samples, sources = w.tick(90.5)
	wantTold(t, samples, ErrorRate, "90 candidate new:1 390/0")
	w.wantSources(sources, "metrics ok", "scrape of new:1 ok")
}

func TestHistoryIsOfTheBaseline(t *testing.T) {
	w := newWorld(t, shop())
	w.put(`http_requests_total{instance="old:1",status="200"}`, "-60:100 -45:115 -30:130 -15:145 1:150 2:160")
	w.put(`http_requests_total{instance="old:1",status="500"}`, "-30:1 -15:1 1:1 2:1")
	w.put(requests, "-60:100 -30:900 1:950 2:960")
	w.want(2.5, ErrorRate, `
		-45 baseline old:1 15/0
		-30 baseline old:1 16/1
		-15 baseline old:1 15/0
		2 baseline old:1 15/0
		2 candidate new:1 10/0`)
}

// failing answers until a moment, then not any more.
type failing struct {
	metric.Reader
	after time.Time
}

func (f *failing) Samples(ctx context.Context, sel string, from, to time.Time) ([]metric.Series, error) {
	if to.After(f.after) {
		return nil, errors.New("away")
	}
	return f.Reader.Samples(ctx, sel, from, to)
}

func TestHistoryThatIsReadInTwoGoes(t *testing.T) {
	w := newWorld(t, shop())
	w.put(`http_requests_total{instance="old:1",status="200"}`, "-1200:100 -1190:115 -310:130 -290:145 1:150")
	r := &failing{Reader: w.store, after: w.at(-300)}
	w.reader = r
	w.want(1.5, ErrorRate, "")
	r.after = w.at(99)
	w.want(2.5, ErrorRate, `
		-1190 baseline old:1 15/0
		-310 baseline old:1 15/0
		-290 baseline old:1 15/0
		1 baseline old:1 5/0`)
}

func TestStrataAreCapped(t *testing.T) {
	w := newWorld(t, shop())
	for i := range 50 {
		w.put(fmt.Sprintf(`http_requests_total{instance="new:1",status="200",path="/item/%02d"}`, i), fmt.Sprintf("1:0 2:%d", i+1))
	}
	w.tick(1.5)
	samples, _ := w.tick(2.5)
	var n float64
	other := 0.0
	for _, s := range samples {
		if s.Signal == ErrorRate {
			n += s.N
			if s.Stratum == "other" {
				other = s.N
			}
		}
	}
	if n != 1275 || other != 20*21/2 {
		t.Errorf("got %v requests, %v of them other; want 1275 and the 20 rarest routes, 210", n, other)
	}
	if got := strings.Count(told(samples, ErrorRate), "\n") + 1; got != 31 {
		t.Errorf("got %d strata, want 31", got)
	}
}

func TestProbesAreNotCounted(t *testing.T) {
	w := newWorld(t, shop())
	for _, path := range []string{"/metrics", "/healthz", "/-/ready", "/actuator/prometheus", "/api/health"} {
		w.put(`http_requests_total{instance="new:1",status="200",path="`+path+`"}`, "1:0 2:50")
	}
	w.put(`http_requests_total{instance="new:1",status="200",path="/healthy-food"}`, "1:0 2:3")
	w.put(`promhttp_metric_handler_requests_total{instance="new:1",code="200"}`, "1:0 2:50")
	w.tick(1.5)
	w.want(2.5, ErrorRate, "2 candidate new:1 [/healthy-food] 3/0")
}

func TestOneConventionPerInstance(t *testing.T) {
	w := newWorld(t, shop())
	// An application that counts the same requests by two libraries; the old release had one only.
	w.put(`http_requests_total{instance="new:1",status="200"}`, "1:0 2:10")
	w.put(`http_server_request_duration_seconds_count{instance="new:1",http_response_status_code="200"}`, "1:0 2:10")
	w.put(`http_server_request_duration_seconds_count{instance="old:1",http_response_status_code="500"}`, "1:0 2:4")
	w.tick(1.5)
	w.want(2.5, ErrorRate, "2 baseline old:1 4/4\n2 candidate new:1 10/0")
}

func TestConventions(t *testing.T) {
	for series, want := range map[string]string{
		`http_requests_total{status="500"}`:                                                                                     "9/9",
		`http_requests_total{code="5xx"}`:                                                                                       "9/9",
		`http_requests_total{http_status="404"}`:                                                                                "9/0",
		`flask_http_request_total{status="502",method="GET"}`:                                                                   "[GET] 9/9",
		`http_server_requests_seconds_count{status="500",uri="/a",method="GET",outcome="SERVER_ERROR"}`:                         "[GET /a] 9/9",
		`http_server_requests_seconds_count{outcome="SERVER_ERROR"}`:                                                            "9/9",
		`starlette_requests_total{status_code="500",path_template="/a"}`:                                                        "[/a] 9/9",
		`http_request_duration_seconds_count{status_code="500",route="/a",method="GET"}`:                                        "[GET /a] 9/9",
		`http_server_request_duration_seconds_count{http_response_status_code="500",http_route="/a",http_request_method="GET"}`: "[GET /a] 9/9",
		`flask_http_request_duration_seconds_count{status="500",path="/a"}`:                                                     "[/a] 9/9",
		`http_server_duration_milliseconds_count{http_status_code="500"}`:                                                       "9/9",
	} {
		w := newWorld(t, shop())
		w.put(strings.Replace(series, "{", `{instance="new:1",`, 1), "1:1 2:10")
		w.tick(1.5)
		samples, _ := w.tick(2.5)
		if got := told(samples, ErrorRate); got != "2 candidate new:1 "+want {
			t.Errorf("%s: got %q, want %q", series, got, want)
		}
	}
	w := newWorld(t, shop())
	w.put(`http_requests_total{instance="new:1",method="GET"}`, "1:1 2:10")
	w.tick(1.5)
	samples, _ := w.tick(2.5)
	wantTold(t, samples, ErrorRate, "")
	wantTold(t, samples, Throughput, "2 candidate new:1 =9")
}

func TestOverrides(t *testing.T) {
	w := newWorld(t, shop(
		Spec{Name: "api_errors", Builtin: ErrorRate, Requests: "prometheus_http_requests_total", BadStatus: "4..|5.."},
		Spec{Name: ResponseTime, Duration: "prometheus_http_request_duration_seconds"},
	))
	w.put(`prometheus_http_requests_total{instance="new:1",code="400",handler="/api/v1/query"}`, "1:1 2:10")
	w.put(`prometheus_http_requests_total{instance="new:1",code="200",handler="/metrics"}`, "1:1 2:10")
	w.put(`prometheus_http_request_duration_seconds_bucket{instance="new:1",handler="/api/v1/query",le="0.1"}`, "1:1 2:4")
	w.put(`prometheus_http_request_duration_seconds_bucket{instance="new:1",handler="/api/v1/query",le="+Inf"}`, "1:1 2:10")
	w.put(`prometheus_http_request_duration_seconds_count{instance="new:1",handler="/api/v1/query"}`, "1:1 2:10")
	w.put(`prometheus_http_request_duration_seconds_sum{instance="new:1",handler="/api/v1/query"}`, "1:1 2:3")
	w.tick(1.5)
	samples, _ := w.tick(2.5)
	wantTold(t, samples, "api_errors", "2 candidate new:1 [/api/v1/query] 9/9")
	wantTold(t, samples, ResponseTime, "2 candidate new:1 [/api/v1/query] n=9 sum=2 0.1:3")
}

func TestResponseTimes(t *testing.T) {
	w := newWorld(t, shop())
	put := func(name, le, points string) {
		if le != "" {
			le = `,le="` + le + `"`
		}
		w.put(`http_server_duration_milliseconds_`+name+`{instance="new:1"`+le+`}`, points)
	}
	put("bucket", "1000", "1:2 2:9 3:5")
	put("bucket", "100", "1:1 2:6 3:1")
	put("bucket", "+Inf", "1:3 2:11 3:6")
	put("count", "", "1:3 2:11 3:6")
	put("sum", "", "1:1000 2:3000 3:2000")
	w.tick(1.5)
	w.want(2.5, ResponseTime, "2 candidate new:1 n=8 sum=2 0.1:5 1:7")
	w.want(3.5, ResponseTime, "3 candidate new:1 n=6 sum=2 0.1:1 1:5") // another process
}

func TestCPUAndMemory(t *testing.T) {
	w := newWorld(t, shop())
	w.put(`process_cpu_seconds_total{instance="new:1"}`, "1:10 2:10.5 3:0.25")
	w.put(`process_resident_memory_bytes{instance="new:1"}`, "1:1e6 2:2e6 3:3e6")
	w.tick(1.5)
	samples, _ := w.tick(2.5)
	wantTold(t, samples, CPUUsage, "2 candidate new:1 =0.5")
	wantTold(t, samples, MemoryUsage, "2 candidate new:1 =2e+06")
	samples, _ = w.tick(2.8)
	wantTold(t, samples, MemoryUsage, "") // nothing new
	w.want(3.5, CPUUsage, "3 candidate new:1 =0.25")
}
