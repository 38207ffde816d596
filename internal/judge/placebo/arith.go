package placebo

import (
	"math"
	"slices"
)

// quantile of sorted values, between order statistics; 0 of none.
func quantile(sorted []float64, q float64) float64 {
	n := len(sorted)
	if n == 0 {
		return 0
	}
	at := q * float64(n-1)
	i := int(at)
	if i >= n-1 {
		return sorted[n-1]
	}
	a, b, part := sorted[i], sorted[i+1], at-float64(i)
	if part >= 0.5 {
		return b - (b-a)*(1-part)
	}
	return a + (b-a)*part
}

// medianOf sorts v.
func medianOf(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	if n == 0 {
		return 0
	}
	if n%2 == 1 {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}

func median(v []float64) float64 { return medianOf(slices.Clone(v)) }

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

func half(x float64) int { return int(math.Floor(x + 0.5)) }

// soft is z up to the bound c and grows with the logarithm beyond it: a far outlier counts, but cannot carry a long
// window alone.
func soft(z, c float64) float64 {
	switch {
	case z > c:
		return c * (1 + math.Log(z/c))
	case z < -c:
		return -c * (1 + math.Log(-z/c))
	}
	return z
}

// spread gives k whole numbers from 0 to last, evenly, each once.
func spread(k, last int) []int {
	out := make([]int, 0, k)
	for i := range k {
		at := half(float64(last) * float64(i) / float64(max(1, k-1)))
		if len(out) == 0 || at != out[len(out)-1] {
			out = append(out, at)
		}
	}
	return out
}

// interpolate draws straight lines through the values v at the places at, over 0 to n-1.
func interpolate(at []int, v []float64, n int) []float64 {
	out := make([]float64, n)
	k := 0
	for i := range out {
		for k+1 < len(at) && at[k+1] <= i {
			k++
		}
		switch {
		case i <= at[0]:
			out[i] = v[0]
		case k == len(at)-1:
			out[i] = v[k]
		default:
			out[i] = v[k] + (v[k+1]-v[k])/float64(at[k+1]-at[k])*float64(i-at[k])
		}
	}
	return out
}

// sums are running sums: the sum of v[i:j] is sums[j]-sums[i].
func sums(v []float64) []float64 {
	out := make([]float64, len(v)+1)
	for i, x := range v {
		out[i+1] = out[i] + x
	}
	return out
}

// smooth averages over k values on either side, fewer at the ends.
func smooth(v []float64, k int) []float64 {
	if k <= 0 {
		return slices.Clone(v)
	}
	c, n := sums(v), len(v)
	out := make([]float64, n)
	for i := range out {
		a, b := max(0, i-k), min(n, i+k+1)
		out[i] = (c[b] - c[a]) / float64(b-a)
	}
	return out
}

// levels are the medians of the k values before each start.
func levels(v []float64, starts []int, k int) []float64 {
	out, buf := make([]float64, len(starts)), make([]float64, 0, k)
	for i, s := range starts {
		buf = append(buf[:0], v[max(0, s-k):s]...)
		out[i] = medianOf(buf)
	}
	return out
}

// table holds a row of w values for each placebo.
type table struct {
	w int
	v []float64
}

func newTable(rows, w int) table { return table{w, make([]float64, rows*w)} }

func (t table) rows() int           { return len(t.v) / t.w }
func (t table) row(i int) []float64 { return t.v[i*t.w : (i+1)*t.w] }

// column writes the values at horizon h into buf.
func (t table) column(h int, buf []float64) []float64 {
	buf = buf[:0]
	for i := h; i < len(t.v); i += t.w {
		buf = append(buf, t.v[i])
	}
	return buf
}

// each makes a table by rows.
func (t table) each(of func(row, out []float64)) table {
	out := table{t.w, make([]float64, len(t.v))}
	for i := range t.rows() {
		of(t.row(i), out.row(i))
	}
	return out
}

// trailingMean is the mean of the last n values of a row; 0 where there are fewer.
func trailingMean(row, out []float64, n int) {
	sum := 0.0
	c := make([]float64, len(row)+1)
	for i, x := range row {
		sum += x
		c[i+1] = sum
		if i >= n-1 {
			out[i] = (sum - c[i+1-n]) / float64(n)
		}
	}
}

// trailingMedian is the median of the last n values, n odd; 0 where there are fewer.
func trailingMedian(row, out []float64, n int) {
	window := make([]float64, 0, n+1)
	for i, x := range row {
		window = insert(window, x)
		if len(window) > n {
			window = remove(window, row[i-n])
		}
		if i >= n-1 {
			out[i] = window[n/2]
		}
	}
}

func insert(sorted []float64, x float64) []float64 {
	at, _ := slices.BinarySearch(sorted, x)
	return slices.Insert(sorted, at, x)
}

func remove(sorted []float64, x float64) []float64 {
	at, _ := slices.BinarySearch(sorted, x)
	return slices.Delete(sorted, at, at+1)
}
