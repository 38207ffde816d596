package metric

import (
	"reflect"
	"testing"
)

func TestHistogramArithmetic(t *testing.T) {
	before := &Histogram{LE: []float64{0.25, 0.5}, Count: []float64{0, 4}, N: 4, Sum: 2}
	now := &Histogram{LE: []float64{0.25, 0.5, 2, 4}, Count: []float64{0, 6, 6, 7}, N: 8, Sum: 9}
	for name, c := range map[string]struct{ got, want *Histogram }{
		"since":         {now.Since(before), &Histogram{LE: now.LE, Count: []float64{0, 2, 2, 3}, N: 4, Sum: 7}},
		"since birth":   {now.Since(nil), now},
		"since itself":  {now.Since(now), &Histogram{LE: now.LE, Count: []float64{0, 0, 0, 0}}},
		"sparse":        {now.Since(before).Sparse(), &Histogram{LE: now.LE, Count: []float64{0, 2, 2, 3}, N: 4, Sum: 7}},
		"sparse hole":   {(&Histogram{LE: []float64{1, 2, 3, 4, 5}, Count: []float64{0, 0, 3, 3, 3}, N: 3}).Sparse(), &Histogram{LE: []float64{2, 3}, Count: []float64{0, 3}, N: 3}},
		"sparse lowest": {(&Histogram{LE: []float64{1, 2}, Count: []float64{3, 3}, N: 3}).Sparse(), &Histogram{LE: []float64{1}, Count: []float64{3}, N: 3}},
		"plus":          {before.Plus(&Histogram{LE: []float64{0.5, 1}, Count: []float64{1, 2}, N: 3, Sum: 3}), &Histogram{LE: []float64{0.25, 0.5, 1}, Count: []float64{0, 5, 6}, N: 7, Sum: 5}},
		"scaled":        {(&Histogram{LE: []float64{250}, Count: []float64{1}, N: 2, Sum: 900}).Scaled(0.001), &Histogram{LE: []float64{0.25}, Count: []float64{1}, N: 2, Sum: 0.9}},
		// Finer buckets were merged to coarser ones in between: what was in them is not lost.
		"merged scale": {(&Histogram{LE: []float64{1, 4}, Count: []float64{0, 5}, N: 5}).Since(&Histogram{LE: []float64{1, 2, 4}, Count: []float64{0, 2, 3}, N: 3}), &Histogram{LE: []float64{1, 4}, Count: []float64{0, 2}, N: 2}},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, c.got, c.want)
		}
	}
	if now.Fell(before) || !before.Fell(now) || !now.Fell(nil) {
		t.Error("Fell is wrong about growth")
	}
	if !(&Histogram{LE: []float64{0.5}, Count: []float64{3}, N: 9}).Fell(before) {
		t.Error("a bucket that shrank while the count grew is a reset")
	}
}
