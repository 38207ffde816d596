package placebo

import (
	"math"
	"slices"
)

// forecast is the average of the forecasts, each weighted by the errors that it makes on the placebos, per block of
// horizons: what is best in a minute need not be best in an hour.
func (d *deployments) forecast(step float64) table {
	all := d.forecasts(step)
	out := newTable(len(d.starts), d.w)
	edges := blocks(d.w)
	for i := range len(edges) - 1 {
		from, to := edges[i], edges[i+1]
		weights := d.weights(all, from, to)
		for j, f := range all {
			for r := range d.starts {
				row, mine := out.row(r), f.row(r)
				for h := from; h < to; h++ {
					row[h] += weights[j] * mine[h]
				}
			}
		}
	}
	return out
}

// blocks are the edges of blocks of horizons, growing geometrically.
func blocks(w int) []int {
	n := max(1, min(6, w/8))
	var edges []int
	for i := range n + 1 {
		e := half(math.Exp(math.Log(float64(w)) * float64(i) / float64(n)))
		if len(edges) == 0 || e != edges[len(edges)-1] {
			edges = append(edges, e)
		}
	}
	edges[0] = 0
	return edges
}

func (d *deployments) weights(all []table, from, to int) []float64 {
	weights := make([]float64, len(all))
	errs := make([]float64, d.m)
	for j, f := range all {
		for i := range d.m {
			sum := 0.0
			for h := from; h < to; h++ {
				sum += d.actual.row(i)[h] - f.row(i)[h]
			}
			errs[i] = math.Abs(sum / float64(to-from))
		}
		slices.Sort(errs)
		most, capped := quantile(errs, 0.9), 0.0
		for _, e := range errs {
			capped += math.Min(e, most)
		}
		weights[j] = medianOf(errs) + 0.25*capped/float64(d.m) + 1e-12
	}
	least, sum := slices.Min(weights), 0.0
	for j, e := range weights {
		weights[j] = math.Pow(e/least, -sharpness)
		sum += weights[j]
	}
	for j := range weights {
		weights[j] /= sum
	}
	return weights
}

// place chooses the placebos: evenly spread over the moments that have enough values in and before their watch.
func place(ok []bool, w int, levels []int) []int {
	n, first := len(ok), slices.Max(levels)
	missing := make([]float64, n)
	for i, there := range ok {
		if !there {
			missing[i] = 1
		}
	}
	c := sums(missing)
	var fit []int
	for s := first; s <= n-w; s++ {
		before := min(s, beforeSteps)
		if (c[s+w]-c[s-before])/float64(w+before) <= mostMissing {
			fit = append(fit, s)
		}
	}
	if len(fit) <= maxPlacebos {
		return fit
	}
	out := make([]int, maxPlacebos)
	for i := range out {
		out[i] = fit[half(float64(i)*float64(len(fit)-1)/(maxPlacebos-1))]
	}
	return out
}
