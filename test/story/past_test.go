//go:build story

package story

import (
	"math"
	"os/exec"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
	"github.com/belaydev/belay/internal/observe/metric/past"
	"github.com/belaydev/belay/test/world"
)

// TestThePastInAPrometheus reads two days of a real Prometheus server, minute by minute.
func TestThePastInAPrometheus(t *testing.T) {
	t.Parallel()
	p := world.Ports(t, 1)
	w := world.New(t, backtestYAML, map[string]string{"prometheus": p[0]})
	const hours = 48
	begin := time.Now().UTC().Add(-(hours + 1) * time.Hour).Truncate(time.Minute)
	w.Write("prometheus/past.txt", remembered(begin, hours*3600, map[int]struct {
		version string
		share   float64
	}{0: {"1.0", 0.01}, 86400: {"1.1", 0.02}}), 0o644)
	fill := exec.CommandContext(t.Context(), "/usr/bin/promtool", "tsdb", "create-blocks-from", "openmetrics", w.Dir+"/prometheus/past.txt", w.Dir+"/prometheus/data")
	if out, err := fill.CombinedOutput(); err != nil {
		t.Fatalf("fill the memory of prometheus: %v\n%s", err, out)
	}
	w.Prometheus(p[0])
	r, err := metric.NewRemote(metric.RemoteOptions{URL: "http://" + p[0]})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	h := past.Read(t.Context(), past.Options{Source: r, Subject: kpi.Subject{
		Ref: belay.Ref{Service: "shop"}, Start: begin.Add(hours * time.Hour), Selector: map[string]string{"job": "shop"}, Signals: []kpi.Spec{{Name: kpi.ErrorRate}},
	}})
	t.Logf("%d samples in %s", len(h.Samples), time.Since(began))
	if n := len(h.Samples); h.Failed != nil || n < hours*60-35 || n > hours*60-30 {
		t.Fatalf("%d minutes, %v", n, h.Failed)
	}
	for _, m := range h.Samples {
		share := 0.01
		if m.T > (86400 - hours*3600) {
			share = 0.02
		}
		settled := math.Abs(m.T-(86400-hours*3600)) > 120 && m.T > 180-hours*3600
		if settled && (math.Abs(m.N-2400) > 1 || math.Abs(m.X-2400*share) > 1) {
			t.Fatalf("%+v", m)
		}
	}
}
