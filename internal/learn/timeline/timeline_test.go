package timeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	belay "github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/learn/timeline"
)

var start = time.Date(2026, 3, 1, 23, 59, 50, 0, time.UTC)

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

// log is a store of events in memory.
type log struct {
	d      belay.Deployment
	rb     *belay.Rollback
	events []belay.Event
	woken  chan struct{}
	err    error
}

func (l *log) Deployment(_ context.Context, id string) (belay.Deployment, error) {
	if !strings.HasPrefix(l.d.ID, id) {
		return belay.Deployment{}, belay.Errorf(belay.CodeNotFound, "there is no deployment %q", id)
	}
	return l.d, nil
}

func (l *log) Rollback(_ context.Context, id string) (belay.Rollback, error) {
	if l.rb == nil || l.rb.ID != id {
		return belay.Rollback{}, belay.Errorf(belay.CodeNotFound, "there is no rollback %q", id)
	}
	return *l.rb, nil
}

func (l *log) Events(_ context.Context, f belay.EventFilter) ([]belay.Event, error) {
	var out []belay.Event
	from := 1 + slices.IndexFunc(l.events, func(e belay.Event) bool { return e.ID == f.After })
	for _, e := range l.events[from:] {
		if (f.Deployment == "" || e.Deployment == f.Deployment) && (f.Rollback == "" || e.Rollback == f.Rollback) && (f.Limit == 0 || len(out) < f.Limit) {
			out = append(out, e)
		}
	}
	return out, l.err
}

func (l *log) Subscribe() (<-chan struct{}, func()) { return l.woken, func() {} }

func (l *log) add(e belay.Event) {
	l.events = append(l.events, e)
	l.woken <- struct{}{}
}

func bad() *log {
	event := func(id string, s float64, kind belay.EventKind, state belay.State, message string) belay.Event {
		return belay.Event{ID: id, Time: at(s), Deployment: "d-1", Actor: "belay", Kind: kind, State: state, Message: message}
	}
	ofRollback := func(e belay.Event, deployment string) belay.Event {
		e.Rollback, e.Deployment = "r-1", deployment
		return e
	}
	first := event("e1", -2.5, belay.EventState, belay.StateDeploying, "the deploy command runs")
	first.Actor = "user:ann"
	return &log{
		d: belay.Deployment{
			ID: "d-1", Ref: belay.Ref{Service: "shop", Environment: "production"}, State: belay.StateRolledBack, Rollback: "r-1",
			Release: belay.Release{Version: "1.4.2"}, Previous: belay.Release{Version: "1.4.1"},
			CreatedAt: at(-2.5), DeployedAt: at(0), DetectedAt: at(7.4), EndedAt: at(13),
		},
		rb: &belay.Rollback{
			ID: "r-1", StartedAt: at(7.45), EndedAt: at(13),
			Steps:       []belay.StepRecord{{Name: "traffic", Ended: at(7.7)}, {Name: "config", Ended: at(8)}},
			Certificate: &belay.Certificate{IssuedAt: at(12.9)},
		},
		events: []belay.Event{
			first,
			event("e2", 0, belay.EventState, belay.StateWatching, "deployed"),
			event("e3", 7.4, belay.EventVerdict, "", "regressed: 31 % errors on /checkout\x1b[2J\nand more"),
			ofRollback(event("e4", 7.7, belay.EventStep, "", "step traffic ended"), "d-1"),
			event("e6", 13, belay.EventState, belay.StateRolledBack, "verified"),
			ofRollback(event("e5", 12.9, belay.EventProof, "", "certificate verified"), ""), // names its rollback only
		},
	}
}

