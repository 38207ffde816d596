package usual

import (
	"bufio"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// intermediate reads the samples of Kayenta's own test of its intermediate values.
func intermediate(t *testing.T) (x, y []float64) {
	t.Helper()
	f, err := os.Open("testdata/kayenta-intermediate.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		name, rest, _ := strings.Cut(in.Text(), " ")
		into := map[string]*[]float64{"x": &x, "y": &y}[name]
		if into == nil {
			continue
		}
		for _, word := range strings.Fields(rest) {
			v, err := strconv.ParseFloat(word, 64)
			if err != nil {
				t.Fatal(err)
			}
			*into = append(*into, v)
		}
	}
	return x, y
}

// Kayenta expects these numbers of itself, to 1e-6. They are not those of exact arithmetic: nearly all values are
// tied, and the solver stops beside the step. To agree with it, one must err as it does.
func TestMannWhitneyErrsAsKayentaDoes(t *testing.T) {
	x, y := intermediate(t)
	s := shifts{slices.Sorted(slices.Values(x)), slices.Sorted(slices.Values(y))}
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"statistic at the smallest shift", s.statistic(-3.124999999999986) - 1.9599639845400536, 17.090968923762254},
		{"statistic at the largest shift", s.statistic(5.555555555555557) - 1.9599639845400536, -20.997687930433106},
	} {
		if math.Abs(c.got-c.want) > 1e-6 {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
	low, high, estimate, ok := mannWhitney(x, y, 0.95)
	if !ok || math.Abs(low-3.521755377702165e-5) > 1e-9 || math.Abs(high-2.02456461662334e-5) > 1e-9 || math.Abs(estimate-2.6279243045155653e-5) > 1e-9 {
		t.Errorf("got %v to %v, estimate %v", low, high, estimate)
	}
	low, high, estimate, _ = mannWhitney([]float64{10, 20, 30, 40}, []float64{1, 2, 3, 4}, 0.95)
	if math.Abs(low-6) > 1e-6 || math.Abs(high-39) > 1e-6 || math.Abs(estimate-22.5) > 1e-6 {
		t.Errorf("four against four: got %v to %v, estimate %v, want 6 to 39, 22.5", low, high, estimate)
	}
}

func repeat(v float64, n int) []float64 { return slices.Repeat([]float64{v}, n) }

func TestKayentaClassifiesAsItsTestsSay(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name             string
		metric           Metric
		baseline, canary []float64
		want             Classification
	}{
		{"mean ratio, high", Metric{AllowedIncrease: 1.2, AllowedDecrease: 0.8}, []float64{1, 2.2, 1.1, 2.5, 3}, []float64{20, 22, 21, 25, 30}, High},
		{"mean ratio, not low enough", Metric{AllowedDecrease: 0.5}, []float64{20, 22, 21, 25, 30}, []float64{10, 12.2, 10.1, 12.5, 23}, Pass},
		{"an increase that is allowed", Metric{AllowedIncrease: 13, AllowedDecrease: 1}, []float64{1, 2.2, 1.1, 2.5, 3}, []float64{20, 22, 21, 25, 30}, Pass},
		{"tied", Metric{}, repeat(1, 2), repeat(1, 3), Pass},
		{"the same in another order", Metric{}, []float64{5, 4, 3, 2, 1}, []float64{1, 2, 3, 4, 5}, Pass},
		{"nearly all the same", Metric{}, repeat(1, 5), []float64{1, 1, 1, 1, 10}, Pass},
		{"two constants", Metric{}, repeat(1, 5), repeat(10, 5), High},
		{"a constant against zeros", Metric{}, repeat(0, 5), repeat(10, 5), High},
		{"zeros before", Metric{AllowedIncrease: 1.2}, repeat(0, 5), []float64{54.9, 54.5, 55.1, 55.6, 57.4}, High},
		{"zeros after", Metric{AllowedDecrease: 0.8}, []float64{54.9, 54.5, 55.1, 55.6, 57.4}, repeat(0, 5), Low},
		{"lower is better", Metric{Direction: Increase}, []float64{54.9, 54.5, 55.1, 55.6, 57.4}, repeat(0, 5), Pass},
		{"no data", Metric{}, []float64{1, 2, 3, 4, 5}, []float64{nan, nan}, Nodata},
		{"no data, needed", Metric{MustHaveData: true}, []float64{1, 2, 3, 4, 5}, nil, NodataFailMetric},
		{"no data, read as zeros", Metric{Zeros: true}, []float64{1, 2, 3, 4, 5}, nil, Pass},
		{"one value against one cannot be tested", Metric{}, []float64{1}, []float64{2}, Error},
		{"two against two, apart", Metric{}, []float64{1, 2}, []float64{100, 101}, High},
		{"four against four, apart", Metric{}, []float64{1, 2, 3, 4}, []float64{10, 20, 30, 40}, High},
	} {
		if got := c.metric.Classify(c.baseline, c.canary).Classification; got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// What Kayenta does not see, and what it sees too well. The first two were reported to it: spinnaker/spinnaker#6278 and
// kayenta#426.
func TestKayentasBlindSpots(t *testing.T) {
	byDefault := Metric{}
	if got := byDefault.Classify(repeat(1, 10), append(repeat(100, 7), repeat(1, 3)...)); got.Classification != Pass {
		t.Errorf("7 of 10 values a hundred times too high: got %s", got.Classification)
	}
	if got := byDefault.Classify(repeat(0, 6), []float64{0, 1, 2, 1, 0, 0}); got.Classification != Pass {
		t.Errorf("errors where there were none: got %s", got.Classification)
	}
	fast, slow := make([]float64, 60), make([]float64, 60)
	for i := range fast {
		wobble := 0.02 * normalQuantile((float64((i*37)%60)+0.5)/60)
		fast[i], slow[i] = 100+wobble, 100.1+wobble
	}
	if got := byDefault.Classify(fast, slow); got.Classification != High {
		t.Errorf("slower by a thousandth: got %s", got.Classification)
	}
}

func TestKayentaScores(t *testing.T) {
	for _, c := range []struct {
		name    string
		results []Result
		want    float64
	}{
		{"all pass", []Result{{Classification: Pass}, {Classification: Pass}}, 100},
		{"one of four high", []Result{{Classification: Pass}, {Classification: Pass}, {Classification: Pass}, {Classification: High}}, 75},
		{"a critical one", []Result{{Classification: Pass}, {Classification: Pass}, {High, true}}, 0},
		{"half without data", []Result{{Classification: Pass}, {Classification: Nodata}}, 0},
		{"a third without data", []Result{{Classification: Pass}, {Classification: Pass}, {Classification: Nodata}}, 100},
		{"nothing could be computed", []Result{{Classification: Error}}, 100},
	} {
		if got := Score(c.results); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if !Failed(75, 75) || Failed(75.1, 75) {
		t.Error("a running canary fails at the marginal score itself")
	}
}

func TestOutliersAreRemovedOnRequest(t *testing.T) {
	values := append(repeat(1, 300), 1000)
	if got := (Metric{RemoveOutliers: true}).clean(values); len(got) != 300 {
		t.Errorf("%d values left", len(got))
	}
	if got := (Metric{}).clean(values); len(got) != 301 {
		t.Errorf("%d values left by default", len(got))
	}
}

func TestArgoBearsAsManyFailuresAsItsLimit(t *testing.T) {
	a := Argo{Min: 0.95, FailureLimit: 3}
	for i, c := range []struct {
		value float64
		fails bool
	}{{0.94, false}, {1, false}, {math.NaN(), false}, {0.5, false}, {0.95, false}, {0.9, true}} {
		if got := a.Measure(c.value); got != c.fails {
			t.Errorf("measurement %d: failed %v", i+1, got)
		}
	}
	b := Argo{Min: 0.95}
	if !b.Measure(0.9) {
		t.Error("by default the first failure ends the run")
	}
	c := Argo{Min: 0.95}
	for i := range 6 {
		if i == 3 {
			c.Measure(1) // an answer forgives the errors before it
		}
		if c.Err() {
			t.Fatalf("error %d ended the run", i+1)
		}
	}
	if c.Err(); !c.Err() {
		t.Error("the fifth error in a row ends the run")
	}
}

func TestFlaggerNeverForgives(t *testing.T) {
	f := Flagger{Min: 0.99, Max: math.NaN(), Threshold: 3}
	for i, c := range []struct {
		value float64
		fails bool
	}{{0.98, false}, {1, false}, {math.NaN(), false}, {1, false}, {0.5, true}} {
		if got := f.Check(c.value); got != c.fails {
			t.Errorf("check %d: failed %v", i+1, got)
		}
	}
	slow := Flagger{Min: math.NaN(), Max: 0.5}
	if slow.Check(0.5) || !slow.Check(0.51) {
		t.Error("by default the first check beyond the range ends it")
	}
}

// The time to roll back that Flagger's manual gives is interval times threshold; Argo's is one interval more than its
// limit says.
func TestRulesActAtTheEndOfTheirWindows(t *testing.T) {
	for _, c := range []struct {
		name string
		rule Rule
		want float64
	}{
		{"argo", NewArgo(0.99, 3, 60), 240},
		{"flagger", NewFlagger(0.99, 5, 60), 300},
		{"kayenta", NewKayenta(600), 600},
	} {
		at := 0.0
		for i := 1; i <= 3600 && at == 0; i++ {
			if c.rule.Observe(float64(i), Counts{20, 1}, Counts{180, 1}) {
				at = float64(i)
			}
		}
		if at != c.want {
			t.Errorf("%s: acts at %v s, want %v", c.name, at, c.want)
		}
	}
}

func TestNoTrafficIsAFailureToThem(t *testing.T) {
	for name, rule := range map[string]Rule{"argo": NewArgo(0.95, 3, 60), "flagger": NewFlagger(0.99, 1, 60), "kayenta": NewKayenta(600)} {
		acted := false
		for i := 1; i <= 600; i++ {
			acted = acted || rule.Observe(float64(i), Counts{}, Counts{180, 1})
		}
		if !acted {
			t.Errorf("%s: a candidate without traffic is kept", name)
		}
	}
}
