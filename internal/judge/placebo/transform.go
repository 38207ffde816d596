package placebo

import (
	"math"
	"slices"
)

// scale turns values into numbers whose noise does not depend on their level.
type scale struct {
	kind   kind
	offset float64 // added before a logarithm
	top    float64 // values are judged by what they lack to it; 0: by themselves
}

type kind int

const (
	raw kind = iota
	square
	logarithm
)

// value turns a percentage near its ceiling into its complement: from 99.9 to 99.5 there are five times as many errors.
func (s *scale) value(y float64) float64 {
	if s.top > 0 {
		return s.top - math.Min(y, s.top)
	}
	return y
}

func (s *scale) of(v float64) float64 {
	switch s.kind {
	case logarithm:
		return math.Log(math.Max(v, 0) + s.offset)
	case square:
		return math.Sqrt(math.Max(v, 0) + 0.375)
	case raw:
	}
	return v
}

// back is the value that of and value turned into x.
func (s *scale) back(x float64) float64 {
	v := x
	switch s.kind {
	case logarithm:
		v = math.Exp(x) - s.offset
	case square:
		v = math.Max(0, x)*math.Max(0, x) - 0.375
	case raw:
	}
	if s.top > 0 {
		return s.top - v
	}
	return v
}

// ceiling finds out whether values are shares or percentages near their ceiling.
func ceiling(y []float64) float64 {
	if slices.Min(y) < 0 {
		return 0
	}
	middle, most, top := median(y), slices.Max(y), 0.0
	for _, c := range [][2]float64{{1, 0.9}, {100, 90}} {
		if middle > c[1] && most <= c[0]*1.000001 {
			top = c[0]
		}
	}
	return top
}

// choose fixes the kind, by how the noise within a piece of the history grows with the level of the piece.
func (s *scale) choose(v []float64) {
	n := len(v)
	if n == 0 || slices.Min(v) < 0 {
		return
	}
	k := max(8, min(30, n/40))
	m := n / k
	if m < 6 {
		return
	}
	level, noise := pieces(v[n-m*k:], k)
	if g := len(level); g < 6 || float64(g) < 0.3*float64(m) {
		if slices.Contains(v, 0) && whole(v) {
			s.kind = square
		}
		return
	}
	sorted := slices.Clone(v)
	slices.Sort(sorted)
	positive, _ := slices.BinarySearch(sorted, math.SmallestNonzeroFloat64)
	offset := 0.5 * quantile(sorted[positive:], 0.05)
	if deviation(level) < 0.05 {
		if !(quantile(sorted, 0.99) < 3*median(v)) {
			s.kind, s.offset = logarithm, offset
		}
		return
	}
	switch slope := growth(level, noise); {
	case slope > 0.75:
		s.kind, s.offset = logarithm, offset
	case slope > 0.25:
		s.kind = square
	}
}

// pieces returns the logarithms of level and noise of each piece of k values that has both.
func pieces(v []float64, k int) (level, noise []float64) {
	diff := make([]float64, k-1)
	for b := 0; b < len(v); b += k {
		for i := range diff {
			diff[i] = math.Abs(v[b+i+1] - v[b+i])
		}
		l, d := median(v[b:b+k]), medianOf(diff)
		if l > 0 && d > 0 {
			level, noise = append(level, math.Log(l)), append(noise, math.Log(d))
		}
	}
	return level, noise
}

func whole(v []float64) bool {
	return !slices.ContainsFunc(v, func(x float64) bool { return x != math.Floor(x) })
}

func deviation(v []float64) float64 {
	m, sum := mean(v), 0.0
	for _, x := range v {
		sum += (x - m) * (x - m)
	}
	return math.Sqrt(sum / float64(len(v)))
}

// growth is the slope of noise over level, from the lowest to the highest third.
func growth(level, noise []float64) float64 {
	g := len(level)
	order := make([]int, g)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case level[a] < level[b]:
			return -1
		case level[a] > level[b]:
			return 1
		}
		return 0
	})
	q := max(2, g/3)
	pick := func(v []float64, at []int) float64 {
		out := make([]float64, len(at))
		for i, k := range at {
			out[i] = v[k]
		}
		return medianOf(out)
	}
	low, high := order[:q], order[g-q:]
	return (pick(noise, high) - pick(noise, low)) / (pick(level, high) - pick(level, low) + 1e-9)
}
