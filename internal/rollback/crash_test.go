package rollback_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/atomicfile"
	"github.com/belaydev/belay/internal/rollback"
)

// TestMain lets the test binary play a belay that is killed: with TEST_CRASH_DIR it runs one rollback in that
// folder and kills itself at each point that it has not been killed at before.
func TestMain(m *testing.M) {
	dir := os.Getenv("TEST_CRASH_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := crashing(dir, os.Getenv("TEST_CRASH_BLIND") != ""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// disk is a folder that outlives the process: journal, target and a line for each kill.
type disk struct {
	dir   string
	blind bool
}

func (d disk) line(file, text string) {
	f, err := os.OpenFile(filepath.Join(d.dir, file), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		panic(err)
	}
}

func (d disk) lines(file string) []string {
	b, err := os.ReadFile(filepath.Join(d.dir, file))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		panic(err)
	}
	return strings.Fields(string(b))
}

// point kills the process, as the system would, the first time that the point is reached.
func (d disk) point(name string) {
	if !slices.Contains(d.lines("kills"), name) {
		d.line("kills", name)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal is delivered
	}
}

// Inspect and Do make the disk a target: "effects" has a line for each change that took effect.
func (d disk) Inspect(_ context.Context, a belay.Action) (belay.Look, error) {
	look := belay.Look{Progress: belay.ProgressPending, Detail: "not there"}
	if slices.Contains(d.lines("effects"), a.Name) {
		look = belay.Look{Progress: belay.ProgressDone, Detail: "there"}
	}
	if d.blind {
		look = belay.Look{Progress: belay.ProgressUnknown}
	}
	d.point("look-" + a.Name + "-" + string(look.Progress))
	return look, nil
}

func (d disk) Do(_ context.Context, a belay.Action) error {
	d.point("before-act-" + a.Name)
	if a.Name == "b" {
		return errBoom // its rung fails; the next one has c in its place
	}
	d.line("effects", a.Name)
	d.point("after-act-" + a.Name)
	return nil
}

func (d disk) Prove(context.Context, belay.Rollback) (belay.Certificate, error) {
	d.point("before-proof")
	defer d.point("after-proof")
	d.line("proofs", "proof")
	return belay.Certificate{Checks: []belay.Check{{Name: "release", Result: belay.CheckPassed}}}, nil
}

// diskJournal writes the whole journal to a file at each save and is killed before and after it.
type diskJournal struct {
	*journal
	disk
}

type diskState struct {
	Rollbacks map[string]belay.Rollback
	Events    []belay.Event
}

func openJournal(d disk) (diskJournal, error) {
	j := diskJournal{newJournal(), d}
	b, err := os.ReadFile(filepath.Join(d.dir, "journal.json"))
	if errors.Is(err, os.ErrNotExist) {
		return j, nil
	}
	var s diskState
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err == nil {
		j.rollbacks, j.events = s.Rollbacks, s.Events
	}
	return j, err
}

func (j diskJournal) SaveRollback(ctx context.Context, rb belay.Rollback, events ...belay.Event) error {
	name := "begin"
	if len(events) > 0 {
		name = strings.ReplaceAll(events[len(events)-1].ID, "/", "-")
	}
	j.point("before-save-" + name)
	defer j.point("after-save-" + name)
	if err := j.journal.SaveRollback(ctx, rb, events...); err != nil {
		return err
	}
	b, err := json.Marshal(diskState{j.rollbacks, j.events})
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(j.dir, "journal.json"), b, 0o600)
}

