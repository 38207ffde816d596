package verify_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/prove/verify"
)

// world is the real systems as fakes: each reading is a function of the time since the proof began.
type world struct {
	began    time.Time
	releases func(time.Duration) map[string]string // by target; "!why" is a problem
	weights  func(time.Duration) (map[string]int, error)
	health   func(time.Duration) ([]belay.HealthStatus, error)
	signals  func(time.Duration) ([]verify.SignalReading, error)
	door     func(time.Duration) verify.DoorReading
}

func (w *world) since() time.Duration { return time.Since(w.began) }

func (w *world) Releases(_ context.Context, targets []belay.Target) (out []verify.Reported, err error) {
	reported := w.releases(w.since())
	for _, t := range targets {
		if v, ok := reported[t.Address]; ok {
			r := verify.Reported{Target: t.Address, Version: v}
			if why, bad := strings.CutPrefix(v, "!"); bad {
				r.Version, r.Problem = "", why
			}
			out = append(out, r)
		}
	}
	slices.Reverse(out) // the order of the answer must not matter
	return out, nil
}

func (w *world) Weights(context.Context) (map[string]int, error) { return w.weights(w.since()) }

func (w *world) Health(context.Context) ([]belay.HealthStatus, error) { return w.health(w.since()) }

func (w *world) Recovered(context.Context) ([]verify.SignalReading, error) {
	return w.signals(w.since())
}

func (w *world) Knock(context.Context, belay.Release) verify.DoorReading { return w.door(w.since()) }

func statuses(state belay.HealthState) []belay.HealthStatus {
	s := belay.HealthStatus{Check: "web", Target: "a:1", State: state, At: time.Now(), Detail: "HTTP 200"}
	if state == belay.HealthUnhealthy {
		s.Fails, s.Detail = 1, "HTTP 503, database is down"
	}
	return []belay.HealthStatus{s}
}

// well is a world in which everything came back at once.
func well() *world {
	return &world{
		releases: func(time.Duration) map[string]string {
			return map[string]string{"a:1": "1.1", "b:1": "v1.1", "c:1": "1.1"}
		},
		weights: func(time.Duration) (map[string]int, error) { return map[string]int{"blue": 100, "green": 0}, nil },
		health:  func(time.Duration) ([]belay.HealthStatus, error) { return statuses(belay.HealthHealthy), nil },
		signals: func(time.Duration) ([]verify.SignalReading, error) {
			return []verify.SignalReading{{Name: "response_time", State: belay.CheckPassed}, {Name: "error_rate", State: belay.CheckPassed, Want: "at most 0.2%", Got: "0.1%"}}, nil
		},
		door: func(time.Duration) verify.DoorReading {
			return verify.DoorReading{State: belay.CheckPassed, Want: "HTTP 200", Got: "HTTP 200"}
		},
	}
}

func (w *world) options() verify.Options {
	return verify.Options{Releases: w, Weights: w, Proxy: "edge", Health: w, Signals: w, FrontDoor: w}
}

func subject() verify.Subject {
	return verify.Subject{
		Rollback: "r-1", Ref: belay.Ref{Service: "shop", Environment: "production"}, Rung: 1,
		Release: belay.Release{Version: "1.1"}, From: belay.Release{Version: "1.2"}, Slot: "blue",
		Targets: []belay.Target{{Address: "a:1"}, {Address: "b:1"}, {Address: "c:1"}},
		Timeout: time.Minute,
	}
}

// prove runs a proof of the world in a bubble.
func prove(t *testing.T, w *world, check func(*testing.T, belay.Certificate)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w.began = time.Now()
		c, err := verify.New(w.options()).Prove(t.Context(), subject())
		if err != nil {
			t.Fatal(err)
		}
		if c.Took.D() != time.Since(w.began) || !c.IssuedAt.Equal(time.Now()) || c.Rollback != "r-1" || c.Service != "shop" || c.Rung != 1 || c.Release.Version != "1.1" {
			t.Errorf("facts of the certificate: %+v", c)
		}
		check(t, c)
	})
}

