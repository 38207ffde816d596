package metric

import (
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/belaydev/belay"
)

func contains(s, sub string) bool { return strings.Contains(s, sub) }

func TestSamplesAreLeftOpenAndRightClosed(t *testing.T) {
	s := open(t)
	load(t, s, row{l: `a{i="1"}`, t: 1, v: 10}, row{l: `a{i="1"}`, t: 2, v: 20}, row{l: `a{i="1"}`, t: 3, v: 5}, row{l: `a{i="0"}`, t: 2, v: 7}, row{l: `b`, t: 2, v: 1})
	both(t, s, func(t *testing.T, r Reader) {
		got := samples(t, r, `a`, 1, 3)
		if len(got) != 2 || got[0].Labels["i"] != "0" || got[1].Labels["i"] != "1" || got[1].Name() != "a" {
			t.Fatalf("got %v, want series 0 and 1 of a", got)
		}
		if v := values(got[1]); !reflect.DeepEqual(v, [][2]float64{{2, 20}, {3, 5}}) {
			t.Errorf("got %v, want the samples at 2 and 3", v)
		}
		if got := samples(t, r, `{__name__=~"a|b",i!="1"}`, 0, 3); len(got) != 2 || got[0].Name() != "a" || got[1].Name() != "b" {
			t.Errorf("matchers: got %v, want one of a and one of b", got)
		}
		if got := samples(t, r, `nothing`, 0, 3); len(got) != 0 {
			t.Errorf("got %v of a series that does not exist", got)
		}
		if got := samples(t, r, `a`, 3, 3); len(got) != 0 {
			t.Errorf("got %v of an empty span", got)
		}
	})
}

func TestStaleMarkersEndASeries(t *testing.T) {
	s := open(t)
	load(t, s, row{l: `a`, t: 1, v: 1}, row{l: `a`, t: 2, v: stale()}, row{l: `a`, t: 4, v: 3}, row{l: `a`, t: 5, v: stale()}, row{l: `n`, t: 1, v: math.NaN()})
	both(t, s, func(t *testing.T, r Reader) {
		if v := values(samples(t, r, `a`, 0, 9)[0]); !reflect.DeepEqual(v, [][2]float64{{1, 1}, {4, 3}}) {
			t.Errorf("got %v, want the two samples without the markers", v)
		}
		if got := samples(t, r, `a`, 4, 9); len(got) != 0 {
			t.Errorf("got %v, want no series that has only a marker", got)
		}
		for at, want := range map[float64]int{1.5: 1, 2.5: 0, 4.5: 1, 6: 0} {
			if got, err := r.Eval(t.Context(), `a`, sec(at)); err != nil || len(got) != want {
				t.Errorf("Eval at %v: got %v, %v, want %d series", at, got, err, want)
			}
		}
		if got := samples(t, r, `n`, 0, 9); len(got) != 1 || !math.IsNaN(got[0].Points[0].V) {
			t.Errorf("got %v, want a NaN that an application wrote", got)
		}
	})
}

func TestNativeHistogramsAreFlattened(t *testing.T) {
	s := open(t)
	h := native(4)
	load(t, s, row{l: `h`, t: 1, h: h}, row{l: `h`, t: 2, h: native(6)}, row{l: `f`, t: 1, f: native(4).ToFloat(nil)},
		row{l: `neg`, t: 1, h: &histogram.Histogram{Count: 2, Sum: -3, NegativeSpans: []histogram.Span{{Length: 1}, {Offset: 0, Length: 1}}, NegativeBuckets: []int64{1, 0}}},
		row{l: `custom`, t: 1, h: &histogram.Histogram{Schema: histogram.CustomBucketsSchema, Count: 3, Sum: 4, CustomValues: []float64{0.5, 1}, PositiveSpans: []histogram.Span{{Length: 3}}, PositiveBuckets: []int64{1, 0, 0}}})
	// Zero bucket [-1e-128, 1e-128], (0.5, 1], (1, 2], then a hole, (8, 16].
	want := &Histogram{LE: []float64{-1e-128, 1e-128, 0.5, 1, 2, 8, 16}, Count: []float64{0, 1, 1, 5, 9, 9, 13}, N: 13, Sum: 20}
	both(t, s, func(t *testing.T, r Reader) {
		got := samples(t, r, `h`, 0, 9)
		if len(got) != 1 || len(got[0].Points) != 2 || !reflect.DeepEqual(got[0].Points[0].H, want) || got[0].Points[1].H.N != 19 {
			t.Errorf("integer: got %+v, want %+v", got[0].Points[0].H, want)
		}
		if got := samples(t, r, `f`, 0, 9); !reflect.DeepEqual(got[0].Points[0].H, want) {
			t.Errorf("float: got %+v, want %+v", got[0].Points[0].H, want)
		}
		if got, w := samples(t, r, `neg`, 0, 9)[0].Points[0].H, (&Histogram{LE: []float64{-2, -1, -0.5}, Count: []float64{0, 1, 2}, N: 2, Sum: -3}); !reflect.DeepEqual(got, w) {
			t.Errorf("negative: got %+v, want %+v", got, w)
		}
		if got, w := samples(t, r, `custom`, 0, 9)[0].Points[0].H, (&Histogram{LE: []float64{0.5, 1}, Count: []float64{1, 2}, N: 3, Sum: 4}); !reflect.DeepEqual(got, w) {
			t.Errorf("custom buckets: got %+v, want %+v", got, w)
		}
		ev, err := r.Eval(t.Context(), `h`, sec(1))
		if err != nil || len(ev) != 1 || !reflect.DeepEqual(ev[0].Points[0].H, want) {
			t.Errorf("Eval: got %+v, %v, want %+v", ev, err, want)
		}
	})
	for le, n := range map[float64]float64{-1: 0, 0.3: 1, 1: 5, 1.5: 5, 5: 9, 16: 13, 99: 13} {
		if got := want.At(le); got != n {
			t.Errorf("At(%v) = %v, want %v", le, got, n)
		}
	}
}

