package placebo

import "math"

// profile is, for every step, the median of the values 1 to most periods earlier: never of the watch, only of the
// history. What is missing is taken from later periods, so that a placebo sees what the real watch sees; only the
// first days of the history borrow from their future.
func profile(x []float64, n, period, most int) []float64 {
	steps := len(x)
	seen, count := make([]float64, most*steps), make([]int, steps)
	take := func(shift int) {
		for i := max(0, -shift); i < steps; i++ {
			j := i + shift
			if j >= n {
				break
			}
			if count[i] < most {
				seen[i*most+count[i]] = x[j]
				count[i]++
			}
		}
	}
	for d := 1; d*period < steps && d <= most+(steps-n)/period+1; d++ {
		take(-d * period)
	}
	for d := 1; d*period < steps; d++ {
		take(d * period)
	}
	out, usual := make([]float64, steps), median(x[:n])
	for i := range out {
		if out[i] = usual; count[i] > 0 {
			c := seen[i*most : i*most+count[i]]
			m := medianOf(c)
			if len(c)%2 == 0 {
				m = 0.5 * (c[len(c)/2-1] + c[len(c)/2])
			}
			out[i] = m
		}
	}
	return out
}

// deployments are the moments that are looked at: the placebos, and the real one as the last.
type deployments struct {
	x      []float64 // transformed history, with the last value held over the watch
	n      int       // steps of history
	w      int       // steps of a watch
	m      int       // placebos
	levels []int     // over how many values the level before a start is taken
	starts []int     // the last one is n
	actual table     // what the placebos showed
}

func (d *deployments) last() int { return len(d.starts) - 1 }

// at is the value of a series over the steps of each watch.
func (d *deployments) at(series []float64) table {
	out := newTable(len(d.starts), d.w)
	for i, s := range d.starts {
		copy(out.row(i), series[s:s+d.w])
	}
	return out
}

// plus adds to each row a number of its own.
func (t table) plus(each []float64) table {
	out := newTable(t.rows(), t.w)
	for i, add := range each {
		row := out.row(i)
		for h, v := range t.row(i) {
			row[h] = v + add
		}
	}
	return out
}

// forecasts are what several methods say at each start of the whole watch, from what is known by then.
func (d *deployments) forecasts(step float64) []table {
	zero := newTable(len(d.starts), d.w)
	var all []table
	for _, k := range d.levels {
		all = append(all, zero.plus(levels(d.x, d.starts, k)))
	}
	constant := make([]float64, len(d.starts))
	usual := median(d.x[:d.n])
	for i := range constant {
		constant[i] = usual
	}
	all = append(all, zero.plus(constant))
	for _, q := range d.profiles(step) {
		rest := make([]float64, len(q))
		for i := range q {
			rest[i] = d.x[i] - q[i]
		}
		there := d.at(q)
		all = append(all, there)
		for _, k := range d.levels {
			all = append(all, there.plus(levels(rest, d.starts, k)))
		}
	}
	return all
}

// profiles are the usual values by time of day and of week, as far as the history reaches.
func (d *deployments) profiles(step float64) [][]float64 {
	perDay := half(day / step)
	days := 0
	if perDay > 1 {
		days = min(profileDays, d.n/perDay)
	}
	if days < 2 && (days != 1 || d.n < perDay+d.w) {
		return nil
	}
	p := profile(d.x, d.n, perDay, days)
	widths := classOf(step).smoothing()
	best, width, least := []float64(nil), 0, 0.0
	for _, k := range widths {
		q := smooth(p, k)
		if e := d.misfit(q); best == nil || e < 0.98*least {
			best, width, least = q, k, e
		}
	}
	all := [][]float64{best}
	if d.n >= 7*perDay+d.w {
		all = append(all, smooth(profile(d.x, d.n, 7*perDay, profileWeeks), max(width, widths[1])))
	}
	return all
}

// misfit is the usual error of a profile, shifted to the level before the start.
func (d *deployments) misfit(q []float64) float64 {
	rest := make([]float64, len(q))
	for i := range q {
		rest[i] = d.x[i] - q[i]
	}
	k := 0
	for _, l := range d.levels {
		k = max(k, l)
	}
	before := levels(rest, d.starts[:d.m], k)
	errs := make([]float64, 0, d.m*d.w)
	for i, s := range d.starts[:d.m] {
		for h, y := range d.actual.row(i) {
			errs = append(errs, math.Abs(y-q[s+h]-before[i]))
		}
	}
	return medianOf(errs)
}
