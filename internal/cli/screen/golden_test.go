package screen_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen"
)

// golden compares got with a file of testdata; UPDATE=1 rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; UPDATE=1 go test writes it", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; look at it and run UPDATE=1 go test\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

var begin = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return begin.Add(time.Duration(seconds * float64(time.Second))) }

func ptr(v float64) *float64 { return &v }

var (
	ref = belay.Ref{Service: "shop", Environment: "production"}
	v1  = belay.Release{Version: "1.1.0"}
	v2  = belay.Release{Version: "1.2.0"}
)

const reason = "response_time of 1.2.0: 14 % (10 of 71) of requests took longer than 25 ms against 0 % (0 of 307) of 1.1.0; chance under no change below 1 in 270; worst on POST /checkout"

func card(v belay.Verdict) *belay.Card {
	c := &belay.Card{
		Verdict: v, T: 7.4, Policy: "false rollbacks at most 1 % over the whole watch; healthy after 3 s at the earliest; error_rate hard stop 25 %, compared, margin 1.25",
		Signals: []belay.SignalEvidence{
			{Signal: "throughput", Verdict: belay.VerdictHealthy, Method: "threshold", Unit: "/s", Candidate: ptr(39.6), Baseline: ptr(138.7), N: 73},
			{Signal: "error_rate", Verdict: belay.VerdictInsufficient, Method: "comparison", Unit: "%", Candidate: ptr(0.036), Baseline: ptr(0), N: 222, X: 8, BaseN: 1235, EValue: 6.49, Limit: 166.7, GoodE: 4.2, GoodLimit: 20},
			{Signal: "response_time", Verdict: v, Method: "comparison", Unit: "s", Candidate: ptr(0.2215), Baseline: ptr(0.0199), N: 222, BaseN: 1235, EValue: 1, Limit: 250, GoodE: 24, GoodLimit: 20},
			{Signal: "memory_usage", Verdict: belay.VerdictHealthy, Method: "threshold", Unit: "B", Candidate: ptr(143 << 20), Baseline: ptr(160 << 20), Threshold: ptr(200 << 20), N: 6},
		},
		Health: []belay.HealthStatus{
			{Check: "web", Target: "127.0.0.1:8493", Arm: belay.ArmCandidate, State: belay.HealthHealthy, Detail: "HTTP 200"},
			{Check: "web", Target: "127.0.0.1:8494", Arm: belay.ArmBaseline, State: belay.HealthHealthy, Detail: "HTTP 200"},
		},
	}
	switch v {
	case belay.VerdictRegressed:
		c.Reason, c.DecidedBy, c.FirstBad, c.Culprits = reason, "comparison", ptr(5.74), []string{"response_time"}
		c.Signals[2].EValue = 273.4
	case belay.VerdictHealthy:
		c.Reason = "1.2.0 is healthy: error_rate is 0 % (0 of 387) against 0 % (0 of 1,373) of 1.1.0 and health checks pass for at least 3 s"
		c.Signals[1].EValue, c.Signals[1].Verdict, c.Signals[1].Candidate = 1, v, ptr(0)
	case belay.VerdictInsufficient:
		c.Reason = "not enough seen yet: error_rate: 252 more requests"
		c.Missing = []string{"error_rate: 252 more requests", "3 s more of the minimum time"}
		c.Signals[1].EValue, c.Signals[1].GoodIn = 30, ptr(130)
	case belay.VerdictBlind:
		c.Reason = "the monitoring is down"
		c.Blind = []string{"metrics: http://prometheus:9090 does not answer: connection refused"}
		c.Signals = nil
		c.Health[0].State, c.Health[0].Detail, c.Health[0].Broken = belay.HealthUnhealthy, "HTTP 503", []string{"database"}
		c.Health[1].State, c.Health[1].Detail = belay.HealthUnknown, "not probed yet"
	case belay.VerdictNone:
		c.Missing = []string{"3 s more of the minimum time"}
	}
	return c
}

