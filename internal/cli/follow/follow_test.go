package follow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/exit"
	"github.com/belaydev/belay/internal/cli/follow"
	"github.com/belaydev/belay/internal/cli/screen"
	"github.com/belaydev/belay/internal/cli/terminal"
)

// server is a server whose deployment changes with the time since it was made, and which may be away.
type server struct {
	begin   time.Time
	states  map[time.Duration]belay.State // from then on
	away    [2]time.Duration              // between these
	silent  bool                          // the stream stays open and says nothing
	missing bool                          // nobody knows the deployment
	rb      []belay.RollbackState         // one a second

	mu    sync.Mutex
	reads int
}

const id = "d-01k0000000000000ab"

var errAway = belay.Errorf(belay.CodeUnavailable, "cannot reach the belay server at http://127.0.0.1:1: connection refused")

func (s *server) gone() bool {
	at := time.Since(s.begin)
	return at >= s.away[0] && at < s.away[1]
}

func (s *server) now() belay.Deployment {
	d := belay.Deployment{ID: id, Ref: belay.Ref{Service: "shop", Environment: "production"}, CreatedAt: s.begin,
		Release: belay.Release{Version: "1.2"}, Previous: belay.Release{Version: "1.1"}, State: belay.StatePending}
	latest := time.Duration(-1)
	for from, st := range s.states {
		if from <= time.Since(s.begin) && from > latest {
			d.State, latest = st, from
		}
	}
	return d
}

func (s *server) Deployment(_ context.Context, _ string) (belay.Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	switch {
	case s.missing:
		return belay.Deployment{}, belay.Errorf(belay.CodeNotFound, "there is no deployment %q", id)
	case s.gone():
		return belay.Deployment{}, errAway
	}
	return s.now(), nil
}

func (s *server) Timeline(context.Context, string) ([]belay.Event, error) {
	if s.gone() {
		return nil, errAway
	}
	return []belay.Event{{ID: "e-1", Time: s.begin, Actor: "user:ann", Kind: belay.EventState, State: belay.StatePending, Message: "1.2 accepted"}}, nil
}

func (s *server) GetRollback(context.Context, string) (belay.Rollback, error) {
	if s.gone() {
		return belay.Rollback{}, errAway
	}
	n := min(int(time.Since(s.begin)/time.Second), len(s.rb)-1)
	return belay.Rollback{ID: "r-1", State: s.rb[n], Steps: []belay.StepRecord{{Key: "r-1/0/a", Name: "traffic", State: belay.StepDone}}}, nil
}