func find(t *testing.T, c belay.Certificate, name string) belay.Check {
	t.Helper()
	for _, k := range c.Checks {
		if k.Name == name {
			return k
		}
	}
	t.Fatalf("no check %q in %+v", name, c.Checks)
	return belay.Check{}
}

func want(t *testing.T, c belay.Certificate, result belay.CertificateResult, took time.Duration) {
	t.Helper()
	if c.Result != result || c.Took.D() != took {
		t.Errorf("%s after %s, want %s after %s: %+v", c.Result, c.Took, result, took, c.Checks)
	}
}

func wantCheck(t *testing.T, c belay.Certificate, name string, result belay.CheckResult, got string) {
	t.Helper()
	if k := find(t, c, name); k.Result != result || !strings.Contains(k.Got, got) || k.Want == "" {
		t.Errorf("%s: %s, got %q, want %q; should be %s, %q", name, k.Result, k.Got, k.Want, result, got)
	}
}

func TestVerified(t *testing.T) {
	prove(t, well(), func(t *testing.T, c belay.Certificate) {
		want(t, c, belay.ResultVerified, 5*time.Second)
		var names []string
		for _, k := range c.Checks {
			names = append(names, k.Name)
			if k.Result != belay.CheckPassed || !k.At.Equal(c.IssuedAt) {
				t.Errorf("%+v", k)
			}
		}
		if got, want := strings.Join(names, ", "), "release of a:1, release of b:1, release of c:1, weights of proxy edge, health web of a:1, signal error_rate, signal response_time, front door"; got != want {
			t.Errorf("order %s; want %s", got, want)
		}
	})
}

func TestLyingDriverFailsEarly(t *testing.T) {
	w := well()
	w.weights = func(time.Duration) (map[string]int, error) { return map[string]int{"green": 100, "blue": 0}, nil }
	prove(t, w, func(t *testing.T, c belay.Certificate) {
		want(t, c, belay.ResultFailed, 3*time.Second)
		wantCheck(t, c, "weights of proxy edge", belay.CheckFailed, "blue 0%, green 100%")
		wantCheck(t, c, "release of a:1", belay.CheckPassed, "1.1")
		if k := find(t, c, "weights of proxy edge"); k.Want != "blue 100%" {
			t.Errorf("want %q", k.Want)
		}
	})
}

func TestLyingDriverWithoutAProxy(t *testing.T) {
	w := well()
	w.releases = func(time.Duration) map[string]string {
		return map[string]string{"a:1": "1.2", "b:1": "1.2", "c:1": "1.2"}
	}
	prove(t, w, func(t *testing.T, c belay.Certificate) {
		want(t, c, belay.ResultFailed, 30*time.Second)
		wantCheck(t, c, "release of b:1", belay.CheckFailed, "1.2, the release that was to be taken back")
	})
}

func TestWeightsWithinTheirGrace(t *testing.T) {
	w := well()
	w.weights = func(d time.Duration) (map[string]int, error) {
		if d < 2*time.Second {
			return map[string]int{"green": 100, "blue": 0}, nil
		}
		return map[string]int{"blue": 100, "green": 0}, nil
	}
	prove(t, w, func(t *testing.T, c belay.Certificate) { want(t, c, belay.ResultVerified, 7*time.Second) })
}

func TestOneTargetOfThreeStillOnTheNewRelease(t *testing.T) {
	w := well()
	w.releases = func(time.Duration) map[string]string {
		return map[string]string{"a:1": "1.1", "b:1": "1.2", "c:1": "1.1"}
	}
	prove(t, w, func(t *testing.T, c belay.Certificate) {
		want(t, c, belay.ResultFailed, time.Minute)
		wantCheck(t, c, "release of a:1", belay.CheckPassed, "1.1")
		wantCheck(t, c, "release of b:1", belay.CheckFailed, "1.2, the release that was to be taken back")
		wantCheck(t, c, "release of c:1", belay.CheckPassed, "1.1")
	})
}

