package kpi

import (
	"math"
	"strings"
	"testing"

	"github.com/belaydev/belay"
)

func TestSources(t *testing.T) {
	s := shop()
	s.Candidate.Targets = []belay.Target{{Address: "a:1"}, {Address: "b:1"}}
	w := newWorld(t, s)
	_, sources := w.tick(1)
	w.wantSources(sources, "metrics ok") // a new target is given time
	_, sources = w.tick(20)
	w.wantSources(sources, `metrics not ok: no series of the new release was collected in the last 15s (instances [a:1 b:1])`)
	w.put(`up{instance="a:1"}`, "28:1 29:1 30:1")
	w.put(`up{instance="b:1"}`, "28:1 29:0 30:0")
	_, sources = w.tick(30.5)
	w.wantSources(sources, "metrics ok", "scrape of a:1 ok", "scrape of b:1 not ok: target is down since ")
	_, sources = w.tick(39)
	w.wantSources(sources, "metrics ok", "scrape of a:1 ok", "scrape of b:1 not ok")
	w.put(`up{instance="a:1"}`, "45:1")
	_, sources = w.tick(46)
	w.wantSources(sources, "metrics ok", "scrape of a:1 ok", "scrape of b:1 not ok: nobody scraped it in the last 10s")
	_, sources = w.tick(100)
	w.wantSources(sources, "metrics not ok")
}

func TestDownIsNotBlind(t *testing.T) {
	w := newWorld(t, shop())
	w.put(`up{instance="new:1"}`, "1:0 2:0")
	w.tick(2)
	_, sources := w.tick(30)
	w.wantSources(sources, "metrics not ok") // nobody scraped it for 28 s
	w.put(`up{instance="new:1"}`, "29:0 30:0")
	_, sources = w.tick(30.5)
	w.wantSources(sources, "metrics ok", "scrape of new:1 not ok: target is down")
}

func TestWorkersBehindOneAddress(t *testing.T) {
	w := newWorld(t, shop())
	w.put(`up{instance="new:1"}`, "1:1 2:1 3:1 4:1 5:1 6:1 7:1 8:1 9:1 10:1 11:1 12:1")
	w.put(requests, "1:500 2:900 3:501 4:905 5:502 6:912 7:504 8:914 9:509 10:915 11:510 12:920")
	w.tick(11.5)
	samples, sources := w.tick(12.5)
	w.wantSources(sources, "metrics ok", "scrape of new:1 not ok: its counts go back and forth")
	wantTold(t, samples, ErrorRate, "")
}

func TestNothingSelects(t *testing.T) {
	s := external()
	s.Selector = nil
	w := newWorld(t, s)
	_, sources := w.tick(1)
	w.wantSources(sources, "metrics not ok: select the metrics of shop/test: neither labels nor targets are named; set metrics.selector")
}

func TestInstancesSelectWithoutLabels(t *testing.T) {
	s := shop()
	s.Selector = nil
	w := newWorld(t, s)
	w.put(`http_requests_total{instance="new:1",status="200",job="any"}`, "1:1 2:3")
	w.put(`http_requests_total{instance="new:11",status="200"}`, "1:1 2:3")
	w.tick(1.5)
	w.want(2.5, ErrorRate, "2 candidate new:1 2/0")
}

func TestQueriesSideBySide(t *testing.T) {
	w := newWorld(t, shop(Spec{Name: "orders", Query: `sum(orders{$selector})`}, Spec{Name: "mine", Query: `sum(orders{app="$release"})`}, Spec{Name: "each", Query: `orders{instance=~"$instance"}`}))
	w.put(`orders{instance="new:1"}`, "1:7 2:8")
	w.put(`orders{instance="old:1"}`, "1:70 2:80")
	w.put(`orders{instance="any:1",app="1.0"}`, "1:5 2:6")
	w.tick(1.5)
	samples, _ := w.tick(2.5)
	wantTold(t, samples, "orders", "2.5 baseline =80\n2.5 candidate =8")
	wantTold(t, samples, "mine", "2.5 baseline =6")
	wantTold(t, samples, "each", "2.5 baseline old:1 =80\n2.5 candidate new:1 =8")
}

func TestQueriesByReleaseLabelWhenInstancesAreShared(t *testing.T) {
	w := newWorld(t, func() Subject {
		s := external()
		s.Signals = []Spec{{Name: ErrorRate}, {Name: "orders", Query: `sum(orders{$selector})`}}
		return s
	}())
	for v, n := range map[string]string{"1.0": "1:1 2:9", "2.0": "1:1 2:5"} {
		w.put(`http_requests_total{instance="gw:1",status="200",version="`+v+`"}`, n)
		w.put(`orders{instance="gw:1",version="`+v+`"}`, n)
	}
	w.tick(1.5)
	samples, _ := w.tick(2.5)
	wantTold(t, samples, "orders", "2.5 baseline =9\n2.5 candidate =5")
}

