package cli_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belaydev/belay/internal/app/advice"
)

func TestPolicySuggest(t *testing.T) {
	streams := map[string]string{"bad-1.jsonl": recorded(300, 9, 0)}
	for i := range 6 {
		streams[fmt.Sprintf("good-%d.jsonl", i)] = recorded(300, 1, 1)
	}
	dir := files(t, streams)
	got := runner{}.run(t, "policy", "suggest", "shop", "--streams", dir)
	for _, want := range []string{"shop: learned from 6 good releases and 1 bad one", "signals.error_rate.threshold  none → 1.5%", "1 of 1 bad release went beyond", "What each would have done", "present", "Advised: ", "error_rate: {threshold: 1.5%", "Keep some deployments"} {
		if got.code != 0 || !strings.Contains(got.out, want) {
			t.Errorf("exit code %d, does not say %q:\n%s%s", got.code, want, got.out, got.errors)
		}
	}
	js := runner{}.run(t, "policy", "suggest", "shop", "--streams", dir, "-o", "json")
	again := runner{}.run(t, "policy", "suggest", "shop", "--streams", dir, "-o", "json")
	var a advice.Advice
	if err := json.Unmarshal([]byte(js.out), &a); err != nil || a.Good != 6 || a.Section == "" || js.out != again.out {
		t.Errorf("JSON: %v\n%s", err, js.out)
	}
}

// TestPolicySuggestOfNoService: a service that the server does not know is said to be none.
func TestPolicySuggestOfNoService(t *testing.T) {
	path := filepath.Join(files(t, map[string]string{"belay.yaml": shopYAML}), "belay.yaml")
	got := runner{server: newWorld().serve(t)}.run(t, "policy", "suggest", "nix", "-c", path)
	if got.code == 0 || !strings.Contains(got.errors, `there is no service "nix"; the server knows: `) {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.errors)
	}
}

func TestPolicySuggestThatCannotBe(t *testing.T) {
	dir := files(t, map[string]string{"a.jsonl": recorded(30, 1, 1), "belay.yaml": shopYAML})
	for want, args := range map[string][]string{
		"needs one service":                        {},
		"is known to have been good; label some":   {"shop", "--streams", dir},
		"there is no folder":                       {"shop", "--streams", filepath.Join(dir, "none")},
		"no service mail; it has: shop/production": {"mail", "--streams", dir, "-c", filepath.Join(dir, "belay.yaml")},
		"does not say when was deployed":           {"shop", "--prometheus", "http://127.0.0.1:1"},
		"not from both":                            {"shop", "--streams", dir, "--prometheus", "http://127.0.0.1:1"},
	} {
		if got := (runner{}).run(t, append([]string{"policy", "suggest"}, args...)...); got.code == 0 || !strings.Contains(got.errors, want) || got.out != "" {
			t.Errorf("%v: exit code %d, %s%s; want %q", args, got.code, got.out, got.errors, want)
		}
	}
}