func TestMonitoringDownIsUnverified(t *testing.T) {
	w := well()
	w.signals = func(time.Duration) ([]verify.SignalReading, error) { return nil, errors.New("connection refused") }
	w.releases = func(time.Duration) map[string]string { return map[string]string{"a:1": "1.1", "b:1": "!HTTP 404"} }
	prove(t, w, func(t *testing.T, c belay.Certificate) {
		want(t, c, belay.ResultUnverified, time.Minute)
		wantCheck(t, c, "signals", belay.CheckUnknown, "could not be read: connection refused")
		wantCheck(t, c, "release of b:1", belay.CheckUnknown, "could not be read: HTTP 404")
		wantCheck(t, c, "release of c:1", belay.CheckUnknown, "not reported")
		wantCheck(t, c, "front door", belay.CheckPassed, "HTTP 200")
	})
}

func TestASignalThatFallsSilentIsUnknown(t *testing.T) {
	w := well()
	w.signals = func(d time.Duration) ([]verify.SignalReading, error) {
		both := []verify.SignalReading{{Name: "error_rate", State: belay.CheckPassed, Want: "low"}, {Name: "orders", State: belay.CheckPassed, Want: "many"}}
		if d < 2*time.Second {
			return both, nil
		}
		return both[:1], nil
	}
	prove(t, w, func(t *testing.T, c belay.Certificate) {
		want(t, c, belay.ResultUnverified, time.Minute)
		wantCheck(t, c, "signal error_rate", belay.CheckPassed, "")
		wantCheck(t, c, "signal orders", belay.CheckUnknown, "no longer reported")
	})
}

func TestTwoChecksOfOneNameDoNotHideEachOther(t *testing.T) {
	w := well()
	w.health = func(time.Duration) ([]belay.HealthStatus, error) {
		return append(statuses(belay.HealthUnhealthy), statuses(belay.HealthHealthy)...), nil
	}
	prove(t, w, func(t *testing.T, c belay.Certificate) {
		want(t, c, belay.ResultFailed, time.Minute)
		wantCheck(t, c, "health web of a:1", belay.CheckFailed, "unhealthy: HTTP 503, database is down")
		wantCheck(t, c, "health web of a:1 (2)", belay.CheckPassed, "healthy")
	})
}

func TestFlappingIsNotVerified(t *testing.T) {
	for _, phase := range []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second} {
		w := well()
		w.health = func(d time.Duration) ([]belay.HealthStatus, error) {
			if (d+phase)%(4*time.Second) < time.Second {
				return statuses(belay.HealthUnhealthy), nil
			}
			return statuses(belay.HealthHealthy), nil
		}
		prove(t, w, func(t *testing.T, c belay.Certificate) {
			want(t, c, belay.ResultFailed, time.Minute)
			k := find(t, c, "health web of a:1")
			if k.Result != belay.CheckFailed || strings.HasPrefix(k.Got, "healthy") != strings.Contains(k.Got, "it has gone back and forth; it must hold for 5s") {
				t.Errorf("phase %s: %+v", phase, k)
			}
		})
	}
}

// Two checks that fail in turn: each moment one of them fails, and neither alone would show it.
func TestAllMustHoldAtTheSameTime(t *testing.T) {
	w := well()
	w.health = func(d time.Duration) ([]belay.HealthStatus, error) {
		if d%(12*time.Second) < time.Second {
			return statuses(belay.HealthUnhealthy), nil
		}
		return statuses(belay.HealthHealthy), nil
	}
	w.door = func(d time.Duration) verify.DoorReading {
		if (d+8*time.Second)%(12*time.Second) < 5*time.Second {
			return verify.DoorReading{State: belay.CheckFailed, Want: "HTTP 200", Got: "HTTP 502"}
		}
		return verify.DoorReading{State: belay.CheckPassed, Want: "HTTP 200", Got: "HTTP 200"}
	}
	prove(t, w, func(t *testing.T, c belay.Certificate) {
		if c.Result == belay.ResultVerified {
			t.Errorf("verified after %s: %+v", c.Took, c.Checks)
		}
	})
}