func (s *server) WatchDeployment(ctx context.Context, _ string, see func(belay.Deployment) bool) error {
	for {
		switch {
		case s.silent:
			<-ctx.Done()
			return ctx.Err()
		case s.gone():
			return errAway
		case !see(s.now()):
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *server) WatchRollback(ctx context.Context, _ string, see func(belay.Rollback) bool) error {
	if s.silent {
		<-ctx.Done()
		return ctx.Err()
	}
	r, err := s.GetRollback(ctx, "")
	if err == nil {
		see(r)
	}
	return err
}

// term is a terminal that counts what is written to it.
type term struct {
	terminal.Terminal
	out, err bytes.Buffer
	writes   int
}

func (t *term) Write(p []byte) (int, error) { t.writes++; return t.out.Write(p) }

func newTerm(tty bool) *term {
	t := &term{}
	t.Terminal = terminal.Terminal{Out: t, Err: &t.err, Getenv: func(string) string { return "" },
		Measure: func() (int, int, bool) { return 80, 24, tty }}
	return t
}

// run follows in pretended time and says how long that took.
func run(t *testing.T, s *server, tm *term, change func(*follow.Options)) (code int, took time.Duration, err error) {
	t.Helper()
	s.begin = time.Now()
	o := follow.Options{API: s, Term: &tm.Terminal, ID: id}
	if change != nil {
		change(&o)
	}
	err = follow.Deployment(t.Context(), o)
	return exit.Code(err), time.Since(s.begin), err
}

func TestEndsWithTheVerdict(t *testing.T) {
	for state, want := range map[belay.State]int{
		belay.StateSucceeded: exit.OK, belay.StateBaking: exit.OK, belay.StateRolledBack: exit.RolledBack,
		belay.StateUnverified: exit.Incomplete, belay.StateRollbackFailed: exit.Incomplete, belay.StateHeld: exit.Undecided,
		belay.StateSuperseded: exit.Superseded, belay.StateRefused: exit.Refused, belay.StateDeployFailed: exit.Error,
	} {
		synctest.Test(t, func(t *testing.T) {
			tm := newTerm(false)
			code, took, _ := run(t, &server{states: map[time.Duration]belay.State{0: belay.StateWatching, 5 * time.Second: state}}, tm, nil)
			if code != want || took > 6*time.Second {
				t.Errorf("%s: exit code %d after %s, want %d", state, code, took, want)
			}
			if n := strings.Count(tm.out.String(), "1.2 accepted"); n != 1 {
				t.Errorf("%s: the event was told %d times:\n%s", state, n, tm.out.String())
			}
		})
	}
}

// A stream that stays open and silent, as through a proxy that buffers, must not keep a follower from ending.
func TestASilentStreamIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		code, took, _ := run(t, &server{silent: true, states: map[time.Duration]belay.State{0: belay.StateWatching, 5 * time.Second: belay.StateRolledBack}}, newTerm(false), nil)
		if code != exit.RolledBack || took > 7*time.Second {
			t.Errorf("exit code %d after %s", code, took)
		}
	})
}

func TestUntilTheEndWaitsForTheBake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{states: map[time.Duration]belay.State{0: belay.StateBaking, time.Hour: belay.StateSucceeded}}
		code, took, _ := run(t, s, newTerm(false), func(o *follow.Options) { o.ToEnd = true })
		if code != exit.OK || took < time.Hour {
			t.Errorf("exit code %d after %s", code, took)
		}
	})
}

func TestAServerThatRestartsIsWaitedFor(t *testing.T) {
	for _, tty := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			tm := newTerm(tty)
			s := &server{away: [2]time.Duration{2 * time.Second, 40 * time.Second},
				states: map[time.Duration]belay.State{0: belay.StateWatching, 45 * time.Second: belay.StateRolledBack}}
			code, took, err := run(t, s, tm, nil)
			if code != exit.RolledBack || took > 50*time.Second {
				t.Errorf("exit code %d after %s: %v", code, took, err)
			}
			said := tm.err.String()
			if tty {
				said = tm.out.String()
			}
			for _, want := range map[bool][]string{false: {"connection refused; waiting", "the server is back"}, true: {"the server has not answered for 30 s"}}[tty] {
				if !strings.Contains(said, want) {
					t.Errorf("%q is not said:\n%s", want, said)
				}
			}
		})
	}
}

func TestAServerThatStaysAwayIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{away: [2]time.Duration{2 * time.Second, time.Hour}, states: map[time.Duration]belay.State{0: belay.StateWatching}}
		code, took, err := run(t, s, newTerm(false), nil)
		if code != exit.Unavailable || took < time.Minute || took > 90*time.Second || !errors.Is(err, errAway) {
			t.Errorf("exit code %d after %s: %v", code, took, err)
		}
	})
}

func TestWhatIsUnknownEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		code, took, err := run(t, &server{missing: true, silent: true}, newTerm(true), nil)
		if code != exit.Error || took > time.Second || belay.CodeOf(err) != belay.CodeNotFound {
			t.Errorf("exit code %d after %s: %v", code, took, err)
		}
	})
}

