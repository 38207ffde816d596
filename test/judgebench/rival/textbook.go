package rival

import "math"

// Textbook are tests from the textbook: valid for one look, and read at every one.
func Textbook() []Entry {
	return []Entry{
		entry("z05-peeking", "two-proportion z test, p < 0.05, read every 5 s", func(Facts) Rule {
			return &zTest{limit: 1.959964, every: peek}
		}).stating(0.05),
		entry("z01-peeking", "two-proportion z test, p < 0.01, read every 5 s", func(Facts) Rule { return &zTest{limit: 2.575829, every: peek} }),
		entry("z01-at-end", "two-proportion z test, p < 0.01, read once, at the end", func(f Facts) Rule {
			return &zTest{limit: 2.575829, every: f.Length}
		}),
		entry("before-after", "two-proportion z test against the history, p < 0.01, read every minute", func(Facts) Rule {
			return &zTest{limit: 2.575829, every: interval, past: true}
		}).remembering(),
	}
}

const (
	peek   = 5.0 // seconds between looks of a test that is read at every look
	zLeast = 30  // requests on either side below which nobody would compute a z
)

// zTest is the two-proportion z test on all counts so far, against the baseline beside the candidate or against the
// time before the deployment; two-sided, as it is usually computed, and acting when the candidate is worse.
type zTest struct {
	limit, every float64
	past         bool

	cn, cx, bn, bx float64
	next           float64
}

// Observe takes a tick.
func (r *zTest) Observe(v *View) bool {
	if v.T <= 0 {
		if r.past {
			r.bn, r.bx = r.bn+v.BN, r.bx+v.BX
		}
		return false
	}
	r.cn, r.cx = r.cn+v.CN, r.cx+v.CX
	if !r.past {
		r.bn, r.bx = r.bn+v.BN, r.bx+v.BX
	}
	if r.next == 0 {
		r.next = r.every
	}
	if v.T < r.next-1e-9 {
		return false
	}
	r.next += r.every
	if r.cn < zLeast || r.bn < zLeast {
		return false
	}
	p := (r.cx + r.bx) / (r.cn + r.bn)
	z := (r.cx/r.cn - r.bx/r.bn) / math.Sqrt(p*(1-p)*(1/r.cn+1/r.bn))
	return z > r.limit // false without any bad event: 0/0
}
