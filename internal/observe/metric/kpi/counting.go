package kpi

import (
	"math"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi/convention"
	"github.com/belaydev/belay/internal/observe/metric/kpi/tally"
)

// increment is what happened between two scrapes of a series.
type increment struct {
	at    int64
	since int64 // 0 when not known
	n     float64
	hist  *metric.Histogram
	reset bool // the process began anew in between
	whole bool // counted from zero: since a birth or a reset
}

// advance moves the series on to a point and returns what happened since the one before. It returns false when
// that cannot be known: a first sample of a process that had been counting before anybody looked.
func (st *series) advance(p metric.Point, began int64) (increment, bool) {
	ms := p.T.UnixMilli()
	if math.IsNaN(p.V) || math.IsInf(p.V, 0) || p.H != nil && math.IsNaN(p.H.N) {
		return increment{}, false
	}
	inc := increment{at: ms, since: st.at, n: p.V, hist: p.H}
	if p.H != nil {
		inc.n = p.H.N
	}
	epoch := st.instance.StartAt(ms)
	known := true
	switch {
	case !st.seen:
		inc.since = st.instance.ScrapeBefore(ms)
		fromZero := epoch > 0 && int64(epoch*1000) >= began
		// A series that was not there at an earlier scrape of the instance was born since and began at zero,
		// as the counter of the first failure does.
		known = st.instance.First < ms || fromZero
		if st.instance.First >= ms && fromZero {
			inc.since = int64(epoch * 1000)
		}
	case st.restarted(p, epoch):
		inc.reset = true
		if epoch > 0 {
			inc.since = max(inc.since, int64(epoch*1000))
		}
	default:
		inc.n -= st.value
		inc.hist = st.since(p.H, st.hist)
	}
	if inc.whole = !st.seen || inc.reset; inc.whole {
		inc.hist = st.since(p.H, nil)
	}
	st.seen, st.at, st.epoch, st.hist = true, ms, epoch, p.H
	st.value = p.V
	if p.H != nil {
		st.value = p.H.N
	}
	return inc, known
}

// restarted tells whether the count began at zero since the last point: it went down, or another process is
// behind the address, which may have counted further than the one before.
func (st *series) restarted(p metric.Point, epoch float64) bool {
	if st.epoch > 0 && epoch > st.epoch+1 {
		return true
	}
	if p.H == nil {
		return p.V < st.value
	}
	return p.H.Fell(st.hist)
}

func (st *series) since(now, before *metric.Histogram) *metric.Histogram {
	switch {
	case now == nil:
		return nil
	case st.native:
		return now.Since(before).Sparse()
	}
	return now.Since(before)
}

// count adds the new points of a series to the samples of this tick.
func (c *Collector) count(f fresh, out *tally.Tally) {
	began := c.subject.Start.UnixMilli() - 1000 // process start times are rounded
	for _, p := range f.points {
		var (
			inc   increment
			known bool
		)
		if f.family.Kind == convention.Memory {
			inc, known = f.read(p)
		} else {
			inc, known = f.advance(p, began)
		}
		if inc.reset {
			f.instance.NoteReset(inc.at)
		}
		if !known || f.instance.Flapping(inc.at) {
			continue
		}
		arm, ok := c.armOf(f.series, inc.at)
		if arm == belay.ArmCandidate && !inc.whole && inc.since > 0 && inc.since < c.subject.Start.UnixMilli() {
			continue // most of it happened before the new release ran
		}
		if ok && (c.counted.IsZero() || inc.at > c.counted.UnixMilli()) {
			f.add(arm, inc, out)
		}
	}
}

// read takes a gauge as it is.
func (st *series) read(p metric.Point) (increment, bool) {
	st.seen, st.at = true, p.T.UnixMilli()
	return increment{at: st.at, n: p.V}, !math.IsNaN(p.V) && !math.IsInf(p.V, 0)
}

// add adds what happened to the signals that are taken from this series.
func (st *series) add(arm armName, inc increment, out *tally.Tally) {
	in, rank := st.instance, st.family.Rank
	key := func(signal string) tally.Key { return tally.Key{Signal: signal, Arm: arm, Instance: in.Name} }
	span, spanned := tally.Span{Since: inc.since, At: inc.at}, inc.since > 0 && inc.at > inc.since
	switch st.family.Kind {
	case convention.Memory:
		if in.memory == rank {
			out.Gauge(key(MemoryUsage), inc.at, inc.n)
		}
	case convention.CPU:
		if in.cpu == rank && spanned {
			out.Rate(key(CPUUsage), span, inc.n)
		}
	case convention.Counter, convention.Histogram:
		if in.requests == rank && spanned {
			out.Rate(key(Throughput), span, inc.n)
		}
		if inc.n <= 0 {
			return
		}
		if in.requests == rank && in.coded {
			k := key(ErrorRate)
			k.Stratum = st.stratum
			out.Events(k, inc.at, st.status, inc.n)
		}
		if in.durations == rank && inc.hist != nil {
			k := key(ResponseTime)
			k.Stratum = st.stratum
			out.Histogram(k, inc.at, inc.hist.Scaled(st.family.Unit))
		}
	case convention.Up, convention.Start:
	}
}
