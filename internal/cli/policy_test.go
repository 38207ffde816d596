package cli_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

const (
	metScript = "candidate error_rate 0/10 x60 5/10 x30\nbaseline error_rate 0/90 x90\nexpect by 80s regressed error_rate\n"
	notMet    = "candidate error_rate 0/10 x60 5/10 x30\nbaseline error_rate 0/90 x90\nexpect by 60s regressed error_rate\nexpect never regressed\n"
)

func TestPolicyTests(t *testing.T) {
	dir := files(t, map[string]string{"a.judge": metScript, "b.judge": metScript, "notes.txt": "no script"})
	got := runner{}.run(t, "policy", "test", dir)
	if got.code != 0 || !strings.Contains(got.out, "a.judge  1 expectation met") || !strings.Contains(got.out, "2 passed\n") {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.errors)
	}
	dir = files(t, map[string]string{"a.judge": metScript, "slow.judge": notMet})
	got = runner{}.run(t, "policy", "test", dir)
	for _, want := range []string{"2 of 2 expectations not met", "slow.judge:3: expect by 60s regressed error_rate\n      want  regressed error_rate by 60 s\n      got   healthy: ", "it came at 6", "want  never regressed", "1 passed, 1 failed"} {
		if got.code != 1 || !strings.Contains(got.out, want) {
			t.Errorf("exit code %d, does not say %q:\n%s%s", got.code, want, got.out, got.errors)
		}
	}
	js := runner{}.run(t, "policy", "test", dir, "--output", "json")
	var list []struct {
		Passed   bool
		Failures []struct{ Line int }
	}
	if err := json.Unmarshal([]byte(js.out), &list); err != nil || js.code != 1 || len(list) != 2 || !list[0].Passed || list[1].Failures[0].Line != 3 {
		t.Errorf("exit code %d, %v\n%s", js.code, err, js.out)
	}
}

func TestPolicyTestsOfAFile(t *testing.T) {
	dir := files(t, map[string]string{
		"night.judge":   "candidate error_rate 2/100 x60\nexpect by 30s regressed error_rate\n",
		"strict.yaml":   "signals: {error_rate: {threshold: 1%, for: 5s}}\n",
		"two.yaml":      "services:\n  shop: {signals: {error_rate: {threshold: 1%, for: 5s}}}\n  mail: {}\n",
		"health.judge":  "health candidate web healthy x20 unhealthy x60\nexpect by 60s regressed\n",
		"other.judge":   "candidate latency =5 x60\nexpect at 30s regressed\n",
		"changed.judge": "policy error_rate threshold 50%\ncandidate error_rate 2/100 x60\nexpect never regressed\n",
	})
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"night.judge", 1, "not met"},
		{"night.judge -p strict.yaml", 0, "1 passed"},
		{"changed.judge -p strict.yaml", 0, "1 passed"},
		{"health.judge -p strict.yaml", 0, "1 passed"},
		{"night.judge -p two.yaml --service shop", 0, "1 passed"},
		{"night.judge -p two.yaml --service shap", 2, "it has: shop/production, mail/production"},
		{"other.judge -p strict.yaml", 2, "names none of the signals"},
	} {
		var args []string
		for _, a := range strings.Fields(c.args) {
			if strings.Contains(a, ".") {
				a = in(a)
			}
			args = append(args, a)
		}
		if got := (runner{}).run(t, append([]string{"policy", "test"}, args...)...); got.code != c.code || !strings.Contains(got.out+got.errors, c.want) {
			t.Errorf("%s: exit code %d\n%s%s", c.args, got.code, got.out, got.errors)
		}
	}
}

func TestPolicyTestsThatCannotBe(t *testing.T) {
	dir := files(t, map[string]string{"a.judge": metScript, "torn.judge": "foo\nexpect at 5s fine\n", "p.yaml": "signals: {eror_rate: {}}\n", "two.yaml": "services: {shop: {}, mail: {}}\n"})
	script := filepath.Join(dir, "a.judge")
	for want, args := range map[string][]string{
		"needs one script or folder":        {"test"},
		"there is no script or folder":      {"test", "none.judge"},
		"ends in .judge":                    {"test", t.TempDir()},
		"p.yaml:1:22: signals.eror_rate":    {"test", script, "-p", filepath.Join(dir, "p.yaml")},
		"there is no policy none.yaml":      {"test", script, "-p", "none.yaml"},
		"the configuration has 2 services":  {"test", script, "-p", filepath.Join(dir, "two.yaml")},
		"and there is none":                 {"test", script, "--service", "shop"},
		`did you mean "belay policy test"?`: {"tset"},
	} {
		if got := (runner{}).run(t, append([]string{"policy"}, args...)...); got.code != 2 || !strings.Contains(got.errors, want) || got.out != "" {
			t.Errorf("%v: exit code %d, %s%s; want %q", args, got.code, got.out, got.errors, want)
		}
	}
	got := (runner{}).run(t, "policy", "test", filepath.Join(dir, "torn.judge"))
	if got.code != 2 || !strings.Contains(got.out, "torn.judge:1: ") || !strings.Contains(got.out, "torn.judge:2: ") || !strings.Contains(got.out, "1 cannot be read") {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.errors)
	}
}
