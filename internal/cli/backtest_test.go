package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/learn/backtest"
)

// recorded is a stream: so many bad answers a second of 100, of the new and of the old release.
func recorded(seconds, candidate, baseline int) string {
	var b strings.Builder
	for t := 1; t <= seconds; t++ {
		fmt.Fprintf(&b, `{"t":%d,"signal":"error_rate","kind":"events","arm":"candidate","instance":"a","n":100,"x":%d}`+"\n", t, candidate)
		fmt.Fprintf(&b, `{"t":%d,"signal":"error_rate","kind":"events","arm":"baseline","instance":"b","n":100,"x":%d}`+"\n", t, baseline)
	}
	return b.String()
}

func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestBacktestOfAFolder(t *testing.T) {
	dir := files(t, map[string]string{"good-1.jsonl": recorded(300, 0, 0), "bad-1.jsonl": recorded(300, 3, 0), "bad-2.jsonl": recorded(300, 9, 0)})
	loose := filepath.Join(files(t, map[string]string{"loose.yaml": "signals: {error_rate: {smallest_change: 5%}}\n"}), "loose.yaml")
	got := runner{}.run(t, "backtest", dir, "--against", "argo,kayenta")
	if got.code != 0 || got.errors != "" {
		t.Fatalf("exit code %d\n%s%s", got.code, got.out, got.errors)
	}
	for _, want := range []string{"3 past deployments; labelled: 1 good, 2 bad", "recorded  2     1", "0 of 2 (0–84 %)", "Argo Rollouts", "Decided differently", "bad-1       bad    back", "kept ✗"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("does not say %q:\n%s", want, got.out)
		}
	}
	got = runner{}.run(t, "backtest", dir, "-p", loose, "--all")
	if got.code != 0 || !strings.Contains(got.out, "loose") || strings.Contains(got.out, "recorded") || !strings.Contains(got.out, "All deployments (3)") {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.errors)
	}
	for _, line := range strings.Split(got.out, "\n") {
		if len([]rune(line)) > 100 {
			t.Errorf("wider than 100: %s", line)
		}
	}
	first, again := runner{}.run(t, "backtest", dir, "--output", "json"), runner{}.run(t, "backtest", dir, "--output", "json")
	var r backtest.Report
	if err := json.Unmarshal([]byte(first.out), &r); err != nil || len(r.Cases) != 3 || r.Rules[0].TakenBack != 2 || r.Rules[0].False.N != 1 {
		t.Errorf("JSON: %v\n%s", err, first.out)
	}
	if first.out != again.out {
		t.Error("the same past gave two answers")
	}
}

func TestBacktestOfATornRecord(t *testing.T) {
	dir := files(t, map[string]string{"a.jsonl": recorded(30, 0, 0), "b.jsonl": recorded(3, 0, 0) + "{\n"})
	got := runner{}.run(t, "backtest", dir)
	if got.code != 1 || !strings.Contains(got.out, "1 past deployment;") || !strings.Contains(got.out, "Left out (1)\n  b: ") {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.errors)
	}
}

const shopYAML = `services:
  shop:
    environment: production
    metrics: {selector: {job: shop}}
    rollback: {steps: [{command: [./back.sh]}]}
`

func TestBacktestOfTheHistory(t *testing.T) {
	w := newWorld()
	w.deps[0].Label = &belay.Label{Word: belay.LabelRight}
	w.ticks = map[string][]belay.Tick{}
	for i := 1; i <= 12; i++ {
		at := float64(i)
		w.ticks[shopID] = append(w.ticks[shopID], belay.Tick{T: at, Samples: []belay.Sample{
			{T: at, Signal: "error_rate", Kind: belay.KindEvents, Arm: belay.ArmCandidate, Instance: "a", N: 100, X: 20},
			{T: at, Signal: "error_rate", Kind: belay.KindEvents, Arm: belay.ArmBaseline, Instance: "b", N: 100},
		}})
	}
	path := filepath.Join(files(t, map[string]string{"belay.yaml": shopYAML}), "belay.yaml")
	r := runner{server: w.serve(t)}
	got := r.run(t, "backtest", "--history", "--service", "shop", "-c", path)
	for _, want := range []string{"1 past deployment, 2026-05-01 to 2026-05-01; labelled: 0 good, 1 bad", "really   1     0", "present  1     0", "0 of 1 (0–98 %)"} {
		if got.code != 0 || !strings.Contains(got.out, want) {
			t.Errorf("exit code %d, does not say %q:\n%s%s", got.code, want, got.out, got.errors)
		}
	}
	// Of a service that the file does not have, nothing can be said.
	if got := r.run(t, "backtest", "--history", "--service", "mail", "-c", path); got.code != 1 || !strings.Contains(got.errors, "no service mail/staging; it has: shop/production") {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.errors)
	}
	w.ticks[mailID] = w.ticks[shopID]
	if got := r.run(t, "backtest", "--history", "-c", path); got.code != 0 || !strings.Contains(got.out, "present cannot be applied to 1 of 2: the configuration has no service mail/staging") {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.errors)
	}
	delete(w.ticks, mailID)
	// A server that is configured elsewhere, and a proposed policy.
	policy := filepath.Join(files(t, map[string]string{"strict.yaml": "signals: {error_rate: {threshold: 1%}}\n"}), "strict.yaml")
	if got := r.run(t, "backtest", "--history", "-p", policy); got.code != 0 || !strings.Contains(got.out, "strict") || !strings.Contains(got.out, mailID+": nothing of it was recorded") {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.errors)
	}
	if got := r.run(t, "backtest", "--history", "--service", "nobody", "-c", path); got.code != 1 || !strings.Contains(got.errors, `there is no service "nobody"`) {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.errors)
	}
	if got := r.run(t, "backtest", "--history", "--service", "shop", "--since", "2026-06-01", "-c", path); got.code != 1 || !strings.Contains(got.errors, "remembers no deployments that fit") {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.errors)
	}
}

