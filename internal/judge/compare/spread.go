package compare

import "math"

// What the past must hold before the size of clumps is learned from it.
const (
	spreadBad    = 200 // bad events
	spreadBlocks = 5   // minutes
	spreadMost   = 20  // no clump is believed to be larger
)

// spread measures how much more the bad events of the past vary than independent ones would, over ticks and over
// minutes: the size of the clumps in which they come. The rate's own changes count as clumps too, to the safe side.
type spread struct {
	tick, minute block
}

// block gathers events into blocks of one length and keeps the sums from which the variance is taken.
type block struct {
	at, n, x       float64 // the current block
	blocks, sn, sx float64
	snn, sxx, snx  float64
}

func (b *block) add(at, n, x float64) {
	if at != b.at {
		b.close()
		b.at = at
	}
	b.n += n
	b.x += x
}

func (b *block) close() {
	if b.n > 0 {
		b.blocks++
		b.sn, b.sx = b.sn+b.n, b.sx+b.x
		b.snn, b.sxx, b.snx = b.snn+b.n*b.n, b.sxx+b.x*b.x, b.snx+b.n*b.x
	}
	b.n, b.x = 0, 0
}

// factor is the variance over that of independent events, and whether it is more than chance.
func (b *block) factor() (factor float64, sure bool) {
	p := b.sx / b.sn
	factor = (b.sxx - 2*p*b.snx + p*p*b.snn) / (b.sn * p * (1 - p))
	return factor * (1 + 1.28*math.Sqrt(2/b.blocks)), factor > 1+2.5*math.Sqrt(2/b.blocks)
}

func (s *spread) add(t, n, x float64) {
	s.tick.add(t, n, x)
	s.minute.add(math.Floor(t/60), n, x)
}

// size is the learned size of clumps; false when there is too little to learn from.
func (s *spread) size() (float64, bool) {
	s.tick.close()
	s.minute.close()
	if s.tick.sx < spreadBad || s.tick.sx >= s.tick.sn || s.minute.blocks < spreadBlocks {
		return 0, false
	}
	size := 1.0
	for _, b := range []*block{&s.tick, &s.minute} {
		if factor, sure := b.factor(); sure {
			size = math.Max(size, 1.25*factor)
		}
	}
	return math.Min(spreadMost, size), true
}
