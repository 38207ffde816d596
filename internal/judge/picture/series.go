package picture

import (
	"math"

	"github.com/belaydev/belay"
)

// span is the time that all charts of a card show.
type span struct{ from, to float64 }

func spanOf(c *belay.Card) (span, bool) {
	s := span{math.Inf(1), math.Inf(-1)}
	for i := range c.Signals {
		for _, p := range c.Signals[i].Trail {
			s.from, s.to = math.Min(s.from, p.T), math.Max(s.to, p.T)
		}
	}
	if math.IsInf(s.from, 1) {
		return s, false
	}
	if s.to-s.from < 1 {
		s.to = s.from + 1
	}
	return s, true
}

// at is where a moment is, from 0 to 1.
func (s span) at(t float64) float64 {
	return math.Min(1, math.Max(0, (t-s.from)/(s.to-s.from)))
}

// series is what one line of a chart shows: the values of the trail, NaN where there are none.
type series struct {
	t, v []float64
}

func seriesOf(e *belay.SignalEvidence, of func(p belay.TrailPoint) *float64) series {
	var s series
	for _, p := range e.Trail {
		v := math.NaN()
		if x := of(p); x != nil && !math.IsInf(*x, 0) {
			v = *x
		}
		s.t, s.v = append(s.t, p.T), append(s.v, v)
	}
	return s
}

// sides are the values of the new and of the old release over the watch. The last point of a trail is what was seen
// since the one before; a rate of much less time than the others are of says nothing, and is left out.
func sides(e *belay.SignalEvidence) (mine, old series) {
	mine = seriesOf(e, func(p belay.TrailPoint) *float64 { return p.Candidate })
	old = seriesOf(e, func(p belay.TrailPoint) *float64 { return p.Baseline })
	if n := len(e.Trail); n > 2 && e.Kind != belay.KindGauge && e.Trail[n-1].T-e.Trail[n-2].T < (e.Trail[n-2].T-e.Trail[n-3].T)/2 {
		for _, s := range []series{mine, old} {
			s.v[n-1] = math.NaN()
		}
	}
	return mine, old
}

// progress is how far the evidence has come towards its bound, on a logarithmic scale. It ends where the card says.
func progress(e *belay.SignalEvidence) series {
	s := seriesOf(e, func(p belay.TrailPoint) *float64 { return share(p.EValue, e.Limit) })
	if n := len(s.v); n > 0 {
		s.v[n-1] = *share(e.EValue, e.Limit)
	}
	return s
}

func share(evidence, limit float64) *float64 {
	v := 0.0
	if evidence > 1 && limit > 1 {
		v = math.Min(1, math.Log(evidence)/math.Log(limit))
	}
	return &v
}

// cells is the series over n cells of a span: join makes one value of those that fall into a cell. A point tells of the
// time since the one before it, so a cell between two points shows the later one.
func (s series) cells(in span, n int, join func(a, b float64) float64) []float64 {
	out := make([]float64, n)
	width := (in.to - in.from) / float64(n)
	for k := range out {
		low, high := in.from+float64(k)*width, in.from+float64(k+1)*width
		v, next := math.NaN(), math.NaN()
		for i, t := range s.t {
			if t > high+1e-9 {
				if i > 0 {
					next = s.v[i]
				}
				break
			}
			if x := s.v[i]; t >= low-1e-9 && !math.IsNaN(x) {
				if math.IsNaN(v) {
					v = x
				} else {
					v = join(v, x)
				}
			}
		}
		if out[k] = v; math.IsNaN(v) {
			out[k] = next
		}
	}
	if last := len(s.t) - 1; last > 0 { // what is gathered now is not over yet
		for k := 1; k < n; k++ {
			end := in.from + float64(k+1)*width
			if math.IsNaN(out[k]) && end > s.t[last] && end-s.t[last] <= 1.5*(s.t[last]-s.t[last-1])+width {
				out[k] = out[k-1]
			}
		}
	}
	return out
}

func mean(a, b float64) float64 { return (a + b) / 2 }

// least is how much of the largest value a chart shows at least: a small change must not look like a large one.
const least = 0.25

// bounds are those of the values of some series: from 0 up, unless they move little.
func bounds(all ...series) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, s := range all {
		for _, v := range s.v {
			if !math.IsNaN(v) {
				low, high = math.Min(low, v), math.Max(high, v)
			}
		}
	}
	most := math.Max(math.Abs(low), math.Abs(high))
	switch {
	case math.IsInf(low, 1) || most == 0:
		return 0, 1
	case low >= 0 && low < 0.7*high:
		return 0, high
	case high-low < least*most:
		middle := (low + high) / 2
		return middle - least*most/2, middle + least*most/2
	}
	return low, high
}
