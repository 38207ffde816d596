package placebo

import (
	"math"
	"slices"
)

// Family is a kind of change.
type Family int

// The families, in the order in which they are tested.
const (
	Short    Family = iota // a jump, however short
	Long                   // a lasting shift, or a drift
	Median                 // a shift that single outliers cannot make
	Variance               // residuals are larger
	Rough                  // values jump more from one to the next
	Flat                   // values do not move any more
	familyCount
)

// None is no family.
const None Family = -1

// channel is a statistic over the last width values, in units that it usually has at each horizon.
type channel struct {
	family Family
	width  int
	unit   []float64
	centre []float64 // that is taken off first; nil for none
}

// measure gives a channel its unit: the quantile of its size over the placebos at a few horizons, not below the
// floor, smoothed, and linear in between.
func measure(t table, width int, floor float64) []float64 {
	lo, hi := width-1, t.w-1
	at := spread(min(unitKnots, hi-lo+1), hi-lo)
	size, buf := make([]float64, len(at)), []float64(nil)
	for i := range at {
		at[i] += lo
		buf = t.column(at[i], buf)
		for j, v := range buf {
			buf[j] = math.Abs(v)
		}
		slices.Sort(buf)
		size[i] = quantile(buf, unitQuantile)
	}
	middle := 0.25 * median(size)
	for i := range size {
		size[i] = math.Max(math.Max(size[i], middle), floor)
	}
	even := slices.Clone(size)
	for i := 1; i+1 < len(size); i++ {
		even[i] = (size[i-1] + size[i] + size[i+1]) / 3
	}
	return interpolate(at, even, t.w)
}

// calibration works out the channels on the placebos.
type calibration struct {
	*Test
	d       *deployments
	z       table // residuals in their unit
	diffs   []float64
	before  []float64 // mean difference before each start
	usualZ  float64   // unit of residuals in the middle of the watch
	event   float64   // size of one typical event, of a value that is nearly always the same
	largest [familyCount][]float64
}

// floor is the least unit of a mean over width residuals.
func (c *calibration) floor(width int) float64 {
	least := math.Max(0.02, c.effect/c.usualZ)
	if c.sparse {
		least = math.Max(least, c.event/c.usualZ/float64(width))
	}
	return least
}

// put adds a channel whose statistics over the placebos are t, and keeps the largest of each placebo.
func (c *calibration) put(f Family, width int, t table, floor float64, centre []float64) {
	ch := channel{family: f, width: width, unit: measure(t, width, floor), centre: centre}
	c.channels = append(c.channels, ch)
	if c.largest[f] == nil {
		c.largest[f] = make([]float64, c.d.m)
		for i := range c.largest[f] {
			c.largest[f][i] = math.Inf(-1)
		}
	}
	for i := range c.d.m {
		most := math.Inf(-1)
		if width > 1 {
			most = 0
		}
		for h := width - 1; h < t.w; h++ {
			most = math.Max(most, c.side(f, t.row(i)[h]/ch.unit[h]))
		}
		c.largest[f][i] = math.Max(c.largest[f][i], most)
	}
}

// side counts the wrong direction of a statistic only.
func (c *Test) side(f Family, v float64) float64 {
	switch {
	case (f == Variance || f == Rough) && (c.Direction != Either || c.Averaged):
		return v
	case c.Direction == Either:
		return math.Abs(v)
	}
	return c.sign * v
}

// sizeOf is the size of a residual for the variance: of the wrong side only.
func (c *Test) sizeOf(z float64) float64 {
	if c.Direction == Either {
		z = math.Abs(z)
	} else {
		z = math.Max(c.sign*z, 0)
	}
	return math.Min(z, clipVariance)
}

// means adds the families of shifts.
func (c *calibration) means() {
	short := c.z.each(func(row, out []float64) {
		for i, v := range row {
			out[i] = soft(v, clipShort)
		}
	})
	long := c.z.each(func(row, out []float64) {
		for i, v := range row {
			out[i] = soft(v, clipLong)
		}
	})
	for _, f := range []Family{Short, Long, Median} {
		for _, w := range c.class.windows(f) {
			if w > c.w {
				continue
			}
			from, trail, floor := short, trailingMean, c.floor(w)
			if f == Long {
				from = long
			}
			if f == Median {
				trail = trailingMedian
				if c.sparse {
					floor = math.Max(floor, c.event/c.usualZ)
				}
			}
			c.put(f, w, from.each(func(row, out []float64) { trail(row, out, w) }), floor, nil)
		}
	}
}

// variance adds the family of larger residuals.
func (c *calibration) variance() {
	size := c.z.each(func(row, out []float64) {
		for i, v := range row {
			out[i] = c.sizeOf(v)
		}
	})
	var buf []float64
	for _, w := range c.class.windows(Variance) {
		if w > c.w {
			continue
		}
		t := size.each(func(row, out []float64) { trailingMean(row, out, w) })
		centre := make([]float64, c.w)
		for h := w - 1; h < c.w; h++ {
			buf = t.column(h, buf)
			centre[h] = medianOf(buf)
			for i := h; i < len(t.v); i += t.w {
				t.v[i] -= centre[h]
			}
		}
		c.put(Variance, w, t, math.Max(0.1, c.floor(w)), centre)
	}
}

// easing keeps the ratio of mean differences finite.
func (c *Test) easing(width int) float64 {
	e := 0.1 * c.usualDiff
	if c.sparse {
		e += 1.5 * c.diffCap / float64(width)
	}
	return e
}

// rough adds the family of larger differences from one value to the next, against the hour before and all the history.
func (c *calibration) rough() {
	diffs := newTable(c.d.m, c.w)
	for i, s := range c.d.starts[:c.d.m] {
		copy(diffs.row(i), c.diffs[s:s+c.w])
	}
	least := 0.15
	if c.sparse {
		least = 0.7
	}
	for _, w := range c.class.windows(Rough) {
		if w > c.w {
			continue
		}
		ease := c.easing(w)
		t := diffs.each(func(row, out []float64) { trailingMean(row, out, w) })
		all := make([]float64, 0, len(t.v))
		for i := range c.d.m {
			row := t.row(i)
			for h, v := range row {
				row[h] = math.Log((v + ease) / (0.5*c.before[i] + 0.5*c.usualDiff + ease))
			}
			all = append(all, row[w-1:]...)
		}
		middle := medianOf(all)
		centre := make([]float64, c.w)
		for h := range centre {
			centre[h] = middle
		}
		shift := c.z.each(func(row, out []float64) { trailingMean(row, out, w) })
		for i := range t.v {
			t.v[i] -= middle
			if c.Direction != Either && !(c.sign*shift.v[i] > 0) {
				t.v[i] = 0
			}
		}
		c.put(Rough, w, t, least, centre)
	}
}

// flat adds the family of equal values: missing ones break a run.
func (c *calibration) flat(v []float64, ok []bool) {
	run := make([]int, len(v))
	for i := 1; i < len(v); i++ {
		if v[i] == v[i-1] && ok[i] {
			run[i] = run[i-1] + 1
		}
	}
	c.run = run[len(run)-1]
	longest := make([]float64, c.d.m)
	for i, s := range c.d.starts[:c.d.m] {
		for h := range c.w {
			longest[i] = math.Max(longest[i], float64(min(run[s+h], h+1)))
		}
	}
	sorted := slices.Clone(longest)
	slices.Sort(sorted)
	c.flatUnit = math.Max(flatLeast, quantile(sorted, 0.95))
	if c.Direction != Either {
		return
	}
	for i := range longest {
		longest[i] /= c.flatUnit
	}
	c.largest[Flat] = longest
}