func TestTimeoutAndInterrupt(t *testing.T) {
	watching := map[time.Duration]belay.State{0: belay.StateWatching}
	for name, c := range map[string]struct {
		change func(*follow.Options)
		want   int
		says   string
	}{
		"timeout":       {func(o *follow.Options) { o.Timeout = 15 * time.Minute }, exit.Timeout, "no verdict after 15m; shop/production is still being watched by the server: belay verify " + id},
		"timeout alone": {func(o *follow.Options) { o.Timeout, o.Alone = time.Minute, true }, exit.Timeout, "nobody watches shop/production now"},
	} {
		synctest.Test(t, func(t *testing.T) {
			tm := newTerm(false)
			if code, _, _ := run(t, &server{states: watching}, tm, c.change); code != c.want || !strings.Contains(tm.err.String(), c.says) {
				t.Errorf("%s: exit code %d, said %q", name, code, tm.err.String())
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		tm := newTerm(true)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		s := &server{states: watching, begin: time.Now()}
		err := follow.Deployment(ctx, follow.Options{API: s, Term: &tm.Terminal, ID: id})
		if exit.Code(err) != exit.Interrupted || !strings.Contains(tm.err.String(), "interrupted; shop/production is still being watched") {
			t.Errorf("%v, said %q", err, tm.err.String())
		}
		if out := tm.out.String(); !strings.HasSuffix(out, "\x1b[?25h\x1b[?2026l") || strings.Count(out, "\x1b[?25l") != 1 {
			t.Errorf("the cursor is not given back: %q", out[max(0, len(out)-60):])
		}
	})
}

// A frame in which nothing changed is not drawn: ten quiet seconds write about one frame a second, for the clock.
func TestAQuietScreenIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tm := newTerm(true)
		_, _, _ = run(t, &server{states: map[time.Duration]belay.State{0: belay.StateWatching}}, tm, func(o *follow.Options) { o.Timeout = 10 * time.Second })
		if tm.writes < 8 || tm.writes > 16 {
			t.Errorf("%d writes in 10 s, want one a second", tm.writes)
		}
		if strings.Contains(tm.out.String(), "\x1b[2J") {
			t.Error("the whole screen was cleared")
		}
	})
}

func TestJSONIsOneValueAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tm := newTerm(true)
		tm.JSON = true
		code, _, _ := run(t, &server{states: map[time.Duration]belay.State{0: belay.StateWatching, time.Second: belay.StateSucceeded}}, tm, nil)
		var r screen.Report
		if err := json.Unmarshal(tm.out.Bytes(), &r); err != nil || code != exit.OK || r.Deployment.State != belay.StateSucceeded || len(r.Timeline) != 1 {
			t.Errorf("exit code %d, %v:\n%s", code, err, tm.out.String())
		}
	})
}

func TestFollowingARollback(t *testing.T) {
	for last, want := range map[belay.RollbackState]int{
		belay.RollbackVerified: exit.OK, belay.RollbackUnverified: exit.Incomplete, belay.RollbackFailed: exit.Incomplete, belay.RollbackAborted: exit.Incomplete,
	} {
		for _, tty := range []bool{false, true} {
			for _, silent := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					tm := newTerm(tty)
					s := &server{begin: time.Now(), silent: silent, away: [2]time.Duration{time.Second, 3 * time.Second},
						rb: []belay.RollbackState{belay.RollbackRunning, belay.RollbackProving, belay.RollbackProving, last}}
					err := follow.Rollback(t.Context(), s, &tm.Terminal, "r-1")
					text := fmt.Sprint("ROLLBACK ", strings.ToUpper(string(last)))
					if exit.Code(err) != want || !strings.Contains(tm.out.String(), text) {
						t.Errorf("%s (tty %v, silent %v): %v\n%s", last, tty, silent, err, tm.out.String())
					}
				})
			}
		}
	}
}

func TestAnInterruptedRollbackGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tm := newTerm(true)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, nil)
		time.AfterFunc(2*time.Second, cancel)
		s := &server{begin: time.Now(), rb: []belay.RollbackState{belay.RollbackRunning}}
		err := follow.Rollback(ctx, s, &tm.Terminal, "r-1")
		if exit.Code(err) != exit.Interrupted || !strings.Contains(tm.err.String(), "the rollback goes on by itself: belay show r-1") {
			t.Errorf("%v, said %q", err, tm.err.String())
		}
	})
}
