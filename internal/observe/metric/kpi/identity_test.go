package kpi

import (
	"reflect"
	"testing"
	"time"

	"github.com/belaydev/belay"
)

// inPlace is a subject whose two releases run on the same instance, one after the other.
func inPlace() Subject {
	s := shop()
	s.Candidate.Targets = []belay.Target{{Address: "app:1"}}
	s.Baseline.Targets = s.Candidate.Targets
	return s
}

// external is a subject that an existing server watches: no targets are named.
func external() Subject {
	s := shop()
	s.Candidate.Targets, s.Baseline.Targets = nil, nil
	return s
}

func TestReleaseByLabelOfTheSeries(t *testing.T) {
	for _, label := range []string{"version", "release", "service_version", "app"} {
		s := external()
		if label == "app" {
			s.ReleaseLabel = "app"
		}
		w := newWorld(t, s)
		// One instance label for both releases, as behind a gateway.
		w.put(`http_requests_total{instance="gw:1",status="500",`+label+`="v2.0"}`, "1:1 2:5")
		w.put(`http_requests_total{instance="gw:1",status="200",`+label+`="1.0"}`, "1:1 2:8")
		w.put(`http_requests_total{instance="gw:1",status="200",`+label+`="0.9"}`, "1:1 2:8")
		w.tick(1.5)
		samples, _ := w.tick(2.5)
		if got, want := told(samples, ErrorRate), "2 baseline gw:1 7/0\n2 candidate gw:1 4/4"; got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", label, got, want)
		}
	}
}

func TestReleaseByInfoMetric(t *testing.T) {
	for _, info := range []string{`target_info{service_version=`, `shop_build_info{version=`} {
		w := newWorld(t, inPlace())
		at := func(v string) string { return info + `"` + v + `",instance="app:1"}` }
		w.put(at("1.0"), "1:1 2:1")
		w.put(at("2.0"), "3:1 4:1")
		w.put(`go_build_info{version="7.7",instance="app:1"}`, "1:1 2:1 3:1 4:1")
		w.put(`http_requests_total{instance="app:1",status="200"}`, "1:10 2:20 3:4 4:9")
		w.tick(1.5)
		w.want(2.5, ErrorRate, "2 baseline app:1 10/0")
		// A rolling update: another process, which counts from zero, behind the same address.
		w.want(3.5, ErrorRate, "3 candidate app:1 4/0")
		w.want(4.5, ErrorRate, "4 candidate app:1 5/0")
	}
}

func TestReleaseNamedByTheTarget(t *testing.T) {
	s := shop()
	// The pipeline lists all that it knows of under the new release.
	s.Candidate.Targets = []belay.Target{{Address: "a:1", Release: "2.0"}, {Address: "b:1", Release: "1.0"}}
	s.Baseline.Targets = nil
	w := newWorld(t, s)
	w.put(`http_requests_total{instance="a:1",status="200"}`, "1:10 2:20")
	w.put(`http_requests_total{instance="b:1",status="200"}`, "1:10 2:20")
	w.tick(1.5)
	w.want(2.5, ErrorRate, "2 baseline b:1 10/0\n2 candidate a:1 10/0")
}

func TestReplacedInPlace(t *testing.T) {
	w := newWorld(t, inPlace())
	w.put(`process_start_time_seconds{instance="app:1"}`, "-15:-900 1:-900 2:-900 4:3 5:3")
	w.put(`http_requests_total{instance="app:1",status="200"}`, "-15:10 1:20 2:25 4:3 5:5")
	w.want(2.5, ErrorRate, "2 baseline app:1 15/0")
	w.want(5.5, ErrorRate, "5 candidate app:1 5/0")
}

func TestReloadedInPlace(t *testing.T) {
	w := newWorld(t, inPlace())
	w.put(`process_start_time_seconds{instance="app:1"}`, "-15:-900 1:-900 2:-900 4:-900 5:-900")
	w.put(`http_requests_total{instance="app:1",status="200"}`, "-15:10 1:20 2:25 4:35 5:40")
	w.want(2.5, ErrorRate, "2 baseline app:1 15/0")
	w.Deployed(w.at(3))
	w.want(5.5, ErrorRate, "5 candidate app:1 15/0")
}

func TestBeforeAndAfterWithoutTargets(t *testing.T) {
	w := newWorld(t, external())
	w.put(`http_requests_total{instance="x:1",status="200"}`, "-30:10 -15:20 1:30 2:40")
	w.want(2.5, ErrorRate, "-15 baseline x:1 10/0\n2 candidate x:1 10/0")
}

func TestOldReleaseUnknown(t *testing.T) {
	s := external()
	s.Baseline.Release = ""
	w := newWorld(t, s)
	w.put(`http_requests_total{instance="x:1",status="200",version="2.0"}`, "1:10 2:20")
	w.put(`http_requests_total{instance="y:1",status="200",version="1.7"}`, "1:10 2:20")
	w.tick(1.5)
	w.want(2.5, ErrorRate, "2 baseline y:1 10/0\n2 candidate x:1 10/0")
}

func TestReleasesReported(t *testing.T) {
	s := external()
	w := newWorld(t, s)
	w.put(`up{instance="a:1",version="2.0"}`, "10:1 20:1")
	w.put(`http_requests_total{instance="b:1",status="200",version="2.0"}`, "1:1 10:2")
	w.put(`http_requests_total{instance="b:1",status="200",version="1.0"}`, "11:1 20:2")
	w.put(`app_build_info{instance="c:1",version="1.0"}`, "20:1")
	w.put(`app_build_info{instance="d:1",version="1.0"}`, "20:1")
	w.put(`target_info{instance="d:1",service_version="2.0"}`, "20:1")
	w.put(`up{instance="e:1"}`, "20:1")
	w.put(`up{instance="f:1",version="2.0"}`, "20:0")
	s.Start = w.start
	got, err := ReleasesReported(t.Context(), w.store, s, w.at(21))
	if err != nil {
		t.Fatal(err)
	}
	at := w.at(20)
	want := map[string]Reported{"a:1": {"2.0", at}, "b:1": {"1.0", at}, "c:1": {"1.0", at}, "d:1": {"1.0,2.0", at}}
	for k, v := range got {
		v.At = v.At.Round(0).In(time.Local)
		got[k] = v
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
