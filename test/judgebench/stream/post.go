package stream

import "github.com/belaydev/belay"

// post delivers what was drawn as a collector would: with restarts, failed readings, and ticks that come twice or
// late. Without any of these it only passes on.
type post struct {
	world World
	every float64 // ticks between restarts of an instance, in the mean
	dice  dice
	tick  belay.Tick
	again *belay.Tick // to be delivered next
	late  belay.Tick  // a copy, delivered after the one that follows it
	owed  bool        // late is on its way
	held  []counts    // per sample: what failed readings left for the next
	mute  []int       // per sample: ticks for which its instance is not read
	out   []belay.Sample
}

type counts struct{ n, x float64 }

func newPost(s *Spec, d dice) *post {
	return &post{world: s.World, every: restartEvery / s.Tick, dice: d}
}

// next delivers the next tick, asking source for as many as it takes.
func (p *post) next(source func() (float64, []belay.Sample, bool)) (*belay.Tick, bool) {
	if p.again != nil {
		t := p.again
		p.again = nil
		return t, true
	}
	t, samples, ok := source()
	if !ok {
		return nil, false
	}
	if p.world.Late && t > 0 && !p.owed && p.dice.Float64() < lateChance {
		p.late.T, p.late.Samples, p.owed = t, append(p.late.Samples[:0], samples...), true
		if t, samples, ok = source(); !ok {
			p.owed = false
			return &p.late, true
		}
	}
	p.tick.T, p.tick.Samples = t, p.read(t, samples)
	switch {
	case p.owed:
		p.again, p.owed = &p.late, false
	case p.world.Late && t > 0 && p.dice.Float64() < lateChance:
		p.again = &p.tick
	}
	return &p.tick, true
}

// read passes on the samples that could be read. What happens to an instance happens to all its strata.
func (p *post) read(t float64, samples []belay.Sample) []belay.Sample {
	if !p.world.Restarts && !p.world.Gaps || t < 0 {
		return samples
	}
	if len(p.held) != len(samples) {
		p.held, p.mute = make([]counts, len(samples)), make([]int, len(samples))
	}
	p.out = p.out[:0]
	var side [2]int // ticks of a gap of the whole side that begins now
	if p.world.Gaps {
		for i := range side {
			side[i] = p.gap()
		}
	}
	for first := 0; first < len(samples); {
		last := first + 1
		for last < len(samples) && samples[last].Instance == samples[first].Instance && samples[last].Arm == samples[first].Arm {
			last++
		}
		p.readInstance(samples[first:last], first, side)
		first = last
	}
	return p.out
}

// readInstance passes on the samples of one instance, the first of which is at the place at.
func (p *post) readInstance(samples []belay.Sample, at int, side [2]int) {
	if p.world.Gaps {
		k := side[0]
		if samples[0].Arm == belay.ArmCandidate {
			k = side[1]
		}
		p.mute[at] = max(p.mute[at], k, p.gap())
	}
	lost := 0.0
	if p.world.Restarts && p.mute[at] == 0 && p.dice.Float64()*p.every < 1 {
		p.mute[at], lost = restartTicks, p.dice.Float64()
	}
	if p.mute[at] > 0 {
		p.mute[at]--
		for i, m := range samples {
			h := &p.held[at+i]
			if p.world.Gaps { // the counter goes on: nothing is lost
				h.n, h.x = h.n+m.N, h.x+m.X
			} else if lost > 0 { // a part of this tick was counted before the process ended, and never read
				x := p.dice.thin(m.X, 1-lost)
				h.n, h.x = x+p.dice.thin(m.N-m.X, 1-lost), x
			}
		}
		return
	}
	for i, m := range samples {
		h := &p.held[at+i]
		m.N, m.X = m.N+h.n, m.X+h.x
		*h = counts{}
		p.out = append(p.out, m)
	}
}

// gap draws how many ticks a gap lasts that begins now; 0 is none.
func (p *post) gap() int {
	if p.dice.Float64() >= gapChance {
		return 0
	}
	return int(p.dice.geometric(gapMean))
}