func deployment(s belay.State, v belay.Verdict) belay.Deployment {
	d := belay.Deployment{
		ID: "d-01k8v6w0h3w9qf", Ref: ref, Release: v2, Previous: v1, State: s, Reason: "1.2.0 is deployed", Actor: "user:ann",
		Slot: "blue", PreviousSlot: "green", Weight: 25, Serving: 25, CreatedAt: begin, DeployedAt: at(1.3), HealthyAt: at(2.4), StepAt: at(2.4), Card: card(v),
	}
	switch s {
	case belay.StateWatching:
		d.Until = at(42)
	case belay.StateBaking:
		d.Until, d.Weight, d.Serving, d.ProvenAt, d.Reason = at(1800), 100, 100, at(8.9), "proven healthy at full traffic"
	case belay.StatePending, belay.StateDeploying:
		d.Weight, d.Serving, d.Card = 0, 0, nil
	case belay.StateSuperseded:
		d.SupersededBy = "d-01k8v6zzzzzzzz"
	case belay.StateHeld:
		d.Reason = "too little was seen to prove anything within 10m"
	case belay.StateRollingBack, belay.StateRolledBack, belay.StateUnverified, belay.StateRollbackFailed:
		d.DetectedAt, d.Reason, d.Rollback = at(7.45), reason, "r-01k8v6w0h3w9qf"
	case belay.StatePaused, belay.StateSucceeded, belay.StateDeployFailed, belay.StateRefused:
	}
	if s.Final() {
		d.EndedAt = at(12.7)
	}
	return d
}

func rollback(s belay.RollbackState) *belay.Rollback {
	r := &belay.Rollback{
		ID: "r-01k8v6w0h3w9qf", State: s, Actor: "belay", StartedAt: at(7.45),
		Plan: belay.Plan{From: v2, To: v1, ProofTimeout: belay.Duration(20 * time.Second), Rungs: []belay.Rung{
			{Name: "primary", Steps: []belay.Step{{Key: "k/0/flags", Name: "flags", Kind: belay.StepFlags}, {Key: "k/0/proxy", Name: "proxy", Kind: belay.StepTraffic}}},
			{Name: "script", Steps: []belay.Step{{Key: "k/1/rollback.sh", Name: "rollback.sh", Kind: belay.StepWorkload}}},
		}},
		Steps: []belay.StepRecord{
			{Key: "k/0/flags", Name: "flags", State: belay.StepAlready, After: "checkout-v2 is off", Started: at(7.45), Ended: at(7.46)},
			{Key: "k/0/proxy", Name: "proxy", State: belay.StepRunning, Attempts: 1, Before: "weights blue=25 green=75", Started: at(7.46)},
		},
	}
	done := func() {
		r.Steps[1].State, r.Steps[1].After, r.Steps[1].Ended = belay.StepDone, "weights blue=0 green=100", at(7.47)
	}
	certificate := func(result belay.CertificateResult, front belay.CheckResult, got string) {
		r.Certificate = &belay.Certificate{Rollback: r.ID, Ref: ref, Release: v1, Result: result, IssuedAt: at(12.7), Took: belay.Duration(5200 * time.Millisecond), Checks: []belay.Check{
			{Name: "release of 127.0.0.1:8494", Result: belay.CheckPassed, Got: "1.1.0"},
			{Name: "weights of proxy edge", Result: belay.CheckPassed, Got: "blue 0%, green 100%"},
			{Name: "signal error_rate", Result: belay.CheckPassed, Got: "0 % (0 of 367)"},
			{Name: "schema", Result: belay.CheckAbsent, Got: "nothing configured to check"},
			{Name: "front door", Result: front, Got: got, Want: "HTTP 200-299"},
		}}
	}
	switch s {
	case belay.RollbackRunning:
	case belay.RollbackProving:
		done()
	case belay.RollbackVerified:
		done()
		certificate(belay.ResultVerified, belay.CheckPassed, "3 × HTTP 200, slowest 7.9ms")
	case belay.RollbackUnverified:
		done()
		r.Reason = "primary: the proof could not be completed: front door could not be read"
		certificate(belay.ResultUnverified, belay.CheckUnknown, "connection refused")
	case belay.RollbackFailed:
		r.Rung, r.Reason = 1, "script: exit status 1: no such release; no rung is left"
		r.Steps[1].State, r.Steps[1].Error, r.Steps[1].Ended, r.Steps[1].Attempts = belay.StepFailed, "proxy edge does not answer: connection refused", at(9.5), 3
		r.Steps = append(r.Steps, belay.StepRecord{Key: "k/1/rollback.sh", Rung: 1, Name: "rollback.sh", State: belay.StepFailed, Error: "exit status 1: no such release", Started: at(9.5), Ended: at(10)})
		certificate(belay.ResultFailed, belay.CheckFailed, "HTTP 502")
	case belay.RollbackAborted:
		r.Steps[1].State, r.Steps[1].Before, r.Reason = belay.StepSkipped, "", "aborted by user:ann before step proxy"
	}
	return r
}

