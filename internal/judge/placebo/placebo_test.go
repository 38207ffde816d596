package placebo_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/belaydev/belay/internal/judge/placebo"
)

// golden is a case whose numbers were computed by an independent implementation of the method.
type golden struct {
	Name      string     `json:"name"`
	Step      float64    `json:"step"`
	Direction string     `json:"direction"`
	MinEffect float64    `json:"min_effect"`
	Hist      []*float64 `json:"hist"`
	Watch     []*float64 `json:"watch"`
	Status    string     `json:"status"`
	Score     []float64  `json:"score"`
	Culprit   string     `json:"culprit"`
	W, M      int
}

func values(v []*float64) []float64 {
	out := make([]float64, len(v))
	for i, p := range v {
		if out[i] = math.NaN(); p != nil {
			out[i] = *p
		}
	}
	return out
}

func direction(name string) placebo.Direction {
	return map[string]placebo.Direction{"higher": placebo.Higher, "lower": placebo.Lower, "either": placebo.Either}[name]
}

func name(f placebo.Family) string {
	return map[placebo.Family]string{placebo.None: "", placebo.Short: "short", placebo.Long: "long", placebo.Median: "median",
		placebo.Variance: "variance", placebo.Rough: "rough", placebo.Flat: "flat"}[f]
}

func TestAgreesWithAnIndependentImplementation(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []golden
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			watch := values(c.Watch)
			test := placebo.New(values(c.Hist), placebo.Settings{Step: c.Step, Watch: len(watch), Direction: direction(c.Direction), MinEffect: c.MinEffect})
			if ok := test.Lack() == placebo.Nothing; ok != (c.Status == "ok") {
				t.Fatalf("lack %v, want status %s", test.Lack(), c.Status)
			}
			if test.Lack() != placebo.Nothing {
				return
			}
			if _, w := test.Steps(); w != c.W {
				t.Fatalf("%d steps are judged, want %d", w, c.W)
			}
			if m, _ := test.Placebos(); m != c.M {
				t.Fatalf("%d placebos, want %d", m, c.M)
			}
			for i, y := range watch {
				if got := test.Observe(y); math.Abs(got-c.Score[i]) > 1e-8*(1+math.Abs(c.Score[i])) {
					t.Fatalf("score %v at step %d, want %v", got, i, c.Score[i])
				}
			}
			if got := name(test.Finding().Family); got != c.Culprit {
				t.Errorf("culprit %s, want %s", got, c.Culprit)
			}
		})
	}
}
