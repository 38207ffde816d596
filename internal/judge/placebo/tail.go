package placebo

import (
	"math"
	"slices"
	"sort"
)

// same is by how much two statistics of the same thing differ by rounding.
const same = 1e-9

// tail is the law of the largest statistic of a family over a watch, when nothing changed.
type tail struct {
	from    float64 // the power law begins here
	inverse float64 // its inverse index
	sorted  []float64
}

// newTail takes the largest statistic of each placebo. The Hill estimate counts as many exceedances as there can be
// independent ones, and is drawn towards the prior.
func newTail(largest []float64, prior, watches float64) *tail {
	for i, a := range largest {
		largest[i] = math.Max(a, 1)
	}
	slices.Sort(largest)
	t := &tail{from: quantile(largest, tailQuantile), sorted: largest}
	sum, n := 0.0, 0.0
	for _, a := range largest {
		if a > t.from {
			sum += math.Log(a / t.from)
			n++
		}
	}
	hill := 0.0
	if n > 0 {
		hill = sum / n
	}
	fresh := math.Min(n, math.Max((1-tailQuantile)*watches, 0.2))
	t.inverse = (priorWeight*prior + fresh*hill) / (priorWeight + fresh)
	return t
}

// atLeast counts the placebos that were at least as bad.
func (t *tail) atLeast(a float64) int {
	return len(t.sorted) - sort.SearchFloat64s(t.sorted, math.Max(a, 1)*(1-same))
}

// score is -ln p: counted within the placebos, by the power law beyond.
func (t *tail) score(a float64) float64 {
	const rest = 1 - tailQuantile
	if a > t.from*(1+same) {
		return -math.Log(rest) + math.Log(a/t.from)/t.inverse
	}
	return -math.Log(math.Max(float64(1+t.atLeast(a))/(float64(len(t.sorted))+1), rest))
}
