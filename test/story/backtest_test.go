//go:build story

package story

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay/test/world"
)

const backtestYAML = `
server: {listen: "{{listen}}"}
metrics: {url: "http://{{prometheus}}"}
services:
  shop:
    environment: production
    metrics: {selector: {job: shop}}
    rollback: {steps: [{command: [./back.sh]}]}
`

// remembered writes what a Prometheus scraped of a shop with two instances every 15 s, one after the other replaced by
// the releases: version by version the share of failed answers. It is the format of "promtool tsdb create-blocks-from".
func remembered(begin time.Time, seconds int, releases map[int]struct {
	version string
	share   float64
}) string {
	var b strings.Builder
	b.WriteString("# HELP http_requests Answers.\n# TYPE http_requests counter\n")
	for _, code := range []string{"200", "500"} {
		for i, instance := range []string{"a:8000", "b:8000"} {
			version, share, count := "", 0.0, 0.0
			for t := 0; t < seconds; t += 15 {
				for at, r := range releases {
					if now := t - 15*i; now >= at && now < at+15 { // b follows a
						version, share, count = r.version, r.share, 0
					}
				}
				part := share
				if code == "200" {
					part = 1 - share
				}
				count += 300 * part
				fmt.Fprintf(&b, "http_requests_total{job=\"shop\",instance=%q,version=%q,code=%q} %g %d\n", instance, version, code, count, begin.Unix()+int64(t))
			}
		}
	}
	return b.String() + "# EOF\n"
}

// TestBacktestOfAPrometheus replays what a real Prometheus server remembers of deployments that belay never saw.
func TestBacktestOfAPrometheus(t *testing.T) {
	t.Parallel()
	p := world.Ports(t, 1)
	w := world.New(t, backtestYAML, map[string]string{"prometheus": p[0]})
	begin := time.Now().UTC().Add(-6 * time.Hour).Truncate(time.Minute)
	w.Write("prometheus/past.txt", remembered(begin, 5*3600, map[int]struct {
		version string
		share   float64
	}{
		0: {"1.0", 0.01}, 1200: {"1.0.1", 0.01}, 2400: {"1.0.2", 0.01}, 3600: {"1.1", 0.01}, 7200: {"1.1.1", 0.01}, 9000: {"1.1.2", 0.01},
		10800: {"1.2", 0.1}, 12300: {"1.1.2", 0.01},
	}), 0o644)
	fill := exec.CommandContext(t.Context(), "/usr/bin/promtool", "tsdb", "create-blocks-from", "openmetrics", w.Dir+"/prometheus/past.txt", w.Dir+"/prometheus/data")
	if out, err := fill.CombinedOutput(); err != nil {
		t.Fatalf("fill the memory of prometheus: %v\n%s", err, out)
	}
	w.Prometheus(p[0])
	at := func(seconds int) string { return begin.Add(time.Duration(seconds) * time.Second).Format(time.RFC3339) }
	w.Write("deployments.csv", "time,version,previous,label,outcome,rolled_back_at\n"+
		at(3600)+",1.1,1.0.2,good,kept,\n"+at(10800)+",1.2,1.1.2,bad,rolled_back,25m\n"+begin.AddDate(-1, 0, 0).Format(time.RFC3339)+",0.9,0.8,,,\n", 0o644)
	// Of what is a year old the server has nothing: said, and told by the exit code.
	out, problems, code := w.Run("backtest", "--deployments", "deployments.csv", "--against", "argo,kayenta", "--output", "json")
	again, _, _ := w.Run("backtest", "--deployments", "deployments.csv", "--against", "argo,kayenta", "--output", "json")
	var r struct {
		Left  []struct{ Reason string }
		Cases []struct {
			Release string
			Results []struct {
				Fate    string
				T       *float64
				Avoided *float64
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 1 || len(r.Cases) != 2 || len(r.Left) != 1 || !strings.Contains(r.Left[0].Reason, "nothing of the new release") {
		t.Fatalf("exit code %d, %v\n%s\n%s", code, err, out, problems)
	}
	if out != again {
		t.Error("the same past gave two answers")
	}
	for i, want := range []string{"kept kept kept", "taken_back taken_back taken_back"} {
		var got []string
		for _, res := range r.Cases[i].Results {
			got = append(got, res.Fate)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", r.Cases[i].Release, got, want)
		}
	}
	if ours := r.Cases[1].Results[0]; ours.T == nil || *ours.T > 60 || ours.Avoided == nil || *ours.Avoided < 2000 {
		t.Errorf("of 1.2, the present policy makes %+v", ours)
	}
	if text, _, _ := w.Run("policy", "suggest", "shop", "--deployments", "deployments.csv"); !strings.Contains(text, "5 are needed") || strings.Contains(text, "error_rate: {threshold: ") {
		t.Errorf("suggested from one good release:\n%s", text)
	}
	w.Write("more.csv", "time,version,previous,label,outcome,rolled_back_at\n"+
		at(1200)+",1.0.1,1.0,good,kept,\n"+at(2400)+",1.0.2,1.0.1,good,kept,\n"+at(3600)+",1.1,1.0.2,good,kept,\n"+at(7200)+",1.1.1,1.1,good,kept,\n"+
		at(9000)+",1.1.2,1.1.1,good,kept,\n"+at(10800)+",1.2,1.1.2,bad,rolled_back,25m\n", 0o644)
	if text, _, _ := w.Run("policy", "suggest", "shop", "--deployments", "more.csv"); !strings.Contains(text, "error_rate: {threshold: ") {
		t.Errorf("nothing is suggested:\n%s", text)
	}
}