func TestBacktestOfAPrometheusThatIsAway(t *testing.T) {
	dir := files(t, map[string]string{"belay.yaml": shopYAML, "d.csv": "time,service\n2026-05-01 10:00,shop\n", "odd.csv": "time,service\nsoon,shop\n", "mail.csv": "time,service\n2026-05-01 10:00,mail\n"})
	in := func(name string) string { return filepath.Join(dir, name) }
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	run := func(args ...string) result {
		return runner{}.run(t, append([]string{"backtest", "-c", in("belay.yaml")}, args...)...)
	}
	if got := run("--prometheus", srv.URL, "--deployments", in("d.csv")); got.code != 8 || !strings.Contains(got.errors, srv.URL) {
		t.Errorf("exit code %d: %s", got.code, got.errors)
	}
	for want, args := range map[string][]string{
		"names no Prometheus server":           {"--deployments", in("d.csv")},
		`odd.csv:2:1: time: "soon" is no time`: {"--prometheus", srv.URL, "--deployments", in("odd.csv")},
		"read the list of deployments":         {"--prometheus", srv.URL, "--deployments", in("none.csv")},
		"does not say when was deployed":       {"--prometheus", srv.URL},
		"want a URL such as":                   {"--prometheus", "prom", "--deployments", in("d.csv")},
		"lists no deployments that fit":        {"--prometheus", srv.URL, "--deployments", in("d.csv"), "--env", "staging"},
		"has no service mail; it has: shop":    {"--prometheus", srv.URL, "--deployments", in("d.csv"), "--service", "mail"},
		"must be a second at least":            {"--prometheus", srv.URL, "--deployments", in("d.csv"), "--step", "1ms"},
	} {
		if got := run(args...); got.code != 2 && got.code != 1 || !strings.Contains(got.errors, want) {
			t.Errorf("%v: exit code %d, %s; want %q", args, got.code, got.errors, want)
		}
	}
}

func TestBacktestThatCannotBe(t *testing.T) {
	dir := files(t, map[string]string{"a.jsonl": recorded(3, 0, 0)})
	policy := filepath.Join(files(t, map[string]string{"p.yaml": "signals: {eror_rate: {threshold: 1%}}\nwatch: {min: 3}\n"}), "p.yaml")
	for want, args := range map[string][]string{
		"nothing to replay is named":                {"--all"},
		"a folder or from --history, not from both": {dir, "--history"},
		`did you mean "flagger"?`:                   {dir, "--against", "flager"},
		"p.yaml has 2 problems":                     {dir, "-p", policy},
		"there is no policy none.yaml":              {dir, "-p", "none.yaml"},
		"--since cannot be":                         {dir, "--since", "3d"},
		"--step and --length are for --prometheus":  {dir, "--step", "15s"},
		"there is no folder":                        {filepath.Join(dir, "none")},
		"takes one folder of streams, got":          {dir, dir},
		`"soon" is no time to begin at`:             {"--history", "--since", "soon"},
		"there is no configuration file":            {"--history"},
	} {
		got := runner{}.run(t, append([]string{"backtest"}, args...)...)
		if got.code != 2 && args[0] != "--history" || !strings.Contains(got.errors, want) || got.out != "" {
			t.Errorf("%v: exit code %d, %s%s; want %q", args, got.code, got.out, got.errors, want)
		}
	}
}