func timeline() []belay.Event {
	return []belay.Event{
		{ID: "1", Time: begin, Actor: "user:ann", Kind: belay.EventState, State: belay.StatePending, Message: "1.2.0 accepted"},
		{ID: "2", Time: at(1.3), Actor: "belay", Kind: belay.EventState, State: belay.StateWatching, Message: "1.2.0 is deployed"},
		{ID: "3", Time: at(2.4), Actor: "belay", Kind: belay.EventTraffic, Message: "slot blue has 25 % of the traffic"},
		{ID: "4", Time: at(7.45), Actor: "belay", Kind: belay.EventVerdict, Message: "regressed: " + reason},
		{ID: "5", Time: at(7.45), Actor: "belay", Kind: belay.EventState, State: belay.StateRollingBack, Message: reason},
		{ID: "6", Time: at(7.45), Actor: "belay", Kind: belay.EventPlan, Message: "rollback from 1.2.0 to 1.1.0 begins: " + reason},
		{ID: "7", Time: at(7.47), Actor: "belay", Kind: belay.EventStep, Message: "step proxy done: weights blue=0 green=100"},
	}
}

// reports are a report in each state, with the verdict and the rollback that go with it.
func reports() map[string]screen.Report {
	out := map[string]screen.Report{}
	for s, v := range map[belay.State]belay.Verdict{
		belay.StatePending: belay.VerdictNone, belay.StateDeploying: belay.VerdictNone, belay.StateWatching: belay.VerdictInsufficient,
		belay.StateBaking: belay.VerdictHealthy, belay.StatePaused: belay.VerdictNone, belay.StateHeld: belay.VerdictBlind,
		belay.StateRollingBack: belay.VerdictRegressed, belay.StateSucceeded: belay.VerdictHealthy, belay.StateRolledBack: belay.VerdictRegressed,
		belay.StateUnverified: belay.VerdictRegressed, belay.StateRollbackFailed: belay.VerdictRegressed,
		belay.StateSuperseded: belay.VerdictInsufficient, belay.StateDeployFailed: belay.VerdictNone, belay.StateRefused: belay.VerdictNone,
	} {
		out[string(s)] = screen.Report{Deployment: deployment(s, v), Timeline: timeline()[:3]}
	}
	with := func(name string, s belay.RollbackState) {
		r := out[name]
		r.Rollback, r.Timeline = rollback(s), timeline()
		out[name] = r
	}
	with("rolling_back", belay.RollbackRunning)
	with("rolled_back", belay.RollbackVerified)
	with("unverified", belay.RollbackUnverified)
	with("rollback_failed", belay.RollbackFailed)
	first := out["watching"]
	first.Deployment.Previous, first.Deployment.PreviousSlot, first.Deployment.Weight = belay.Release{}, "", 100
	out["first"] = first
	proving := out["rolling_back"]
	proving.Rollback = rollback(belay.RollbackProving)
	out["proving"] = proving
	return out
}

