package judgetest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belaydev/belay/internal/judge"
)

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.judge")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d scripts found, want at least 25 (%v)", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".judge"), func(t *testing.T) {
			s := parse(t, f)
			if err := s.Run(); err != nil {
				t.Error(err)
			}
			once, again := replay(t, s), replay(t, s)
			if once != again {
				t.Error("the same ticks gave two different series of cards")
			}
		})
	}
}

func parse(t *testing.T, file string) *Script {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(filepath.Base(file), string(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// replay returns every card as JSON.
func replay(t *testing.T, s *Script) string {
	t.Helper()
	var b strings.Builder
	j := judge.New(s.Policy)
	for _, tick := range s.Ticks() {
		card, err := json.Marshal(j.Observe(tick))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(card)
	}
	return b.String()
}

func TestAScriptThatIsNotMetFails(t *testing.T) {
	s, err := Parse("x", "candidate error_rate 50/100 x10\nexpect never regressed\nexpect at 5s healthy\nexpect at 9s regressed\nexpect reason \"nonsense\"")
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run()
	if err == nil {
		t.Fatal("want three failures")
	}
	for _, want := range []string{"x:2:", "x:3:", "x:5:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("want a failure of %s in %v", want, err)
		}
	}
}

func TestBadScriptsAreRefusedWithTheirLine(t *testing.T) {
	for script, want := range map[string]string{
		"expect at 5s healthy\nfoo":                                           "x:2:",
		"candidate error_rate 5:100\nexpect at 5s healthy":                    "x:1:",
		"candidate error_rate 5/100 xx\nexpect at 5s healthy":                 "x:1:",
		"candidate r le=1,2 5/100\nexpect at 5s healthy":                      "one for each bound",
		"policy error_rate threshold\nexpect at 5s healthy":                   "has no value",
		"policy orders threshold 5\nexpect at 5s healthy":                     "begins with its kind",
		"policy error_rate threshold 500%\nexpect at 5s healthy":              "between 0 and 1",
		"health candidate web sick\nexpect at 5s healthy":                     "want healthy",
		"source metrics maybe\nexpect at 5s healthy":                          "want ok or down",
		"expect at 1500ms healthy":                                            "whole seconds",
		"expect at 5s fine":                                                   "want none",
		"expect reason \"x\"":                                                 "verdict first",
		"candidate error_rate 1/2":                                            "nothing is expected",
		"candidate error_rate {oops 1/2\nexpect at 5s healthy":                "closing",
		"candidate error_rate from soon 1/2\nexpect at 5s healthy":            "whole seconds",
		"policy cpu_usage gauge threshold NaN\nexpect at 5s healthy":          "want a number",
		"policy error_rate direction sideways\nexpect at 5s healthy":          "direction",
		"policy false_rollback_rate 2\nexpect at 5s healthy":                  "false rollback rate",
		"policy error_rate dispersion 0.5 margin 0.3\nexpect at 5s regressed": "dispersion",
	} {
		if _, err := Parse("x", script); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want an error with %q, got %v", script, want, err)
		}
	}
}