func crashing(dir string, blind bool) error {
	d := disk{dir, blind}
	j, err := openJournal(d)
	if err != nil {
		return err
	}
	e, err := rollback.New(rollback.Options{
		Dir: dir, Journal: j, Prover: d, Drivers: map[string]rollback.Driver{"fake": d},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := e.Start(ctx); err != nil {
		return err
	}
	var p belay.Plan
	if err := json.Unmarshal([]byte(os.Getenv("TEST_CRASH_PLAN")), &p); err != nil {
		return err
	}
	if err := e.Run(ctx, p, "belay"); err != nil {
		return err
	}
	if _, err := e.Wait(ctx, p.ID); err != nil {
		return err
	}
	return e.Stop(ctx)
}

func TestKilledAtEveryPointARollbackEndsCompleteInOrderOnce(t *testing.T) {
	d := killUntilDone(t, false, "0/a=done 0/b=failed 0/z=skipped 1/a=already 1/c=done 1/z=done")
	if got := strings.Join(d.lines("effects"), " "); got != "a c z" {
		t.Errorf("effects %q", got)
	}
	// Each kind of point was met: nothing is shown by a kill that never came.
	for _, want := range []string{
		"before-save-r-1-plan", "after-save-r-1-plan", "look-a-pending", "before-act-a", "after-act-a", "look-a-done",
		"before-save-r-1-0-a-ended", "after-save-r-1-0-a-ended", "before-save-r-1-0-b-started", "before-act-b", "before-save-r-1-0-b-ended", "after-save-r-1-1-a-started", "before-act-c",
		"after-act-c", "look-c-done", "before-proof", "after-proof", "before-save-r-1-1-proof", "after-save-r-1-1-proof",
	} {
		if !slices.Contains(d.lines("kills"), want) {
			t.Errorf("never killed at %s", want)
		}
	}
}

func TestKilledAtEveryPointWithoutALookAnActIsDoneAtLeastOnce(t *testing.T) {
	d := killUntilDone(t, true, "0/a=done 0/b=failed 0/z=skipped 1/a=done 1/c=done 1/z=done")
	// Twice, because it was killed between each act and its record; in order all the same. The second rung cannot
	// see that the first one did a.
	if got := strings.Join(d.lines("effects"), " "); got != "a a a c c z z" {
		t.Errorf("effects %q", got)
	}
}

func crashPlan(t *testing.T) belay.Plan {
	s := steps("a", "b", "z")
	s[1].Next = &steps("c")[0]
	return newPlan(t, "r-1", s)
}

func killUntilDone(t *testing.T, blind bool, wantSteps string) disk {
	t.Helper()
	d := disk{t.TempDir(), blind}
	raw, err := json.Marshal(crashPlan(t))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	kills := 0
	for ; ; kills++ {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "TEST_CRASH_DIR="+d.dir, "TEST_CRASH_PLAN="+string(raw))
		if blind {
			cmd.Env = append(cmd.Env, "TEST_CRASH_BLIND=1")
		}
		out, err := cmd.CombinedOutput()
		if err == nil {
			break
		}
		if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGKILL || kills > 100 {
			t.Fatalf("after %d kills: %v\n%s", kills, err, out)
		}
	}
	t.Logf("killed %d times in %s: %s", kills, time.Since(began).Round(time.Millisecond), strings.Join(d.lines("kills"), " "))
	j, err := openJournal(d)
	if err != nil {
		t.Fatal(err)
	}
	rb := j.rollbacks["r-1"]
	if rb.State != belay.RollbackVerified || states(rb) != wantSteps {
		t.Errorf("%s %q: %s", rb.State, rb.Reason, states(rb))
	}
	certificates := 0
	for _, e := range j.events {
		if e.Kind == belay.EventProof {
			certificates++
		}
	}
	if certificates != 1 || rb.Certificate == nil {
		t.Errorf("%d certificates", certificates)
	}
	want := "r-1/plan r-1/0/a/started r-1/0/a/ended r-1/0/b/started r-1/0/b/ended r-1/0/next r-1/1/a/started r-1/1/a/ended " +
		"r-1/1/c/started r-1/1/c/ended r-1/1/z/started r-1/1/z/ended r-1/1/proof"
	if got := j.eventIDs(); got != want {
		t.Errorf("events\n got %s\nwant %s", got, want)
	}
	return d
}
