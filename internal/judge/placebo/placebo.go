package placebo

import (
	"math"
	"slices"
)

// maxScore bounds the score; p is below any number that means something long before.
const maxScore = 700

// Test is the state of judging one value. It is not safe for concurrent use.
type Test struct {
	Settings
	class   class
	n       int // steps of history
	w       int // steps of the watch that are judged
	m       int // placebos
	watches float64
	lack    Lack

	scale     scale
	sign      float64 // of residuals that are worse
	effect    float64 // smallest change, transformed
	sparse    bool    // nearly always the same value
	forecast  []float64
	unit      []float64
	channels  []channel
	tails     [familyCount]*tail
	flatUnit  float64
	usualDiff float64
	diffCap   float64
	diffBase  float64

	now
	score   float64
	finding Finding
	peaks   [familyCount]float64
}

// now is what the watch has shown so far.
type now struct {
	h        int // steps taken
	run      int // of equal values
	last     float64
	lastV    float64
	lastX    float64
	z, short []float64
	sumShort []float64 // running sums
	sumLong  []float64
	sumSize  []float64
	sumDiff  []float64
	window   []float64 // scratch
}

// Finding is what speaks most against a release.
type Finding struct {
	Family  Family
	From    int // step of the watch at which the window of the statistic begins
	To      int // step after its end
	AsBad   int // placebos that were at least as bad
	Of      int // placebos
	Actual  float64
	Usual   float64 // forecast over the same steps
	Settled bool    // something was found
}

