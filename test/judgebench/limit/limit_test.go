package limit_test

import (
	"math"
	"testing"

	"github.com/belaydev/belay/test/judgebench/limit"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s: got %.4f, want %.4f", what, got, want)
	}
}

// The limits from 0.5 % of errors, 1 % of false rollbacks, worked out by hand and kept to the digits of the table.
func TestLimitsOfErrorRates(t *testing.T) {
	for _, c := range []struct{ bad, known, both, answers float64 }{
		{0.0075, 8463, 95477, 71.6},
		{0.01, 2369, 27077, 27.1},
		{0.02, 359, 4274, 8.5},
		{0.05, 65, 836, 4.2},
		{0.10, 22, 308, 3.1},
		{0.50, 2, 40, 2.0},
	} {
		p := limit.Pair{Bad: c.bad, Usual: 0.005, Share: 0.1}
		near(t, "requests of the candidate, usual rate known", limit.Known(c.bad, 0.005, 0.01), c.known, 0.6)
		near(t, "requests of both", p.Requests(1, 0.01), c.both, 0.6)
		near(t, "bad answers", p.BadAnswers(1, 0.01), c.answers, 0.05)
	}
}

func TestMarginCostsMostWhereRegressionsAreSmall(t *testing.T) {
	for _, c := range []struct{ bad, narrow, wide float64 }{
		{0.01, 56.0, 143.5}, {0.02, 11.7, 15.9}, {0.05, 5.0, 5.9}, {0.10, 3.5, 4.0},
	} {
		p := limit.Pair{Bad: c.bad, Usual: 0.005, Share: 0.1}
		near(t, "margin 1.25", p.BadAnswers(1.25, 0.01), c.narrow, 0.06)
		near(t, "margin 1.5", p.BadAnswers(1.5, 0.01), c.wide, 0.06)
	}
	if p := (limit.Pair{Bad: 0.0075, Usual: 0.005, Share: 0.1}); !math.IsInf(p.Requests(1.5, 0.01), 1) {
		t.Error("a rate within the margin cannot be told from what is accepted")
	}
}

// Small canaries do not protect users: bad answers until the fault is found hardly depend on the share.
func TestBadAnswersHardlyDependOnTheShare(t *testing.T) {
	for share, want := range map[float64]float64{0.01: 24.0, 0.05: 25.3, 0.10: 27.1, 0.25: 33.8, 0.50: 53.8} {
		near(t, "bad answers", limit.Pair{Bad: 0.01, Usual: 0.005, Share: share}.BadAnswers(1, 0.01), want, 0.06)
	}
}

func TestFloorCountsWhereItIsHarderThanTheRatio(t *testing.T) {
	p := limit.Pair{Bad: 0.0025, Usual: 0.0001, Share: 0.1}
	if without, with := p.Floored(1, 0, 0.01), p.Floored(1, 0.002, 0.01); with <= without {
		t.Errorf("floor just below the rate: %.0f requests, without it %.0f", with, without)
	}
	near(t, "floor far below the rate", p.Floored(1, 1e-6, 0.01), p.Requests(1, 0.01), 1e-9)
}

func TestOtherLimits(t *testing.T) {
	near(t, "Poisson is the limit of rare events", limit.KL(2e-6, 1e-6)/limit.Poisson(2e-6, 1e-6), 1, 1e-5)
	two := limit.Distributions([]float64{0.02, 0.98}, []float64{0.005, 0.995}, 0.1, 0.01)
	near(t, "two classes are an error rate", two, limit.Pair{Bad: 0.02, Usual: 0.005, Share: 0.1}.Requests(1, 0.01), 0.5)
	near(t, "bad answers that prove health, share 10 %, twice as bad, 5 %", limit.Healthy(0.1, 2, 0.05), math.Log(20)/limit.KL(0.1, 0.2/1.1), 1e-9)
}