// TestGolden draws everything at three widths, with and without colours, and holds what must be so at each.
func TestGolden(t *testing.T) {
	for name, r := range reports() {
		for _, width := range []int{60, 80, 120} {
			var b strings.Builder
			for _, color := range []bool{false, true} {
				s := screen.Style{Width: width, Color: color}
				live := s.Live(screen.Frame{Report: r, Now: at(9.6)})
				final, full := s.Final(r), s.Report(r)
				if color {
					if !strings.Contains(live, "\x1b[") {
						t.Errorf("%s: no colour", name)
					}
					if width == 80 {
						b.WriteString("=== live, in colour\n" + strings.ReplaceAll(live, "\x1b", "␛"))
					}
					plain := screen.Style{Width: width}
					if ansi.Strip(live) != plain.Live(screen.Frame{Report: r, Now: at(9.6)}) || ansi.Strip(final) != plain.Final(r) || ansi.Strip(full) != plain.Report(r) {
						t.Errorf("%s at %d: colours change the text", name, width)
					}
					continue
				}
				fmt.Fprintf(&b, "=== live\n%s=== final\n%s=== report\n%s", live, final, full)
			}
			for i, l := range strings.Split(b.String(), "\n") {
				if w := ansi.StringWidth(l); w > width && !strings.Contains(l, "␛") {
					t.Errorf("%s at %d, line %d is %d wide: %s", name, width, i+1, w, l)
				}
				if strings.HasSuffix(l, " ") {
					t.Errorf("%s at %d, line %d ends in spaces: %q", name, width, i+1, l)
				}
			}
			golden(t, fmt.Sprintf("%s-%d.txt", name, width), zoned(b.String()))
		}
	}
}

// zoned takes the time zone of this machine out.
func zoned(text string) string {
	return strings.ReplaceAll(text, begin.Local().Format("2006-01-02 15:04:05"), "2026-05-01 10:00:00")
}

// TestLiveFitsAnyScreen: whatever the height, the frame fits, and what matters most is on it.
func TestLiveFitsAnyScreen(t *testing.T) {
	for name, r := range reports() {
		for lines := 8; lines < 40; lines++ {
			text := screen.Style{Width: 80}.Live(screen.Frame{Report: r, Now: at(9.6), Lines: lines})
			n := strings.Count(text, "\n")
			if n > lines && lines >= 16 {
				t.Errorf("%s: %d lines on a screen of %d:\n%s", name, n, lines, text)
			}
			if !strings.Contains(text, "shop/production") || !strings.Contains(text, "● ") {
				t.Errorf("%s at %d lines has no head:\n%s", name, lines, text)
			}
			if r.Rollback != nil && lines >= 16 && !strings.Contains(text, "ROLLBACK") {
				t.Errorf("%s at %d lines does not show the rollback:\n%s", name, lines, text)
			}
		}
	}
}

func TestVerdictsAndCertificates(t *testing.T) {
	s := screen.Style{Width: 80}
	var b strings.Builder
	for _, v := range []belay.Verdict{belay.VerdictNone, belay.VerdictHealthy, belay.VerdictRegressed, belay.VerdictInsufficient, belay.VerdictBlind} {
		fmt.Fprintf(&b, "=== card %q\n%s", v, s.Card(*card(v), v2, v1))
	}
	for _, st := range []belay.RollbackState{belay.RollbackRunning, belay.RollbackProving, belay.RollbackVerified, belay.RollbackUnverified, belay.RollbackFailed, belay.RollbackAborted} {
		fmt.Fprintf(&b, "=== rollback %s\n%s", st, s.RollbackFinal(*rollback(st)))
	}
	golden(t, "verdicts.txt", b.String())
}

