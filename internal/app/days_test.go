package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
)

// remembered writes hours of what the shop showed into the metrics store of a data folder.
func remembered(t *testing.T, folder, instance string, hours int) {
	t.Helper()
	s, err := metric.Open(metric.Options{Dir: filepath.Join(folder, "metrics")})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for m := -60 * hours; m < 0; m++ {
		var rows []metric.Sample
		for name, v := range map[string]float64{"up": 1, "http_requests_total": float64(100 * (m + 60*hours))} {
			l := map[string]string{"__name__": name, "job": "shop/production", "instance": instance}
			if name != "up" {
				l["status"] = "200"
			}
			rows = append(rows, metric.Sample{Labels: l, T: now.Add(time.Duration(m) * time.Minute), V: v})
		}
		if err := s.Append(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The watch of a release that is deployed in place brings the days before along, and so does its record.
func TestAReleaseInPlaceBringsDaysAlong(t *testing.T) {
	t.Parallel()
	n := 0.0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n += 100
		fmt.Fprintf(w, "http_requests_total{status=\"200\"} %g\n", n)
	}))
	t.Cleanup(srv.Close)
	at := srv.Listener.Addr().String()
	o := write(t, fmt.Sprintf(`
server: {data: data}
metrics: {watch_interval: 1s}
services:
  shop:
    targets: [%q]
    rollback: "true"
    watch: {min_time: 1s, deadline: 60s, interval: 100ms}
`, at))
	remembered(t, filepath.Join(filepath.Dir(o.ConfigFile), "data"), at, 30)
	a := started(t, o)
	d, err := api(t, a).Deploy(t.Context(), belay.DeployRequest{Ref: belay.Ref{Service: "shop"}, Release: belay.Release{Version: "2"}, Previous: "1", Actor: "user:ann", Register: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	enough := errors.New("enough")
	lines := 0
	err = a.Record(ctx, d.ID, true, func(part []byte) error {
		if lines += strings.Count(string(part), belay.AllInstances); lines > 0 && bytes.Contains(part, []byte(`"error_rate"`)) {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || lines < 29*60 {
		t.Errorf("%d lines of the days before, %v", lines, err)
	}
}