func TestLateRecovery(t *testing.T) {
	after := func(recovery time.Duration) *world {
		w := well()
		w.signals = func(d time.Duration) ([]verify.SignalReading, error) {
			r := verify.SignalReading{Name: "error_rate", State: belay.CheckFailed, Want: "at most 0.2%", Got: "3%"}
			if d >= recovery {
				r.State, r.Got = belay.CheckPassed, "0.1%"
			}
			return []verify.SignalReading{r}, nil
		}
		return w
	}
	prove(t, after(40*time.Second), func(t *testing.T, c belay.Certificate) { want(t, c, belay.ResultVerified, 45*time.Second) })
	prove(t, after(58*time.Second), func(t *testing.T, c belay.Certificate) {
		want(t, c, belay.ResultUnverified, time.Minute)
		wantCheck(t, c, "signal error_rate", belay.CheckUnknown, "0.1%, but only for 2s; it must hold for 5s")
	})
	prove(t, after(time.Hour), func(t *testing.T, c belay.Certificate) {
		want(t, c, belay.ResultFailed, time.Minute)
		wantCheck(t, c, "signal error_rate", belay.CheckFailed, "3%")
	})
}

func TestOldHealthReadingsDoNotCount(t *testing.T) {
	old := well()
	old.health = func(time.Duration) ([]belay.HealthStatus, error) {
		s := statuses(belay.HealthHealthy)
		s[0].At = old.began.Add(-time.Second)
		return s, nil
	}
	prove(t, old, func(t *testing.T, c belay.Certificate) {
		want(t, c, belay.ResultUnverified, time.Minute)
		wantCheck(t, c, "health web of a:1", belay.CheckUnknown, "not probed since the rollback")
	})
	stuck := well()
	stuck.health = func(time.Duration) ([]belay.HealthStatus, error) {
		s := statuses(belay.HealthHealthy)
		s[0].At = stuck.began
		return s, nil
	}
	stuck.door = func(d time.Duration) verify.DoorReading {
		if d < 40*time.Second {
			return verify.DoorReading{State: belay.CheckFailed, Want: "HTTP 200", Got: "HTTP 502"}
		}
		return verify.DoorReading{State: belay.CheckPassed, Want: "HTTP 200", Got: "HTTP 200"}
	}
	prove(t, stuck, func(t *testing.T, c belay.Certificate) {
		want(t, c, belay.ResultUnverified, time.Minute)
		wantCheck(t, c, "health web of a:1", belay.CheckUnknown, "last probed 1m ago")
	})
	held := well() // the fall count still says healthy, the newest probe does not
	held.health = func(time.Duration) ([]belay.HealthStatus, error) {
		s := statuses(belay.HealthHealthy)
		s[0].Fails, s[0].Detail = 1, "connection refused"
		return s, nil
	}
	prove(t, held, func(t *testing.T, c belay.Certificate) {
		want(t, c, belay.ResultFailed, time.Minute)
		wantCheck(t, c, "health web of a:1", belay.CheckFailed, "failing: connection refused")
	})
}

func TestWhatIsNotConfiguredIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c, err := verify.New(verify.Options{}).Prove(t.Context(), subject())
		if err != nil || c.Result != belay.ResultUnverified || len(c.Checks) != 5 || time.Since(began) != 0 {
			t.Errorf("nothing configured: %+v, %v after %s", c, err, time.Since(began))
		}
		for _, k := range c.Checks {
			if k.Result != belay.CheckAbsent || k.Want == "" || k.Got != "not configured" {
				t.Errorf("%+v", k)
			}
		}
		w := well()
		w.began = time.Now()
		c, err = verify.New(verify.Options{FrontDoor: w}).Prove(t.Context(), subject())
		if err != nil || c.Result != belay.ResultVerified || find(t, c, "weights").Result != belay.CheckAbsent {
			t.Errorf("front door alone: %+v, %v", c, err)
		}
	})
}

func TestWhatCannotBeComparedIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := well()
		w.began = time.Now()
		s := subject()
		s.Slot, s.Release, s.Timeout = "", belay.Release{}, time.Second
		w.health = func(time.Duration) ([]belay.HealthStatus, error) { return nil, nil }
		c, err := verify.New(w.options()).Prove(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		want(t, c, belay.ResultUnverified, 5500*time.Millisecond) // a timeout shorter than the proof time is stretched
		wantCheck(t, c, "release", belay.CheckUnknown, "has no version")
		wantCheck(t, c, "weights of proxy edge", belay.CheckUnknown, "slot to come back to is not known")
		wantCheck(t, c, "health", belay.CheckUnknown, "nothing was reported")
		s = subject()
		s.Targets, s.Timeout = nil, time.Second
		if c, err = verify.New(w.options()).Prove(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		wantCheck(t, c, "release", belay.CheckUnknown, "no instances are known to ask")
	})
}

// slow is a health reader that answers only when its context ends.
type slow struct{ calls atomic.Int32 }

func (s *slow) Health(ctx context.Context) ([]belay.HealthStatus, error) {
	s.calls.Add(1)
	<-ctx.Done()
	return nil, fmt.Errorf("probe: %w", ctx.Err())
}

func TestAReaderThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := well()
		w.began = time.Now()
		o := w.options()
		o.Health = &slow{}
		c, err := verify.New(o).Prove(t.Context(), subject())
		if err != nil || c.Took.D() > 65*time.Second {
			t.Fatalf("after %s: %v", c.Took, err)
		}
		if c.Result != belay.ResultUnverified {
			t.Errorf("%+v", c)
		}
		wantCheck(t, c, "health", belay.CheckUnknown, "could not be read: no answer in 5s")
	})
}

func TestCancelledMeansNoCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		w := well()
		w.began = time.Now()
		o := w.options()
		o.Reg = reg
		stop := errors.New("stopping")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(4*time.Second, func() { cancel(stop) })
		c, err := verify.New(o).Prove(ctx, subject())
		if !errors.Is(err, stop) || !strings.Contains(err.Error(), "prove rollback r-1") || c.Result != "" || c.Checks != nil {
			t.Errorf("%+v, %v", c, err)
		}
		o.Health = &slow{}
		ctx, done := context.WithTimeout(t.Context(), 3*time.Second)
		defer done()
		if c, err := verify.New(o).Prove(ctx, subject()); !errors.Is(err, context.DeadlineExceeded) || c.Result != "" {
			t.Errorf("while reading: %+v, %v", c, err)
		}
		ctx, cancel = context.WithCancelCause(t.Context())
		o.Health, w.began = w, time.Now()
		w.health = func(d time.Duration) ([]belay.HealthStatus, error) {
			if d == 5*time.Second { // the reading that would complete the proof
				cancel(stop)
			}
			return statuses(belay.HealthHealthy), nil
		}
		if c, err := verify.New(o).Prove(ctx, subject()); !errors.Is(err, stop) || c.Result != "" {
			t.Errorf("at the last reading: %+v, %v", c, err)
		}
		if n := testutil.CollectAndCount(reg, "belay_certificates_total"); n != 0 {
			t.Errorf("%d certificates counted", n)
		}
		if _, err := verify.New(verify.Options{Reg: reg}).Prove(t.Context(), subject()); err != nil {
			t.Fatal(err)
		}
		if n := testutil.CollectAndCount(reg, "belay_certificates_total"); n != 1 {
			t.Errorf("%d results counted, want 1", n)
		}
	})
}
