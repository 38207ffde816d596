package traffic

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

var _ Client = (*proxyclient.Client)(nil)

// script is a proxy whose stream is fed by the test.
type script struct{ feed chan any } // proxyclient.Snapshot or error

func (script) Name() string { return "edge" }

func (c script) Stream(ctx context.Context, fn func(proxyclient.Snapshot)) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case v := <-c.feed:
			switch v := v.(type) {
			case proxyclient.Snapshot:
				fn(v)
			case error:
				return v
			}
		}
	}
}

func counted(slot, release string, ok, bad uint64) proxyclient.Counter {
	return proxyclient.Counter{
		Slot: slot, Release: release, Stratum: "GET /orders", Classes: [5]uint64{1: ok, 4: bad}, Cancelled: 7,
		Full: proxyclient.Histogram{Counts: []uint64{ok, bad, 0}, Sum: float64(ok)*0.1 + float64(bad)*0.5},
	}
}

func line(boot string, c ...proxyclient.Counter) proxyclient.Snapshot {
	return proxyclient.Snapshot{BootID: boot, LE: []float64{0.25, 1}, Counters: c}
}

// story runs a source and a session of green (1.5) against blue (1.4).
func story(t *testing.T, f func(c script, src *Source, v *Session, began time.Time)) {
	synctest.Test(t, func(t *testing.T) {
		c := script{make(chan any)}
		src := New(c, slog.New(slog.DiscardHandler))
		v := src.Session(Side{"green", "1.5"}, Side{"blue", "1.4"})
		if err := src.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		f(c, src, v, time.Now())
		if err := errors.Join(src.Stop(t.Context()), src.Stop(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

func (v *Session) errors(began time.Time) (n, x map[belay.Arm]float64, s belay.SourceStatus) {
	samples, s := v.Collect(time.Now(), time.Since(began).Seconds())
	n, x = map[belay.Arm]float64{}, map[belay.Arm]float64{}
	for _, k := range samples {
		if k.Signal == ErrorRate {
			n[k.Arm] += k.N
			x[k.Arm] += k.X
		}
	}
	return n, x, s
}

func TestSamplesAreDifferences(t *testing.T) {
	story(t, func(c script, _ *Source, v *Session, began time.Time) {
		c.feed <- line("a", counted("green", "1.5", 100, 5), counted("blue", "1.4", 1000, 0))
		synctest.Wait()
		if got, s := v.Collect(time.Now(), 0); len(got) != 0 || !s.OK || s.Source != "proxy edge" {
			t.Errorf("what was counted before the session: %+v %+v", got, s)
		}
		time.Sleep(time.Second)
		c.feed <- line("a", counted("green", "1.5", 104, 8), counted("blue", "1.4", 1020, 0), counted("green", "1.3", 50, 50))
		<-v.Updated()
		got, _ := v.Collect(time.Now(), time.Since(began).Seconds())
		want := []belay.Sample{
			{Signal: "error_rate", Kind: "events", Arm: "baseline", Instance: "blue", Stratum: "GET /orders", N: 20},
			{Signal: "error_rate", Kind: "events", Arm: "candidate", Instance: "green", Stratum: "GET /orders", N: 7, X: 3},
			{Signal: "response_time", Kind: "histogram", Arm: "baseline", Instance: "blue", Stratum: "GET /orders", N: 20, Count: []float64{20, 20}, Sum: 2},
			{Signal: "response_time", Kind: "histogram", Arm: "candidate", Instance: "green", Stratum: "GET /orders", N: 7, Count: []float64{4, 7}, Sum: 1.9},
			{Signal: "throughput", Kind: "gauge", Arm: "baseline", Instance: "blue", Value: 20},
			{Signal: "throughput", Kind: "gauge", Arm: "candidate", Instance: "green", Value: 7},
		}
		if len(got) != len(want) {
			t.Fatalf("got %+v", got)
		}
		for i, w := range want {
			g := got[i]
			if g.T != 1 || math.Abs(g.Sum-w.Sum) > 1e-9 || (len(w.Count) > 0 && (g.Count[0] != w.Count[0] || g.Count[1] != w.Count[1] || len(g.Count) != 2 || g.LE[1] != 1)) {
				t.Errorf("got %+v, want %+v", g, w)
			}
			g.T, g.Sum, g.Count, g.LE = 0, 0, nil, nil
			w.Sum, w.Count = 0, nil
			if g.Signal != w.Signal || g.Kind != w.Kind || g.Arm != w.Arm || g.Instance != w.Instance || g.Stratum != w.Stratum || g.N != w.N || g.X != w.X || g.Value != w.Value {
				t.Errorf("got %+v, want %+v", g, w)
			}
		}
		// Nothing new: no events, but traffic of 0, which is a fact.
		time.Sleep(time.Second)
		got, _ = v.Collect(time.Now(), time.Since(began).Seconds())
		if len(got) != 2 || got[0].Signal != Throughput || got[0].Value != 0 {
			t.Errorf("nothing new: %+v", got)
		}
	})
}

func TestRestartsOfTheProxyLoseAndInventNothing(t *testing.T) {
	story(t, func(c script, _ *Source, v *Session, began time.Time) {
		c.feed <- line("a", counted("green", "1.5", 100, 0))
		synctest.Wait()
		v.errors(began)
		c.feed <- line("a", counted("green", "1.5", 110, 1)) // not collected before the restart
		c.feed <- line("b", counted("green", "1.5", 2, 0))
		c.feed <- line("b", counted("green", "1.5", 3, 1))
		c.feed <- line("c")
		c.feed <- line("c", counted("green", "1.5", 200, 0)) // more than before all restarts
		synctest.Wait()
		if n, x, _ := v.errors(began); n[belay.ArmCandidate] != 11+4+200 || x[belay.ArmCandidate] != 2 {
			t.Errorf("n=%v x=%v", n, x)
		}
	})
}

func TestLostProxyIsBlindNotSilent(t *testing.T) {
	story(t, func(c script, _ *Source, v *Session, began time.Time) {
		if _, _, s := v.errors(began); s.OK {
			t.Error("readable before it was read")
		}
		c.feed <- line("a", counted("green", "1.5", 1, 0))
		synctest.Wait()
		v.errors(began)
		time.Sleep(5 * time.Second) // a stream that is silent
		samples, s := v.Collect(time.Now(), 5)
		if s.OK || !strings.Contains(s.Detail, "silent") || len(samples) != 0 {
			t.Errorf("silent: %+v %+v", samples, s)
		}
		c.feed <- proxyclient.Snapshot{Heartbeat: true, BootID: "a"}
		synctest.Wait()
		if _, _, s := v.errors(began); !s.OK {
			t.Errorf("after a heartbeat: %+v", s)
		}
		lostAt := time.Now().UTC().Format(time.TimeOnly)
		c.feed <- errors.New("connection refused")
		<-v.Updated() // a watcher is told at once
		time.Sleep(time.Minute)
		if _, _, s := v.errors(began); s.OK || !strings.Contains(s.Detail, "since "+lostAt) || !strings.Contains(s.Detail, "connection refused") {
			t.Errorf("lost: %+v", s)
		}
		c.feed <- line("a", counted("green", "1.5", 5, 0)) // it has connected again by itself
		synctest.Wait()
		if n, _, s := v.errors(began); !s.OK || n[belay.ArmCandidate] != 4 {
			t.Errorf("back: %v %+v", n, s)
		}
	})
}

func TestReleasesInOneSlotAreToldApart(t *testing.T) {
	for _, c := range []struct {
		candidate, baseline Side
		k                   key
		want                belay.Arm
	}{
		{Side{"a", "2"}, Side{"a", "1"}, key{slot: "a", release: "2"}, belay.ArmCandidate},
		{Side{"a", "2"}, Side{"a", "1"}, key{slot: "a", release: "1"}, belay.ArmBaseline},
		{Side{"a", "2"}, Side{"a", "1"}, key{slot: "a"}, ""}, // either could be meant
		{Side{"a", "2"}, Side{"b", "1"}, key{slot: "a"}, belay.ArmCandidate},
		{Side{"a", "2"}, Side{"b", "1"}, key{slot: "b"}, belay.ArmBaseline},
		{Side{"a", "2"}, Side{"b", "1"}, key{slot: "a", release: "1"}, ""}, // of before
		{Side{"a", ""}, Side{}, key{slot: "a", release: "9"}, belay.ArmCandidate},
		{Side{"a", ""}, Side{}, key{slot: "", release: "9"}, ""},
	} {
		if got, _ := (&Session{candidate: c.candidate, baseline: c.baseline}).arm(c.k); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestClosedSessionIsForgotten(t *testing.T) {
	story(t, func(c script, src *Source, v *Session, _ time.Time) {
		v.Close()
		c.feed <- line("a")
		synctest.Wait()
		if len(src.sessions) != 0 || len(v.Updated()) != 0 {
			t.Error("still told of news")
		}
	})
}
