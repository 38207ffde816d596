package proxy

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/belaydev/belay/internal/proxy/count"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

const (
	streamEvery    = 100 * time.Millisecond
	heartbeatEvery = time.Second
	lineTimeout    = 5 * time.Second // a reader that takes no line for so long is let go
)

func (p *Proxy) getCounts(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, p.snapshot(1))
}

func (p *Proxy) snapshot(seq uint64) proxyclient.Snapshot {
	t := p.table.Load()
	return proxyclient.Snapshot{
		Proxy: p.opt.Name, BootID: p.bootID, Seq: seq, Time: p.now().UTC(), Generation: t.generation,
		Unrouted: p.unrouted.Load(), Slots: p.slots(t), LE: count.Bounds(), Counters: p.counts.Counters(),
	}
}

// streamCounts sends a snapshot whenever something was counted or changed, and a heartbeat when nothing was, so
// that a reader can tell silence from a broken connection.
func (p *Proxy) streamCounts(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	send := func(s proxyclient.Snapshot) bool {
		return rc.SetWriteDeadline(time.Now().Add(lineTimeout)) == nil && lines.Encode(s) == nil && rc.Flush() == nil
	}
	tick := time.NewTicker(streamEvery)
	defer tick.Stop()
	type mark struct{ counted, unrouted, generation uint64 }
	now := func() mark { return mark{p.counts.Changes(), p.unrouted.Load(), p.table.Load().generation} }
	last, seq, sent := now(), uint64(1), time.Now()
	if !send(p.snapshot(seq)) {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case <-p.stopStream:
			return
		case <-tick.C:
		}
		m := now() // before the snapshot: what is counted in between comes with the next line again
		s := proxyclient.Snapshot{Proxy: p.opt.Name, BootID: p.bootID, Time: p.now().UTC(), Generation: m.generation, Heartbeat: true}
		switch {
		case m != last:
			s = p.snapshot(0)
		case time.Since(sent) < heartbeatEvery:
			continue
		}
		seq++
		s.Seq = seq
		if !send(s) {
			return
		}
		last, sent = m, time.Now()
	}
}
