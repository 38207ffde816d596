package placebo

import (
	"math"
	"slices"
)

// Observe takes the next value of the watch, NaN when it is missing, and returns the score so far.
func (t *Test) Observe(y float64) float64 {
	if t.lack != Nothing || t.h >= t.w {
		return t.score
	}
	h, seen := t.h, finite(y)
	if !seen {
		y = t.last
	}
	t.take(y, seen)
	t.h++
	for i := range t.channels {
		ch := &t.channels[i]
		if h < ch.width-1 {
			continue
		}
		if a := t.side(ch.family, t.statistic(ch, h)/ch.unit[h]); a > t.peaks[ch.family] {
			t.peak(ch.family, a, h+1-ch.width)
		}
	}
	if run := min(t.run, h+1); t.tails[Flat] != nil {
		if a := float64(run) / t.flatUnit; a > t.peaks[Flat] {
			t.peak(Flat, a, h+1-run)
		}
	}
	return t.score
}

// take adds a value to the sums.
func (t *Test) take(y float64, seen bool) {
	v := t.scale.value(y)
	x := t.scale.of(v)
	z := (x - t.forecast[t.h]) / t.unit[t.h]
	short := soft(z, clipShort)
	push := func(s *[]float64, v float64) { *s = append(*s, (*s)[len(*s)-1]+v) }
	t.z, t.short = append(t.z, z), append(t.short, short)
	push(&t.sumShort, short)
	push(&t.sumLong, soft(z, clipLong))
	push(&t.sumSize, t.sizeOf(z))
	push(&t.sumDiff, math.Min(math.Abs(x-t.lastX), t.diffCap))
	if v == t.lastV && seen {
		t.run++
	} else {
		t.run = 0
	}
	t.last, t.lastV, t.lastX = y, v, x
}

// statistic is that of the newest values.
func (t *Test) statistic(ch *channel, h int) float64 {
	w := ch.width
	tail := func(s []float64) float64 { return (s[h+1] - s[h+1-w]) / float64(w) }
	switch ch.family {
	case Short:
		return tail(t.sumShort)
	case Long:
		return tail(t.sumLong)
	case Median:
		t.window = append(t.window[:0], t.short[h+1-w:]...)
		slices.Sort(t.window)
		return t.window[w/2]
	case Variance:
		return tail(t.sumSize) - ch.centre[h]
	case Rough:
		if t.Direction != Either && !(t.sign*mean(t.z[h+1-w:]) > 0) {
			return 0
		}
		ease := t.easing(w)
		return math.Log((tail(t.sumDiff)+ease)/(t.diffBase+ease)) - ch.centre[h]
	case Flat, None, familyCount:
	}
	return 0
}

// peak notes the largest statistic of a family so far.
func (t *Test) peak(f Family, a float64, from int) {
	t.peaks[f] = a
	score := math.Min(maxScore, math.Max(0, t.tails[f].score(a)-math.Log(families)))
	if score > t.score {
		t.score = score
		t.finding = Finding{Family: f, From: from, To: t.h, Settled: true}
	}
}
