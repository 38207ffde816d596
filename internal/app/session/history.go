package session

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/belaydev/belay"
)

// History remembers what a service looked like while nothing was deployed: the baseline where no old release
// runs beside the new one, and what proving compares with. It is safe for concurrent use.
type History struct {
	mu    sync.Mutex
	slots []slot // oldest first
}

// slot sums up what was seen in a piece of time.
type slot struct {
	begin   time.Time
	samples []belay.Sample // one for each signal, instance and stratum
	weights []float64      // of gauges: how many values were averaged
}

// HistoryLength is how far the past reaches back that the first tick of a watch carries.
const HistoryLength = time.Hour

const (
	historyPiece = 30 * time.Second
	historyKept  = HistoryLength + 10*time.Minute // whoever learns from an hour that is over may come late
)

// Add sums up the samples of a tick.
func (h *History) Add(now time.Time, samples []belay.Sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	begin := now.Truncate(historyPiece)
	if n := len(h.slots); n == 0 || !h.slots[n-1].begin.Equal(begin) {
		h.slots = append(h.slots, slot{begin: begin})
	}
	old := slices.IndexFunc(h.slots, func(s slot) bool { return now.Sub(s.begin) <= historyKept })
	h.slots = h.slots[old:]
	last := &h.slots[len(h.slots)-1]
	for _, s := range samples {
		last.add(s)
	}
}

func (l *slot) add(s belay.Sample) {
	i := slices.IndexFunc(l.samples, func(o belay.Sample) bool {
		return o.Signal == s.Signal && o.Instance == s.Instance && o.Stratum == s.Stratum && o.Kind == s.Kind && slices.Equal(o.LE, s.LE)
	})
	if i < 0 {
		s.Count = slices.Clone(s.Count)
		l.samples, l.weights = append(l.samples, s), append(l.weights, 1)
		return
	}
	o := &l.samples[i]
	o.N, o.X, o.Sum = o.N+s.N, o.X+s.X, o.Sum+s.Sum
	for k := range min(len(o.Count), len(s.Count)) {
		o.Count[k] += s.Count[k]
	}
	l.weights[i]++
	o.Value += (s.Value - o.Value) / l.weights[i]
}

// Before gives the last hour that was seen before start as the baseline's samples, with T counted from it: all
// negative.
func (h *History) Before(start time.Time) []belay.Sample {
	h.mu.Lock()
	newest := start
	for _, l := range h.slots {
		if l.begin.Before(start) {
			newest = l.begin
		}
	}
	h.mu.Unlock()
	return h.Between(newest.Add(-HistoryLength), start)
}

// Between gives what is remembered of the pieces of time that began in from or later, and before to, as the baseline's
// samples, with T counted from to: all negative.
func (h *History) Between(from, to time.Time) []belay.Sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []belay.Sample
	for _, l := range h.slots {
		if l.begin.Before(from) || !l.begin.Before(to) {
			continue
		}
		// The middle of the piece; the newest may not be over yet.
		t := l.begin.Add(historyPiece / 2).Sub(to).Seconds()
		t = min(t, -0.001)
		for _, s := range l.samples {
			s.T, s.Arm = t, belay.ArmBaseline
			s.Count = slices.Clone(s.Count)
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b belay.Sample) int {
		if a.T != b.T {
			if a.T < b.T {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Signal, b.Signal)
	})
	return out
}