func TestQueriesBeforeAndAfter(t *testing.T) {
	s := shop(Spec{Name: "queue", Query: `queue_length`})
	s.History = 60e9
	w := newWorld(t, s)
	w.put(`queue_length{q="a"}`, "-60:5 -45:6 -30:7 -15:8 5:9")
	samples, _ := w.tick(6)
	wantTold(t, samples, "queue", "-60 baseline [q=a] =5\n-45 baseline [q=a] =6\n-30 baseline [q=a] =7\n-15 baseline [q=a] =8\n5 candidate [q=a] =9\n6 candidate [q=a] =9")
	w.want(7, "queue", "7 candidate [q=a] =9")
}

func TestQueriesWithoutAnswer(t *testing.T) {
	w := newWorld(t, shop(Spec{Name: "none", Query: `absent_metric`}, Spec{Name: "nan", Query: `vector(0)/0`}, Spec{Name: "wrong", Query: `sum(a) + on() (b)`}))
	w.put(`b{x="1"}`, "1:1")
	w.put(`b{x="2"}`, "1:1")
	w.put(`a`, "1:1")
	w.tick(1)
	samples, sources := w.tick(2)
	if len(samples) != 0 {
		t.Errorf("got %v, want missing values to stay missing", samples)
	}
	w.wantSources(sources, "metrics ok", "signal wrong not ok: evaluate PromQL expression")
}

func TestCheckQuery(t *testing.T) {
	for q, ok := range map[string]bool{
		`sum(rate(orders_total{$selector}[1m]))`:       true,
		`orders{app="$release",instance=~"$instance"}`: true,
		`orders{$selector,region="eu"}`:                true,
		`label_replace(up, "a", "$1", "b", "(.*)")`:    true,
		`sum(rate(orders_total{$selektor}[1m]))`:       false,
		`sum(rate(orders_total{$selector}[1m])`:        false,
		``:                                             false,
	} {
		if err := CheckQuery(q); (err == nil) != ok {
			t.Errorf("CheckQuery(%q) = %v", q, err)
		}
	}
	if CheckStatus("5..|4..") != nil || CheckStatus("(") == nil {
		t.Error("CheckStatus is wrong")
	}
	// A value from outside cannot leave its quotes.
	if got := Expand(`a{v="$release"}`, "", `1"} or vector(1) #`, ""); got != `a{v="1\"} or vector(1) #"}` {
		t.Errorf("got %s", got)
	}
}

func TestDiscover(t *testing.T) {
	w := newWorld(t, shop())
	w.put(`http_requests_total{instance="new:1",status="200",path="/a"}`, "1:1")
	w.put(`http_request_duration_seconds_bucket{instance="new:1",path="/a",le="1"}`, "1:1")
	w.put(`http_request_duration_seconds_count{instance="new:1",path="/a"}`, "1:1")
	w.put(`process_resident_memory_bytes{instance="old:1"}`, "1:1")
	found, err := Discover(t.Context(), w.store, w.subject, w.at(2))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found {
		got = append(got, f.Signal+"="+f.Metric+" "+f.Form+" "+strings.Join(f.Instances, ",")+" "+strings.Join(f.Strata, ","))
	}
	want := "error_rate=http_requests_total counter new:1 /a|response_time=http_request_duration_seconds classic histogram new:1 /a|throughput=http_requests_total counter new:1 /a|cpu_usage=   |memory_usage=process_resident_memory_bytes gauge old:1 "
	if strings.Join(got, "|") != want {
		t.Errorf("got %q\nwant %q", strings.Join(got, "|"), want)
	}
}

func TestSamplesAreFinite(t *testing.T) {
	w := newWorld(t, shop())
	w.put(requests, "1:1 2:NaN 3:+Inf 4:6")
	w.put(`process_resident_memory_bytes{instance="new:1"}`, "1:NaN")
	w.put(`http_request_duration_seconds_bucket{instance="new:1",le="1"}`, "1:1 2:2")
	w.put(`http_request_duration_seconds_count{instance="new:1"}`, "1:1 2:2")
	w.put(`http_request_duration_seconds_sum{instance="new:1"}`, "1:1 2:NaN")
	samples, _ := w.tick(4.5)
	for _, s := range samples {
		for _, v := range append([]float64{s.N, s.X, s.Value, s.Sum}, s.LE...) {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("got %+v", s)
			}
		}
	}
	wantTold(t, samples, ErrorRate, "4 candidate new:1 5/0")
}
