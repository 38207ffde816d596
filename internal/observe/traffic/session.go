package traffic

import (
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// The signals that a proxy knows.
const (
	ErrorRate    = "error_rate"
	ResponseTime = "response_time"
	Throughput   = "throughput"
)

// Side is where one arm's requests are counted.
type Side struct {
	Slot    string // empty: this side has no slot here
	Release string // as the proxy knows it; empty: any in the slot
}

// Session is the view of one deployment. Collect is called by one goroutine at a time.
type Session struct {
	source              *Source
	candidate, baseline Side
	updated             chan struct{}
	last                map[key]proxyclient.Counter // nil until the first line has been seen
	lastT               float64
	begun               bool                  // a Collect has set lastT
	requests            map[belay.Arm]float64 // since lastT
}

// Session begins a view. It counts from now on, or from the first line if the proxy cannot be read yet: what was
// counted before belongs to other deployments.
func (s *Source) Session(candidate, baseline Side) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &Session{source: s, candidate: candidate, baseline: baseline, updated: make(chan struct{}, 1), last: s.totals.now, requests: map[belay.Arm]float64{}}
	s.sessions[v] = struct{}{}
	return v
}

// Updated receives after something was counted or the proxy was lost, so that a watcher need not wait for its tick.
func (v *Session) Updated() <-chan struct{} { return v.updated }

// Close ends the view.
func (v *Session) Close() {
	v.source.mu.Lock()
	defer v.source.mu.Unlock()
	delete(v.source.sessions, v)
}

// Collect returns what was counted since the last call, as samples of the tick at t seconds, and whether the proxy
// can be read. Without counts there are no samples: silence of the proxy is not silence of the users.
func (v *Session) Collect(now time.Time, t float64) ([]belay.Sample, belay.SourceStatus) {
	select {
	case <-v.updated: // before reading: what comes now is told again
	default:
	}
	s := v.source
	s.mu.Lock()
	status, current, le := s.status(now), s.totals.now, s.totals.le
	s.mu.Unlock()
	if current == nil {
		return nil, status
	}
	if v.last == nil {
		v.last = current
	}
	var out []belay.Sample
	for k, c := range current {
		arm, slot := v.arm(k)
		if arm == "" {
			continue
		}
		d := plus(c, v.last[k], -1)
		v.requests[arm] += float64(d.Requests())
		out = append(out, samples(belay.Sample{T: t, Arm: arm, Instance: slot, Stratum: k.stratum}, d, le)...)
	}
	v.last = current
	if status.OK {
		out = append(out, v.throughput(t)...)
	}
	slices.SortFunc(out, func(a, b belay.Sample) int {
		return strings.Compare(a.Signal+"\x00"+string(a.Arm)+"\x00"+a.Stratum, b.Signal+"\x00"+string(b.Arm)+"\x00"+b.Stratum)
	})
	return out, status
}

// arm tells on which side a counter is, if on any. A release that the proxy was never told matches by its slot, as
// long as the slots tell the sides apart.
func (v *Session) arm(k key) (belay.Arm, string) {
	apart := v.candidate.Slot != v.baseline.Slot
	is := func(s Side) bool {
		return s.Slot != "" && k.slot == s.Slot && (s.Release == "" || k.release == s.Release || (apart && k.release == ""))
	}
	switch {
	case is(v.candidate):
		return belay.ArmCandidate, k.slot
	case is(v.baseline):
		return belay.ArmBaseline, k.slot
	}
	return "", ""
}

// samples makes those of one stratum. Bad are responses 5xx, refused connections among them; requests that the
// client cancelled count neither way.
//
// The response time is that to the end of the response: it is what the user waited for, and a release that begins
// to answer at once and then crawls is slow. Streams, which end when the user wants, are not in it.
func samples(base belay.Sample, d proxyclient.Counter, le []float64) []belay.Sample {
	var out []belay.Sample
	if n := d.Requests(); n > 0 {
		e := base
		e.Signal, e.Kind, e.N, e.X = ErrorRate, belay.KindEvents, float64(n), float64(d.Classes[4])
		out = append(out, e)
	}
	h := base
	h.Signal, h.Kind, h.LE, h.Sum = ResponseTime, belay.KindHistogram, le, d.Full.Sum
	for i, c := range d.Full.Counts {
		h.N += float64(c)
		if i < len(le) {
			h.Count = append(h.Count, h.N)
		}
	}
	if h.N > 0 {
		out = append(out, h)
	}
	return out
}

// throughput gives requests per second of each arm since the last tick that it was given for.
func (v *Session) throughput(t float64) []belay.Sample {
	seconds := t - v.lastT
	first := !v.begun
	if !first && seconds <= 0 {
		return nil
	}
	v.lastT, v.begun = t, true
	if first {
		clear(v.requests) // over a time that is not known
		return nil
	}
	var out []belay.Sample
	for arm, side := range map[belay.Arm]Side{belay.ArmCandidate: v.candidate, belay.ArmBaseline: v.baseline} {
		if side.Slot != "" {
			out = append(out, belay.Sample{T: t, Signal: Throughput, Kind: belay.KindGauge, Arm: arm, Instance: side.Slot, Value: v.requests[arm] / seconds})
		}
	}
	clear(v.requests)
	return out
}