func TestLists(t *testing.T) {
	s := screen.Style{Width: 100}
	now := at(3600)
	d, old := deployment(belay.StateWatching, belay.VerdictInsufficient), deployment(belay.StateRolledBack, belay.VerdictRegressed)
	old.CreatedAt = at(-3 * 24 * 3600)
	many := []belay.HealthStatus{}
	for i := range 12 {
		many = append(many, belay.HealthStatus{Check: "web", Target: fmt.Sprintf("10.0.0.%d:80", i), Arm: belay.ArmCandidate, State: belay.HealthHealthy})
	}
	many[4].State, many[4].Detail = belay.HealthUnhealthy, "connection refused"
	text := "=== status\n" + s.Services([]belay.ServiceStatus{
		{Ref: ref, Stable: &belay.StableRelease{Release: v1, Verified: true, Since: at(-7200)}, Deployment: &d, Health: many,
			Sources:    []belay.SourceStatus{{Source: "proxy edge", Detail: "connection refused"}, {Source: "metrics", OK: true}},
			Weights:    map[string]int{"blue": 25, "green": 75},
			Quarantine: []belay.Quarantine{{Release: belay.Release{Version: "1.0.9"}, Reason: "rolled back: error_rate"}}},
		{Ref: belay.Ref{Service: "mail", Environment: "staging"}, Stable: &belay.StableRelease{Release: v2}},
		{Ref: belay.Ref{Service: "new", Environment: "production"}, Warnings: []string{"nothing to roll back to yet: no release is known to be good"}},
	}, now) + "=== no services\n" + s.Services(nil, now) +
		"=== history\n" + s.History([]belay.Deployment{d, old}, now) +
		"=== looks\n" + s.Looks([]belay.StepLook{
		{Key: "r/0/flags", Look: belay.Look{Progress: belay.ProgressDone, Detail: "off"}},
		{Key: "r/0/proxy", Look: belay.Look{Progress: belay.ProgressPending, Detail: "weights blue=25 green=75"}},
		{Key: "r/0/script", Look: belay.Look{Progress: belay.ProgressUnknown}},
		{Key: "r/0/http", Error: "connection refused"},
		{Key: "r/0/cfg", Look: belay.Look{Progress: belay.ProgressDrifted, Detail: "version 9"}},
	})
	golden(t, "lists.txt", text)
}

func TestProgressIsOneLine(t *testing.T) {
	for v, want := range map[belay.Verdict]string{
		belay.VerdictInsufficient: "watching, 25 % of the traffic, error_rate 30 : 1 against it (acts at 167 : 1), still needed: error_rate: 252 more requests, about 2 min at this traffic, 32 s left to be proven",
		belay.VerdictHealthy:      "watching, 25 % of the traffic, no evidence against it, 32 s left to be proven",
	} {
		if got := screen.Progress(deployment(belay.StateWatching, v), at(10)); got != want {
			t.Errorf("%s: %q", v, got)
		}
	}
}

func TestTellerRepeatsNoReason(t *testing.T) {
	var teller screen.Teller
	var lines []string
	for range 2 {
		for _, e := range timeline() {
			if l, ok := teller.Tell(screen.Style{}, e, begin); ok {
				lines = append(lines, strings.TrimSpace(l))
			}
		}
	}
	text := strings.Join(lines, "\n")
	if n := strings.Count(text, reason); n != 1 || len(lines) != 6 || !strings.Contains(text, "rollback from 1.2.0 to 1.1.0 begins") {
		t.Errorf("the reason is told %d times in %d lines:\n%s", n, len(lines), text)
	}
}

func TestSince(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 340 * time.Millisecond: "340 ms", 4200 * time.Millisecond: "4.2 s", 200 * time.Second: "3m20s", 125 * time.Minute: "2h5m", -time.Second: "-1.0 s",
	} {
		if got := screen.Since(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// TestStatusAfterAFailedRollback: what was verified once is not what runs now.
func TestStatusAfterAFailedRollback(t *testing.T) {
	ref := belay.Ref{Service: "shop", Environment: "production"}
	got := screen.Style{Width: 120}.Services([]belay.ServiceStatus{{
		Ref:        ref,
		Stable:     &belay.StableRelease{Ref: ref, Release: belay.Release{Version: "2.1"}, Verified: true},
		Deployment: &belay.Deployment{Ref: ref, Release: belay.Release{Version: "2.2"}, State: belay.StateRollbackFailed},
	}}, time.Now())
	if !strings.Contains(got, "2.2 may still be there") || strings.Contains(got, "runs 2.1") {
		t.Errorf("status after a failed rollback:\n%s", got)
	}
}
