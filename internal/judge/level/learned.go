package level

import "github.com/belaydev/belay"

// Export returns what was learned, for Import of a later Level.
func (l *Level) Export() (levels []belay.LearnedMoments, as *belay.LearnedScale) {
	if l.noise.open {
		l.noise.close(&l.scale)
	}
	if l.scale.seen > 0 {
		l.scale.of(0) // settles it
		l.noise.flush(&l.scale)
	}
	for _, m := range l.noise.members {
		levels = append(levels, belay.LearnedMoments{Name: m.name, N: m.n, Sum: m.sum, Squares: m.squares, Cross: m.cross, Pairs: m.pairs, Spacing: m.spacing})
	}
	if l.scale.settled {
		as = &belay.LearnedScale{Offset: l.scale.offset, Unit: l.scale.unit, Linear: l.scale.linear}
	}
	return levels, as
}

// Import adds what was learned earlier, each sum times keep, 0 to 1. It comes before any reading: the scale is that of
// the earlier one.
func (l *Level) Import(levels []belay.LearnedMoments, as *belay.LearnedScale, keep float64) {
	if as == nil || l.scale.seen > 0 {
		return
	}
	l.scale.settled, l.scale.offset, l.scale.unit, l.scale.linear = true, as.Offset, as.Unit, as.Linear
	for _, b := range levels {
		if len(l.noise.members) >= maxInstances {
			return
		}
		l.noise.members = append(l.noise.members, member{name: b.Name, n: keep * b.N, sum: keep * b.Sum, squares: keep * b.Squares,
			cross: keep * b.Cross, pairs: keep * b.Pairs, spacing: keep * b.Spacing})
	}
}
