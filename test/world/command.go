//go:build story

package world

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
)

// Report is the JSON of deploy, verify and show.
type Report struct {
	Deployment belay.Deployment `json:"deployment"`
	Rollback   *belay.Rollback  `json:"rollback"`
	Timeline   []belay.Event    `json:"timeline"`
}

// Run runs a belay command and returns its output and exit code.
func (w *World) Run(args ...string) (stdout, stderr string, code int) {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.T.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.Bin, args...)
	cmd.Dir, cmd.Env = w.Dir, w.Env
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), errOut.String(), exit.ExitCode()
	}
	if err != nil {
		w.T.Fatalf("belay %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errOut.String(), 0
}

// MustRun runs a belay command that has to end with exit code 0 and returns its output.
func (w *World) MustRun(args ...string) string {
	w.T.Helper()
	out, errOut, code := w.Run(args...)
	if code != 0 {
		w.T.Fatalf("belay %s: exit code %d: %s%s", strings.Join(args, " "), code, errOut, out)
	}
	return out
}

// Deploy runs "belay deploy" and wants the exit code.
func (w *World) Deploy(want int, args ...string) Report {
	w.T.Helper()
	return w.Follow(want, append([]string{"deploy"}, args...)...)
}

// Follow runs a command that follows a deployment and wants the exit code.
func (w *World) Follow(want int, args ...string) Report {
	w.T.Helper()
	out, errOut, code := w.Run(append(args, "--output", "json")...)
	var r Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		w.T.Fatalf("belay %v: exit code %d, %v\n%s\n%s", args, code, err, out, errOut)
	}
	if code != want {
		w.T.Fatalf("belay %v: exit code %d, want %d; state %s: %s\n%s\n%s", args, code, want, r.Deployment.State, r.Deployment.Reason, errOut, Told(r))
	}
	return r
}

// Begin starts a deployment and returns its id without waiting.
func (w *World) Begin(args ...string) string {
	w.T.Helper()
	return strings.TrimSpace(w.MustRun(append([]string{"deploy", "--detach"}, args...)...))
}

// Show runs "belay show".
func (w *World) Show(id string) Report {
	w.T.Helper()
	var r Report
	if err := json.Unmarshal([]byte(w.MustRun("show", id, "--output", "json")), &r); err != nil {
		w.T.Fatalf("belay show %s: %v", id, err)
	}
	return r
}

// Await waits until a deployment is in one of the states. A state that it cannot leave fails the test at once.
func (w *World) Await(id string, limit time.Duration, states ...belay.State) belay.Deployment {
	w.T.Helper()
	var d belay.Deployment
	w.Until(fmt.Sprintf("%s is %v", id, states), limit, func() error {
		got, err := w.API.Deployment(w.T.Context(), id)
		if err != nil {
			return err
		}
		d = got
		if slices.Contains(states, d.State) {
			return nil
		}
		if d.State.Final() {
			w.T.Fatalf("%s ended as %s: %s; want %v\n%s", id, d.State, d.Reason, states, Told(w.Show(id)))
		}
		return fmt.Errorf("it is %s: %s", d.State, d.Reason)
	})
	return d
}

// Adopted waits until belay has found the release that runs already.
func (w *World) Adopted(service, version string) {
	w.T.Helper()
	w.Until("belay finds "+version+" of "+service+" running", 30*time.Second, func() error {
		list, err := w.API.Services(w.T.Context())
		if err != nil {
			return err
		}
		for _, s := range list {
			if s.Service == service && s.Stable != nil && s.Stable.Release.Version == version {
				return nil
			}
		}
		return ErrNotYet
	})
}

// Told gives a timeline for a failed test.
func Told(r Report) string {
	var b strings.Builder
	for _, e := range r.Timeline {
		fmt.Fprintf(&b, "  %7.2fs %s: %s\n", e.Time.Sub(r.Deployment.CreatedAt).Seconds(), e.Kind, e.Message)
	}
	if r.Deployment.Card != nil {
		c, _ := json.MarshalIndent(r.Deployment.Card, "  ", " ")
		fmt.Fprintf(&b, "  card %s\n", c)
	}
	if r.Rollback != nil && r.Rollback.Certificate != nil {
		for _, k := range r.Rollback.Certificate.Checks {
			fmt.Fprintf(&b, "  %s %s: got %s, wanted %s\n", k.Result, k.Name, k.Got, k.Want)
		}
	}
	return b.String()
}

// MustHave checks a condition with a message that shows the report.
func MustHave(t *testing.T, r Report, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		t.Errorf("%s\nstate %s: %s\n%s", fmt.Sprintf(format, args...), r.Deployment.State, r.Deployment.Reason, Told(r))
	}
}

// MustBeVerified checks that the rollback of a report ended with a verified certificate, and that the named check
// is among its readings and passed.
func MustBeVerified(t *testing.T, r Report, checks ...string) {
	t.Helper()
	if r.Rollback == nil || r.Rollback.Certificate == nil {
		t.Fatalf("there is no certificate; state %s: %s\n%s", r.Deployment.State, r.Deployment.Reason, Told(r))
	}
	c := r.Rollback.Certificate
	MustHave(t, r, c.Result == belay.ResultVerified, "the certificate says %s", c.Result)
	for _, want := range checks {
		ok := slices.ContainsFunc(c.Checks, func(k belay.Check) bool {
			return strings.HasPrefix(k.Name, want) && k.Result == belay.CheckPassed
		})
		MustHave(t, r, ok, "the certificate has no passed check %q", want)
	}
}