func TestEval(t *testing.T) {
	s := open(t)
	load(t, s, row{l: `a{i="1"}`, t: 0, v: 0}, row{l: `a{i="1"}`, t: 60, v: 60}, row{l: `a{i="2"}`, t: 60, v: 8}, row{l: `big`, t: 60, v: math.Inf(1)})
	both(t, s, func(t *testing.T, r Reader) {
		for expr, want := range map[string]float64{`sum(a)`: 68, `max(a)`: 60, `1+2`: 3, `time()`: float64(sec(60).Unix()), `big`: math.Inf(1), `count(a) or vector(0)`: 2} {
			got, err := r.Eval(t.Context(), expr, sec(60))
			if err != nil || len(got) != 1 || got[0].Points[0].V != want || !got[0].Points[0].T.Equal(sec(60)) {
				t.Errorf("Eval(%s) = %v, %v, want %v", expr, got, err, want)
			}
		}
		got, err := r.Eval(t.Context(), `a * 2`, sec(60))
		if err != nil || len(got) != 2 || !reflect.DeepEqual(got[0].Labels, map[string]string{"i": "1"}) || got[1].Points[0].V != 16 {
			t.Errorf("got %v, %v, want two series without a name, ordered", got, err)
		}
		if got, err := r.Eval(t.Context(), `nothing`, sec(60)); err != nil || len(got) != 0 {
			t.Errorf("got %v, %v, want nothing and no error", got, err)
		}
	})
}

func TestWrongQuestions(t *testing.T) {
	s := open(t)
	load(t, s, row{l: `a`, t: 0, v: 0}, row{l: `l{x="1"}`, t: 0, v: 1}, row{l: `l{x="2"}`, t: 0, v: 1})
	both(t, s, func(t *testing.T, r Reader) {
		for sel, text := range map[string]string{`rate(a[1m])`: `name{label="value"}`, `a{`: "read metric selector", `{}`: "selector", ``: "selector", `a[1m]`: "selector"} {
			_, err := r.Samples(t.Context(), sel, sec(0), sec(1))
			wantCode(t, err, belay.CodeInvalid, text)
		}
		_, err := r.Eval(t.Context(), `sum(`, sec(0))
		wantCode(t, err, belay.CodeInvalid, "parse error")
		_, err = r.Eval(t.Context(), `a[1m]`, sec(0))
		wantCode(t, err, belay.CodeInvalid, "gives a matrix")
		_, err = r.Eval(t.Context(), `"text"`, sec(0))
		wantCode(t, err, belay.CodeInvalid, "gives a string")
		_, err = r.Eval(t.Context(), `a + on() l`, sec(0))
		wantCode(t, err, belay.CodeInvalid, "found duplicate series")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("the watch ended"))
		if _, err = r.Eval(ctx, `a`, sec(0)); err == nil {
			t.Error("a cancelled question was answered")
		}
		if err := r.Ready(t.Context()); err != nil {
			t.Errorf("not ready: %v", err)
		}
	})
	if err := CheckExpr(`sum(rate(a[5m]))`); err != nil {
		t.Error(err)
	}
	wantCode(t, CheckExpr(`sum(rate(a[5m])`), belay.CodeInvalid, "parse error")
}