func TestText(t *testing.T) {
	tl, err := timeline.For(t.Context(), bad(), "d-")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := tl.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `d-1  shop/production  1.4.2 (before: 1.4.1)  rolled_back  2026-03-01 23:59:50 UTC

TIME                  AFTER  KIND     BY        WHAT
23:59:47              -2.5s  state    user:ann  deploying: the deploy command runs
23:59:50              +0.0s  state    belay     watching: deployed
23:59:57              +7.4s  verdict  belay     regressed: 31 % errors on /checkout [2J and more
23:59:57              +7.7s  step     belay     step traffic ended
2026-03-02 00:00:02  +12.9s  proof    belay     certificate verified
00:00:03             +13.0s  state    belay     rolled_back: verified

deploy 2.5s, detection 7.4s, decision 0.1s, rollback 0.6s, proof 4.9s, in all 15.5s
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestJSON(t *testing.T) {
	tl, err := timeline.For(t.Context(), bad(), "d-1")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(tl)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"durations":{"deploy":"2.5s","detection":"7.4s","decision":"50ms","rollback":"550ms","proof":"4.9s","total":"15.5s"}`,
		`"offset":"7.4s"`, `"id":"e5"`, `"start":"2026-03-01T23:59:50Z"`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in\n%s", want, b)
		}
	}
}

func TestPartsThatDidNotHappen(t *testing.T) {
	for name, c := range map[string]struct {
		change func(l *log)
		want   string
	}{
		"just accepted": {func(l *log) {
			l.d = belay.Deployment{ID: "d-1", CreatedAt: at(0)}
		}, ""},
		"healthy": {func(l *log) {
			l.d.DetectedAt, l.d.Rollback = time.Time{}, ""
		}, "deploy 2.5s, in all 15.5s"},
		"decided, not begun": {func(l *log) {
			l.rb, l.d.EndedAt = nil, time.Time{}
		}, "deploy 2.5s, detection 7.4s"},
		"a step is at work": {func(l *log) {
			l.d.EndedAt, l.rb.Certificate = time.Time{}, nil
			l.rb.Steps[1] = belay.StepRecord{State: belay.StepRunning}
		}, "deploy 2.5s, detection 7.4s, decision 0.1s"},
		"by a person": {func(l *log) {
			l.d.DetectedAt = time.Time{}
		}, "deploy 2.5s, rollback 0.6s, proof 4.9s, in all 15.5s"},
	} {
		t.Run(name, func(t *testing.T) {
			l := bad()
			c.change(l)
			tl, err := timeline.For(t.Context(), l, "d-1")
			if err != nil {
				t.Fatal(err)
			}
			if got := tl.Durations.String(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	if _, err := timeline.For(t.Context(), bad(), "x"); belay.CodeOf(err) != belay.CodeNotFound {
		t.Errorf("error %v, want not found", err)
	}
	l := bad()
	l.err = errors.New("disk")
	if _, err := timeline.For(t.Context(), l, "d-1"); !errors.Is(err, l.err) {
		t.Errorf("error %v, want the store's", err)
	}
}

func TestOffset(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                            "+0.0s",
		-300 * time.Millisecond:      "-0.3s",
		12440 * time.Millisecond:     "+12.4s",
		59960 * time.Millisecond:     "+1m00.0s", // not 60.0s
		62400 * time.Millisecond:     "+1m02.4s",
		time.Hour - time.Millisecond: "+1h00m00s",
		time.Hour + 2*time.Minute + 3400*time.Millisecond: "+1h02m03s",
		-50 * time.Hour: "-50h00m00s",
	} {
		if got := timeline.Offset(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bad()
		l.woken = make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []string
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for e, err := range timeline.Follow(ctx, l, belay.EventFilter{Deployment: "d-1", After: "e1", Limit: 2}) {
				if err != nil {
					t.Error(err)
				}
				got = append(got, e.ID)
			}
		}()
		synctest.Wait()
		if want := []string{"e2", "e3", "e4", "e6"}; !slices.Equal(got, want) {
			t.Errorf("stored already: %v, want %v", got, want)
		}
		l.add(belay.Event{ID: "e7", Deployment: "d-1"})
		l.add(belay.Event{ID: "e8", Deployment: "d-2"})
		synctest.Wait()
		if got[len(got)-1] != "e7" || len(got) != 5 {
			t.Errorf("then %v, want e7 and not the other deployment's e8", got)
		}
		cancel()
		<-ended
		l.err = errors.New("disk")
		for _, err := range timeline.Follow(t.Context(), l, belay.EventFilter{}) {
			if !errors.Is(err, l.err) {
				t.Errorf("error %v", err)
			}
		}
	})
}
