package rival

// Handwritten are the rules that people write for themselves.
func Handwritten() []Entry {
	return []Entry{
		entry("fixed", "more than 5 % of errors in a minute", func(Facts) Rule { return &fixed{limit: 0.05, need: 1} }),
		entry("fixed-twice", "the same, two minutes in a row", func(Facts) Rule { return &fixed{limit: 0.05, need: 2} }),
		entry("burn-rate", "multi-window, multi-burn-rate alert of the SRE workbook, for an objective of 99 %", func(Facts) Rule {
			return &burn{budget: 0.01}
		}),
	}
}

// fixed acts when the candidate's error rate was above a limit in so many windows in a row. A window without traffic
// says nothing.
type fixed struct {
	limit float64
	need  int

	n, x  float64
	end   float64
	inRow int
}

// Observe takes a tick.
func (r *fixed) Observe(v *View) bool {
	if v.T <= 0 {
		return false
	}
	if r.end == 0 {
		r.end = interval
	}
	r.n, r.x = r.n+v.CN, r.x+v.CX
	if v.T < r.end-1e-9 {
		return false
	}
	r.end += interval
	switch {
	case r.n == 0:
	case r.x > r.limit*r.n:
		r.inRow++
	default:
		r.inRow = 0
	}
	r.n, r.x = 0, 0
	return r.inRow >= r.need
}

// burn is the multi-window, multi-burn-rate alert of the SRE workbook (chapter 5), on the candidate's requests: it pages
// when both windows of a pair burn the error budget faster than the pair's rate. It is evaluated every minute over what
// is there, as Prometheus does with a window that reaches back before the first sample.
type burn struct {
	budget float64
	n, x   float64   // of the current minute
	sums   []float64 // n and x by minute, summed up since the deployment
	next   float64
}

// pair is a long and a short window in minutes.
type pair struct {
	long, short int
	rate        float64
}

// Observe takes a tick.
func (r *burn) Observe(v *View) bool {
	if v.T <= 0 {
		return false
	}
	if r.next == 0 {
		r.next, r.sums = interval, []float64{0, 0}
	}
	r.n, r.x = r.n+v.CN, r.x+v.CX
	if v.T < r.next-1e-9 {
		return false
	}
	r.next += interval
	last := len(r.sums)
	r.sums = append(r.sums, r.sums[last-2]+r.n, r.sums[last-1]+r.x)
	r.n, r.x = 0, 0
	for _, p := range []pair{{60, 5, 14.4}, {360, 30, 6}} {
		if r.over(p.long) > p.rate*r.budget && r.over(p.short) > p.rate*r.budget {
			return true
		}
	}
	return false
}

// over is the error rate of the newest minutes.
func (r *burn) over(minutes int) float64 {
	last := len(r.sums)
	first := max(2, last-2*minutes)
	n, x := r.sums[last-2]-r.sums[first-2], r.sums[last-1]-r.sums[first-1]
	if n == 0 {
		return 0
	}
	return x / n
}
