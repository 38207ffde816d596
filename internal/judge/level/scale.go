package level

import "math"

// scale turns values into numbers of which differences are compared: logarithms, with a little added where values may
// be zero. Values below zero are compared as they are, in units of their usual size.
type scale struct {
	seen    float64
	low     float64
	sumAbs  float64
	offset  float64
	unit    float64
	linear  bool
	settled bool
}

func (s *scale) see(v float64) {
	if s.settled {
		return
	}
	if s.seen == 0 || v < s.low {
		s.low = v
	}
	if s.sumAbs > 0 || s.seen == 0 { // zeros before anything else say nothing of how large values are
		s.seen++
	}
	s.sumAbs += math.Abs(v)
}

// settle fixes the scale by what was seen so far.
func (s *scale) settle() {
	s.settled = true
	usual := s.sumAbs / math.Max(1, s.seen)
	s.unit = usual
	switch {
	case s.low < 0:
		s.linear = true
	case s.low < usual/50:
		s.offset = usual / 10
	}
}

func (s *scale) of(v float64) float64 {
	if !s.settled && s.sumAbs == 0 {
		return 0 // nothing but zeros so far, which are equal on any scale
	}
	if !s.settled {
		s.settle()
	}
	switch {
	case s.linear:
		return v / s.unit
	case v+s.offset <= 0:
		return math.Log(s.unit / 100)
	}
	return math.Log(v + s.offset)
}
