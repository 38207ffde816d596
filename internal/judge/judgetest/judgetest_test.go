package judgetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/belaydev/belay"
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

func TestFailuresSayWhatCameInstead(t *testing.T) {
	s, err := Parse("x", "candidate error_rate 0/100 x30 50/100 x30\nbaseline error_rate 0/100 x60\nexpect by 20s regressed error_rate\nexpect never regressed\nexpect at 50s regressed\nexpect reason \"nonsense\"")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range s.Check() {
		got = append(got, fmt.Sprintf("%d|%s|%s", f.Line, f.Want, f.Got))
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{"3|regressed error_rate by 20 s|healthy: ", "; it came at 30 s", "4|never regressed|regressed at 30 s: ", `6|"nonsense" in reason|"`} {
		if !strings.Contains(all, want) {
			t.Errorf("want %q in:\n%s", want, all)
		}
	}
	if len(got) != 3 || s.Expectations() != 3 {
		t.Errorf("%d failures of %d expectations", len(got), s.Expectations())
	}
}

func TestAPolicyOfOnesOwn(t *testing.T) {
	text := "policy error_rate threshold 2%\ncandidate error_rate 3/100 x30\ncandidate orders =5 x30\nbaseline queue =5 x30\nexpect by 29s regressed error_rate"
	s, err := ParseOn("x", text, func(list []Signal) (judge.Policy, error) {
		if want := []Signal{{"error_rate", belay.KindEvents, true}, {"orders", belay.KindGauge, true}, {"queue", belay.KindGauge, false}}; !slices.Equal(list, want) {
			t.Errorf("signals %+v", list)
		}
		p := judge.DefaultPolicy()
		p.Signals = p.Signals[:1]
		p.Candidate = "mine"
		return p, nil
	})
	if err != nil || s.Policy.Candidate != "mine" || *s.Policy.Signals[0].Threshold != 0.02 {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := s.Run(); err != nil {
		t.Error(err)
	}
	if _, err := ParseOn("x", text, func([]Signal) (judge.Policy, error) { return judge.Policy{}, errors.New("no such service") }); err == nil || err.Error() != "x: no such service" {
		t.Errorf("%v", err)
	}
}

func TestEveryWrongLineIsNamed(t *testing.T) {
	_, err := Parse("x", "foo\npolicy error_rate threshold\nexpect at 5s fine\nexpect at 5s healthy")
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three lines, got %v", err)
	}
}

func TestBadScriptsAreRefusedWithTheirLine(t *testing.T) {
	for script, want := range map[string]string{
		"expect at 5s healthy\nfoo":                                           "x:2:",
		"candidate error_rate 5:100\nexpect at 5s healthy":                    "x:1:",
		"candidate error_rate 5/100 xx\nexpect at 5s healthy":                 "x:1:",
		"candidate r le=1,2 5/100\nexpect at 5s healthy":                      "one for each bound",
		"candidate r le=1,1 5,6/100\nexpect at 5s healthy":                    "ascending order",
		"candidate r le=1,2 6,5/100\nexpect at 5s healthy":                    "cumulative",
		"candidate r le=1,2 5,101/100\nexpect at 5s healthy":                  "cumulative",
		"candidate r 5,6/100\nexpect at 5s healthy":                           "needs its bounds",
		"candidate error_rate 101/100\nexpect at 5s healthy":                  "at most as many bad events",
		"candidate error_rate 1/100 =5\nexpect at 5s healthy":                 "of kind events",
		"candidate error_rate 1/100 x0\nexpect at 5s healthy":                 "from 1 to 1000000",
		"policy error_rate tresholds 5%\nexpect at 5s healthy":                "the fields are",
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
		"expect at -5s healthy":                                               "before the deployment",
		"expect at 200000s healthy":                                           "longer than",
		"candidate error_rate 1/2 x90000 1/2 x90000\nexpect at 5s healthy":    "longer than",
		"policy false_rollback_rate 2\nexpect at 5s healthy":                  "false rollback rate",
		"policy error_rate dispersion 0.5 margin 0.3\nexpect at 5s regressed": "dispersion",
	} {
		if _, err := Parse("x", script); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want an error with %q, got %v", script, want, err)
		}
	}
}
