package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

const (
	streamEvery    = 100 * time.Millisecond
	heartbeatEvery = time.Second
	lineTimeout    = 5 * time.Second // a reader that takes no line for so long is let go
)

func (a *api) getCounts(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, a.snapshot(1))
}

func (a *api) snapshot(seq uint64) proxyclient.Snapshot {
	s := a.plane.Snapshot()
	s.Seq = seq
	return s
}

// streamCounts sends a snapshot whenever something was counted or changed, and a heartbeat when nothing was, so
// that a reader can tell silence from a broken connection.
func (a *api) streamCounts(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	lines := json.NewEncoder(w)
	send := func(s proxyclient.Snapshot) bool {
		return rc.SetWriteDeadline(time.Now().Add(lineTimeout)) == nil && lines.Encode(s) == nil && rc.Flush() == nil
	}
	tick := time.NewTicker(streamEvery)
	defer tick.Stop()
	last, seq, sent := a.plane.Mark(), uint64(1), time.Now()
	hello := a.snapshot(seq)
	if !send(hello) {
		return
	}
	boot := hello.BootID
	for {
		select {
		case <-r.Context().Done():
			return
		case <-a.Stop:
			return
		case <-tick.C:
		}
		m := a.plane.Mark() // before the snapshot: what is counted in between comes with the next line again
		s := proxyclient.Snapshot{Proxy: a.Name, BootID: boot, Time: a.Now().UTC(), Generation: m.Generation, Heartbeat: true}
		switch {
		case m != last:
			s = a.snapshot(0)
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
