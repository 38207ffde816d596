// Package habit learns from the time before a deployment, and from the old release during it, what is usual for the
// bad events of a service: whether they come one by one or in clumps, and by how much instances of one release differ.
// Tests that take bad events for independent, and instances for equal, call healthy releases bad.
package habit

import (
	"math"
	"slices"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/stats"
)

// Learner gathers counts of bad events by instance. The zero value is ready.
type Learner struct {
	names     []string
	instances []instance
	at        float64 // the tick at work
	open      bool
	scales    [3]scale
}

// instance is one process that serves.
type instance struct {
	n, x     float64 // all its events, the bad ones
	expected float64 // bad ones, had it the rate of all
	tn, tx   float64 // of the tick at work
}

// What is looked at.
const (
	maxInstances = 64
	caution      = 20.0 // expected bad events by which an instance's own rate is held back to that of all
)

// widths are the lengths in seconds over which clumps are looked for: a tick, the retries of one client, a bad minute.
func widths() [3]float64 { return [3]float64{0, 5, 60} }

// Add counts n events with x bad ones of an instance in the tick at t. Ticks come in order; an instance may be added
// several times in one, once for each of its routes.
func (l *Learner) Add(t float64, name string, n, x float64) {
	if l.open && t != l.at {
		l.close()
	}
	l.at, l.open = t, true
	i := slices.Index(l.names, name)
	if i < 0 {
		if len(l.names) >= maxInstances {
			i = maxInstances - 1
		} else {
			i = len(l.names)
			l.names, l.instances = append(l.names, name), append(l.instances, instance{})
		}
	}
	l.instances[i].tn += n
	l.instances[i].tx += x
}

// close ends the tick at work.
func (l *Learner) close() {
	l.open = false
	for k, width := range widths() {
		s := &l.scales[k]
		s.fit(len(l.instances))
		if width > 0 {
			block := math.Floor(l.at / width)
			if s.begun && block != s.block {
				l.judge(s)
			}
			s.block, s.begun = block, true
		}
		for i := range l.instances {
			s.cells[i].n += l.instances[i].tn
			s.cells[i].x += l.instances[i].tx
		}
		if width == 0 {
			l.judge(s)
		}
	}
	n, x := 0.0, 0.0
	for i := range l.instances {
		n, x = n+l.instances[i].tn, x+l.instances[i].tx
	}
	for i := range l.instances {
		in := &l.instances[i]
		if n > 0 {
			in.expected += x * in.tn / n
		}
		in.n, in.x = in.n+in.tn, in.x+in.tx
		in.tn, in.tx = 0, 0
	}
}

// rate is an instance's own rate of bad events relative to that of all, held back while little is known.
func (in *instance) rate() float64 { return (in.x + caution) / (in.expected + caution) }

// cell is what one instance showed in one block.
type cell struct{ n, x float64 }

// scale measures clumps over blocks of one length.
type scale struct {
	block    float64
	begun    bool
	cells    []cell
	before   cell // of a single instance: the block before, not yet used
	has      bool
	excess   float64 // sum of squared differences from what was expected
	usual    float64 // what independent events would give
	blocks   float64 // with bad events
	events   float64 // bad ones in them
	together bool    // several instances were compared
}

func (s *scale) fit(n int) {
	for len(s.cells) < n {
		s.cells = append(s.cells, cell{})
	}
}

// judge takes the block at work into the sums and begins the next. Several instances are compared with each other:
// what all of them suffer at the same time is no clump. A single one is compared with itself, a block before.
func (l *Learner) judge(s *scale) {
	served, all, n, x := 0, 0.0, 0.0, 0.0
	for i, c := range s.cells {
		if c.n > 0 {
			served++
			all += c.n
			n += c.n * l.instances[i].rate()
			x += c.x
		}
	}
	switch {
	case served >= 2:
		s.has = false
		if x > 0 {
			for i, c := range s.cells {
				s.add(c.x, x, c.n*l.instances[i].rate()/n, all)
			}
			s.blocks++
			s.events += x
			s.together = true
		}
	case served == 1 && !s.together:
		var now cell
		for _, c := range s.cells {
			now.n, now.x = now.n+c.n, now.x+c.x
		}
		if s.has {
			if x := now.x + s.before.x; x > 0 {
				s.add(now.x, x, now.n/(now.n+s.before.n), now.n+s.before.n)
				s.blocks++
				s.events += x
			}
			s.has = false
		} else {
			s.before, s.has = now, true
		}
	}
	clear(s.cells)
}

// add takes the part of x bad events among n that fell where the share q of them was to be expected.
func (s *scale) add(part, x, q, n float64) {
	d := part - x*q
	s.excess += d * d
	s.usual += x * q * (1 - q) * math.Max(0, n-x) / math.Max(1, n-1)
}

// Dispersion is how bad events come.
type Dispersion struct {
	Size   float64 // of the clumps, 1 when they come one by one; held up by what is assumed while little was seen
	Shown  float64 // the same by what was seen alone
	Events float64 // bad events seen
	Seen   float64 // clumps from which it was learned
}

// What is made of the measurements.
const (
	surely    = 2.5  // standard errors beyond chance
	safety    = 1.25 // clumps that vary in size are worse than their mean
	oneSided  = 1.28 // standard errors that are added for what the sample may hide
	largest   = 50.0 // no clump is believed to be larger
	prior     = 4.0  // clumps that an assumption is worth
	fewBlocks = 5
	retryTime = 5 // seconds
)