// New prepares a test from the history, oldest first, one value a step, NaN where there is none.
func New(history []float64, s Settings) *Test {
	if s.MinEffect == 0 {
		s.MinEffect = DefaultMinEffect
	}
	t := &Test{Settings: s, class: classOf(s.Step), finding: Finding{Family: None}}
	if len(history) > MaxHistory {
		history = history[len(history)-MaxHistory:]
	}
	first := slices.IndexFunc(history, finite)
	if first < 0 {
		first = len(history)
	}
	history = history[first:]
	ok, seen := make([]bool, len(history)), 0
	for i, v := range history {
		if ok[i] = finite(v); ok[i] {
			seen++
		}
	}
	t.n = len(history)
	t.w = min(s.Watch, t.n/WatchesInHistory)
	switch {
	case t.n < MinHistory || t.w < MinWatch:
		t.lack = TooShort
	case float64(seen) < leastSeen*float64(t.n):
		t.lack = TooSparse
	case recent(ok) < recentSeen:
		t.lack = Ended
	default:
		t.prepare(history, ok)
	}
	return t
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func recent(ok []bool) int {
	n := 0
	for _, there := range ok[len(ok)-recentSteps:] {
		if there {
			n++
		}
	}
	return n
}

// prepare does all that is done once.
func (t *Test) prepare(history []float64, ok []bool) {
	y := make([]float64, t.n) // what is missing is held
	var seen []float64
	for i, v := range history {
		switch {
		case ok[i]:
			y[i] = v
		case i > 0:
			y[i] = y[i-1]
		}
	}
	t.scale.top = ceiling(y)
	v := make([]float64, t.n)
	for i := range y {
		if v[i] = t.scale.value(y[i]); ok[i] {
			seen = append(seen, v[i])
		}
	}
	t.scale.choose(seen)
	x := make([]float64, t.n, t.n+t.w)
	for i := range v {
		x[i] = t.scale.of(v[i])
	}
	t.sign = map[Direction]float64{Higher: 1, Lower: -1}[t.Direction]
	if t.scale.top > 0 {
		t.sign = -t.sign
	}
	d := t.deployments(x, ok)
	t.m = d.m
	if d.m < minPlacebos {
		t.lack = TooSparse
		return
	}
	t.watches = float64(t.n-slices.Max(d.levels)) / float64(t.w)
	f := d.forecast(t.Step)
	t.forecast = slices.Clone(f.row(d.last()))
	t.calibrate(d, f, v, ok)
	t.now = now{last: y[t.n-1], lastV: v[t.n-1], lastX: x[t.n-1], run: t.run, z: make([]float64, 0, t.w), short: make([]float64, 0, t.w),
		window: make([]float64, 0, 32)}
	for _, s := range []*[]float64{&t.sumShort, &t.sumLong, &t.sumSize, &t.sumDiff} {
		*s = make([]float64, 1, t.w+1)
	}
}

// deployments lays out the placebos.
func (t *Test) deployments(x []float64, ok []bool) *deployments {
	d := &deployments{n: t.n, w: t.w}
	for _, k := range t.class.levels() {
		if k <= t.n/6 {
			d.levels = append(d.levels, k)
		}
	}
	if len(d.levels) == 0 {
		d.levels = []int{max(2, t.n/6)}
	}
	d.starts = place(ok, t.w, d.levels)
	d.m = len(d.starts)
	d.starts = append(d.starts, t.n)
	for range t.w { // never read before it is known
		x = append(x, x[t.n-1])
	}
	d.x = x
	if d.m > 0 {
		d.actual = newTable(d.m, t.w)
		for i, s := range d.starts[:d.m] {
			copy(d.actual.row(i), x[s:s+t.w])
		}
	}
	return d
}

// calibrate learns units and tails from the residuals of the placebos.
func (t *Test) calibrate(d *deployments, f table, v []float64, ok []bool) {
	r := newTable(d.m, t.w)
	for i := range r.v {
		r.v[i] = d.actual.v[i] - f.v[i]
	}
	c := &calibration{Test: t, d: d}
	t.smallest(v)
	c.units(r)
	c.z = r.each(func(row, out []float64) {
		for h, x := range row {
			out[h] = x / t.unit[h]
		}
	})
	c.roughness()
	c.means()
	c.variance()
	c.rough()
	c.flat(v, ok)
	span := float64(t.n) * t.Step / day
	prior := inverseIndex + perWatch/t.watches + perDay*math.Max(0, 1-span/1.25)
	for f, largest := range c.largest {
		if largest != nil {
			t.tails[f] = newTail(largest, prior, t.watches)
		}
	}
}

// smallest is the smallest change that matters, on the scale of the test.
func (t *Test) smallest(v []float64) {
	size := make([]float64, len(v))
	for i := range v {
		size[i] = math.Abs(v[i])
	}
	level := median(size)
	if level == 0 {
		level = mean(size)
	}
	d := t.MinEffect / effectShare
	switch t.scale.kind {
	case logarithm:
		t.effect = d * level / (level + t.scale.offset)
	case square:
		t.effect = math.Sqrt(level*(1+d)+0.375) - math.Sqrt(level+0.375)
	case raw:
		t.effect = d * level
	}
	often, middle := 0, median(v)
	for i := range v {
		if v[i] == middle {
			often++
		}
	}
	t.sparse = float64(often)/float64(len(v)) > 0.5
}

// units are what residuals usually are at each horizon.
func (c *calibration) units(r table) {
	x := c.d.x[:c.n]
	usual, most := median(x), 0.0
	for _, a := range x {
		most = math.Max(most, math.Abs(a))
	}
	if c.sparse { // nearly always one value: the unit of a change is one typical event
		var events []float64
		for _, e := range r.v {
			if a := math.Abs(e); a > 1e-9*(1+math.Abs(usual)) {
				events = append(events, a)
			}
		}
		if c.event = 1; len(events) > 0 {
			c.event = medianOf(events)
		}
	}
	knots := spread(min(c.w, 24), c.w-1)
	s, buf := make([]float64, len(knots)), []float64(nil)
	for i, h := range knots {
		buf = buf[:0]
		for j := range r.rows() {
			for _, e := range r.row(j)[max(0, h-2):min(c.w, h+3)] {
				buf = append(buf, math.Abs(e))
			}
		}
		slices.Sort(buf)
		s[i] = quantile(buf, 0.68)
	}
	least := math.Max(math.Max(0.3*median(s), c.effect), math.Max(0.5*c.event, 1e-9*most+1e-12))
	for i := range s {
		s[i] = math.Max(s[i], least)
	}
	c.unit = interpolate(knots, s, c.w)
	c.usualZ = median(c.unit)
}

// roughness is what differences from one value to the next usually are.
func (c *calibration) roughness() {
	x := c.d.x[:c.n]
	diffs := make([]float64, c.n)
	for i := 1; i < c.n; i++ {
		diffs[i] = math.Abs(x[i] - x[i-1])
	}
	sorted := slices.Clone(diffs)
	slices.Sort(sorted)
	most, sum := quantile(sorted, 0.99), 0.0
	for _, d := range diffs {
		sum += math.Min(d, most)
	}
	c.usualDiff = sum/float64(c.n) + math.Max(0.5*c.effect, 1e-12)
	if c.sparse {
		c.usualDiff += c.event / 8
	}
	c.diffCap = clipRough * c.usualDiff
	for i := range diffs {
		diffs[i] = math.Min(diffs[i], c.diffCap)
	}
	total := sums(diffs)
	c.diffs, c.before = diffs, make([]float64, len(c.d.starts))
	for i, s := range c.d.starts {
		c.before[i] = (total[s] - total[max(0, s-beforeSteps)]) / float64(min(s, beforeSteps))
	}
	c.diffBase = 0.5*c.before[c.d.last()] + 0.5*c.usualDiff
}
