// Package scraped remembers what is known of one scraped address over time: when it was read, whether it is up,
// when its process began and which version it is. It neither reads metrics nor counts them.
package scraped

import (
	"cmp"
	"math"
	"slices"

	"github.com/belaydev/belay/internal/observe/metric"
)

// Instance is what is remembered of one scraped address.
type Instance struct {
	Name string

	Up       float64 // newest value of the series "up"
	UpAt     int64   // of it; 0 when there is none
	DownAt   int64   // since when it is down
	First    int64   // scrape that succeeded; math.MaxInt64 before one did
	Newest   int64   // scrape
	upBefore int64

	last     int64             // newest scrape of the batches before
	batch    []metric.Point    // times of this batch's scrapes
	starts   []moment[float64] // process start times, in seconds, by when they were seen first
	releases []moment[string]
	resets   []int64
}

type moment[T any] struct {
	at int64
	v  T
}

// New makes an instance that nothing is known of.
func New(name string) *Instance { return &Instance{Name: name, First: math.MaxInt64} }

// Seen returns when anything of the instance was seen last.
func (in *Instance) Seen() int64 { return max(in.UpAt, in.Newest) }

// Spacing returns the time between the two newest scrapes, or 0.
func (in *Instance) Spacing() int64 {
	if in.upBefore == 0 {
		return 0
	}
	return in.UpAt - in.upBefore
}

// NoteUp takes note of whether scrapes succeeded.
func (in *Instance) NoteUp(ps []metric.Point) {
	up := make([]metric.Point, 0, len(ps))
	for _, p := range ps {
		ms := p.T.UnixMilli()
		if p.V == 1 {
			up = append(up, p)
		}
		if ms <= in.UpAt {
			continue
		}
		if p.V != 1 && (in.UpAt == 0 || in.Up == 1) {
			in.DownAt = ms
		}
		in.upBefore, in.UpAt, in.Up = in.UpAt, ms, p.V
	}
	in.NoteScrape(up)
}

// Begin prepares for the next batch.
func (in *Instance) Begin() { in.last, in.batch = in.Newest, nil }

// NoteScrape takes note of when the instance was scraped. All series of a scrape carry its time, so the series
// with the most points tells all.
func (in *Instance) NoteScrape(ps []metric.Point) {
	if len(ps) == 0 {
		return
	}
	in.First = min(in.First, ps[0].T.UnixMilli())
	newest := ps[len(ps)-1].T.UnixMilli()
	if len(ps) > len(in.batch) {
		in.batch = ps
	}
	in.Newest = max(in.Newest, newest)
}

// ScrapeBefore returns the time of the scrape before ms, or 0 when none is known.
func (in *Instance) ScrapeBefore(ms int64) int64 {
	i, _ := slices.BinarySearchFunc(in.batch, ms, func(p metric.Point, ms int64) int { return cmp.Compare(p.T.UnixMilli(), ms) })
	if i > 0 {
		return in.batch[i-1].T.UnixMilli()
	}
	if in.last < ms {
		return in.last
	}
	return 0
}

// NoteStart takes note of when the process that answered began, in seconds since 1970.
func (in *Instance) NoteStart(ps []metric.Point) {
	for _, p := range ps {
		// Start times are computed by some libraries from uptime and wander by a little.
		if n := len(in.starts); n == 0 || p.T.UnixMilli() > in.starts[n-1].at && math.Abs(p.V-in.starts[n-1].v) > 1 {
			in.starts = append(in.starts, moment[float64]{p.T.UnixMilli(), p.V})
		}
	}
}

// StartAt returns when the process that answered at ms began, in seconds, or 0 when it is not known.
func (in *Instance) StartAt(ms int64) float64 {
	v, _ := latest(in.starts, ms)
	return v
}

// NoteReset takes note of counters that began at zero again.
func (in *Instance) NoteReset(ms int64) {
	if n := len(in.resets); n == 0 || in.resets[n-1] < ms {
		in.resets = append(in.resets, ms)
	}
}

// Flapping tells whether the counts go back again and again: several processes answer behind one address, each
// with counts of its own, and what is read is neither's.
func (in *Instance) Flapping(now int64) bool {
	const resets, within = 5, 60_000
	n := len(in.resets)
	if n < resets || in.resets[n-resets] <= now-within {
		return false
	}
	// One process that crashes again and again starts later each time.
	return len(in.starts) < resets || !slices.IsSortedFunc(in.starts[len(in.starts)-resets:], func(a, b moment[float64]) int { return cmp.Compare(a.v, b.v) })
}

// SetRelease takes note of the version that the instance reports.
func (in *Instance) SetRelease(ms int64, v string) {
	n := len(in.releases)
	if n > 0 && (ms <= in.releases[n-1].at || in.releases[n-1].v == v) {
		return
	}
	in.releases = append(in.releases, moment[string]{ms, v})
}

// ReleaseAt returns the version that the instance reported at ms, or "".
func (in *Instance) ReleaseAt(ms int64) string {
	v, _ := latest(in.releases, ms)
	return v
}

func latest[T any](ms []moment[T], at int64) (v T, ok bool) {
	for i := len(ms) - 1; i >= 0; i-- {
		if ms[i].at <= at {
			return ms[i].v, true
		}
	}
	return v, false
}