// Believed is the number of clumps after which nothing is assumed any more.
const Believed = 200

// Dispersion returns the size of the clumps in which bad events come: the variance of their counts over what
// independent events would show, on the scale where it is largest, with a margin for what a short time may hide.
// Where little was seen, assumed is what counts. Also, when given, is what was learned of another set of instances,
// which are not compared with these.
func (l *Learner) Dispersion(assumed float64, also *Learner) Dispersion {
	d := Dispersion{Size: 1, Seen: math.Inf(1)}
	for i := range l.scales {
		s := l.scales[i]
		if also != nil {
			s.excess, s.usual = s.excess+also.scales[i].excess, s.usual+also.scales[i].usual
			s.blocks, s.events = s.blocks+also.scales[i].blocks, s.events+also.scales[i].events
		}
		if width := widths()[i]; width <= retryTime { // the retries of one client are one clump, seen on either scale
			seen := 0.0
			if s.usual > 0 {
				seen = s.events / math.Max(1, s.excess/s.usual)
			}
			d.Seen = math.Min(d.Seen, seen)
		}
		if s.blocks < fewBlocks || s.usual <= 0 {
			continue
		}
		ratio, chance := s.excess/s.usual, math.Sqrt(2/s.blocks)
		if ratio > 1+surely*chance {
			d.Size = math.Max(d.Size, safety*ratio*(1+oneSided*chance))
		}
	}
	for i := range l.instances {
		d.Events += l.instances[i].x
	}
	d.Size = math.Min(largest, d.Size)
	d.Shown = d.Size
	if d.Seen < Believed {
		d.Size = (prior*assumed + d.Seen*d.Size) / (prior + d.Seen)
	}
	return d
}

// Spread is by how much instances differ.
type Spread struct {
	Sigma     float64 // standard deviation of the logarithm of their rates, an upper limit
	Shown     float64 // the same without what only the short time leaves possible
	Instances int
	Events    float64
	Known     bool // there were enough instances and events to tell
}

// Spread returns by how much the rates of bad events of instances of one release differ, persistently; clump is the
// size of the clumps in which the events come. By the method of moments (DerSimonian and Laird), with one-sided limits
// for the few instances and events there are.
func (l *Learner) Spread(clump float64) Spread {
	var s Spread
	q, sum, squares := 0.0, 0.0, 0.0
	for i := range l.instances {
		in := &l.instances[i]
		if in.expected < fewBlocks {
			continue
		}
		s.Instances++
		s.Events += in.x
		q += (in.x - in.expected) * (in.x - in.expected) / in.expected
		sum += in.expected
		squares += in.expected * in.expected
	}
	free := float64(s.Instances - 1)
	if s.Instances < 3 {
		return s
	}
	c := sum - squares/sum
	variance := math.Max(0, (q-free*clump)/c)
	// The standard error of the variance: of the counts, and of having seen so few instances.
	counts := clump * math.Sqrt(2*free) / c
	few := variance * (stats.VarianceLimit(free) - 1)
	s.Sigma, s.Known = math.Sqrt(variance+math.Hypot(oneSided*counts, few)), true
	s.Shown = math.Sqrt(math.Max(0, variance-oneSided*counts) * stats.VarianceLimit(free))
	return s
}

// Or returns the spread to go by when assumed is what is thought of instances in general: the upper limit where it is
// lower, else what was seen, and never less than assumed only because the time was short.
func (s Spread) Or(assumed float64) float64 {
	switch {
	case !s.Known:
		return assumed
	case s.Sigma < assumed:
		return s.Sigma
	}
	return math.Max(assumed, s.Shown)
}

// Export returns the sums, for Import of a later Learner.
func (l *Learner) Export() (bad []belay.LearnedInstance, clumps []belay.LearnedClumps) {
	if l.open {
		l.close()
	}
	for i, name := range l.names {
		in := l.instances[i]
		bad = append(bad, belay.LearnedInstance{Name: name, N: in.n, X: in.x, Expected: in.expected})
	}
	for i := range l.scales {
		s := &l.scales[i]
		clumps = append(clumps, belay.LearnedClumps{Excess: s.excess, Usual: s.usual, Blocks: s.blocks, Events: s.events})
	}
	return bad, clumps
}

// Import adds the sums of an earlier Learner, each times keep, 0 to 1.
func (l *Learner) Import(bad []belay.LearnedInstance, clumps []belay.LearnedClumps, keep float64) {
	for _, b := range bad {
		i := slices.Index(l.names, b.Name)
		if i < 0 {
			if len(l.names) >= maxInstances {
				continue
			}
			i = len(l.names)
			l.names, l.instances = append(l.names, b.Name), append(l.instances, instance{})
		}
		in := &l.instances[i]
		in.n, in.x, in.expected = in.n+keep*b.N, in.x+keep*b.X, in.expected+keep*b.Expected
	}
	for i := range min(len(clumps), len(l.scales)) {
		s, c := &l.scales[i], clumps[i]
		s.excess, s.usual = s.excess+keep*c.Excess, s.usual+keep*c.Usual
		s.blocks, s.events = s.blocks+keep*c.Blocks, s.events+keep*c.Events
		s.together = s.together || len(bad) > 1
	}
}
