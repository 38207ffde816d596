package command_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/rollback"
	"github.com/belaydev/belay/internal/rollback/driver/command"
	"github.com/belaydev/belay/internal/rollback/drivertest"
)

var _ rollback.Driver = (*command.Driver)(nil)

// place is a folder with a service of files: "current" holds the version that runs, "effects" a line per change.
type place struct {
	t   *testing.T
	dir string
}

const (
	rollbackSh = `#!/bin/sh
test -e broken && { echo "disk is full" >&2; exit 3; }
test -e slow && sleep 60
test "$(cat current)" = "$BELAY_TO_VERSION" && exit 0
echo "$BELAY_TO_VERSION" > current
echo changed >> effects
`
	inspectSh = `#!/bin/sh
now=$(cat current)
echo "version $now runs"
case $now in
"$BELAY_TO_VERSION") exit 0 ;;
"$BELAY_FROM_VERSION") exit 1 ;;
*) exit 2 ;;
esac
`
)

func newPlace(t *testing.T) place {
	t.Helper()
	p := place{t: t, dir: t.TempDir()}
	p.write("current", "2.0\n", 0o600)
	p.write("rollback.sh", rollbackSh, 0o700)
	p.write("inspect.sh", inspectSh, 0o700)
	p.write("version.sh", "#!/bin/sh\ncat current\n", 0o700)
	return p
}

func (p place) write(name, text string, perm os.FileMode) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), perm); err != nil {
		p.t.Fatal(err)
	}
}

func (p place) read(name string) string {
	b, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func (p place) driver() *command.Driver {
	return command.New(command.Options{Dir: p.dir, Locks: filepath.Join(p.dir, "locks"), Grace: 100 * time.Millisecond,
		Hidden: func() []string { return []string{"HOOK_SECRET"} }})
}

func (p place) action(args command.Args) belay.Action {
	p.t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		p.t.Fatal(err)
	}
	return belay.Action{
		Step: belay.Step{Key: "r-1/0/script", Name: "script", Driver: "command", Target: "./rollback.sh", Args: raw},
		Ref:  belay.Ref{Service: "shop", Environment: "production"}, Rollback: "r-1",
		From: belay.Release{Version: "2.0", Digest: "sha256:2"}, To: belay.Release{Version: "1.9", Commit: "abc"}, FromSlot: "green", ToSlot: "blue",
	}
}

func (p place) effects() int { return strings.Count(p.read("effects"), "changed") }

func TestTheContractIsKept(t *testing.T) {
	for name, args := range map[string]command.Args{
		"by_exit_status": {Argv: []string{"./rollback.sh"}, Inspect: []string{"./inspect.sh"}},
		"by_version":     {Argv: []string{"./rollback.sh"}, Inspect: []string{"./version.sh"}, Reads: command.ReadsVersion},
		"blind":          {Argv: []string{"./rollback.sh"}},
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.Exercise(t, func(t *testing.T) drivertest.Subject {
				p := newPlace(t)
				s := drivertest.Subject{
					Driver: p.driver(), Action: p.action(args),
					State:   func() string { return p.read("current") },
					Effects: p.effects,
					Again:   func() rollback.Driver { return p.driver() },
					Drift:   func() { p.write("current", "1.7-hotfix\n", 0o600) },
					Break:   func() { p.write("broken", "", 0o600) },
					Slow:    func() { p.write("slow", "", 0o600) },
				}
				if len(args.Inspect) == 0 {
					s.Blind, s.Drift, s.NoDrift = true, nil, "the step has no inspect command"
				}
				return s
			})
		})
	}
}

func TestTheProgramGetsTheFactsAndNotBelaysSecrets(t *testing.T) {
	p := newPlace(t)
	t.Setenv("BELAY_TOKEN", "secret")
	t.Setenv("HOOK_SECRET", "secret")
	t.Setenv("HOOK_SECRET_2", "stays")
	p.write("rollback.sh", "#!/bin/sh\nenv | grep -E '^(BELAY_|MODE=|HOOK_)' | sort > seen\necho \"$1\" >> seen\n", 0o700)
	hostile := `$(touch pwned); "x" 'y'`
	a := p.action(command.Args{Argv: []string{"./rollback.sh", hostile}, Env: map[string]string{"MODE": "fast"}})
	a.To.Version = "1.9; touch pwned"
	if err := p.driver().Do(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	want := `BELAY_ENVIRONMENT=production
BELAY_FROM_COMMIT=
BELAY_FROM_DIGEST=sha256:2
BELAY_FROM_SLOT=green
BELAY_FROM_VERSION=2.0
BELAY_ROLLBACK_ID=r-1
BELAY_SERVICE=shop
BELAY_SLOT=blue
BELAY_STEP=script
BELAY_STEP_KEY=r-1/0/script
BELAY_TO_COMMIT=abc
BELAY_TO_DIGEST=
BELAY_TO_SLOT=blue
BELAY_TO_VERSION=1.9; touch pwned
BELAY_VERSION=1.9; touch pwned
HOOK_SECRET_2=stays
MODE=fast
` + hostile
	if got := p.read("seen"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "pwned")); err == nil {
		t.Error("a value was run by a shell")
	}
}

func TestAnErrorSaysWhatTheProgramSaidLast(t *testing.T) {
	p := newPlace(t)
	p.write("rollback.sh", "#!/bin/sh\nhead -c 200000 /dev/zero | tr '\\0' x\necho\necho the database is locked >&2\nexit 4\n", 0o700)
	err := p.driver().Do(t.Context(), p.action(command.Args{Argv: []string{"./rollback.sh"}}))
	if err == nil || !strings.Contains(err.Error(), "exit status 4") || !strings.HasSuffix(err.Error(), "the database is locked") {
		t.Errorf("got ...%s", err.Error()[max(0, len(err.Error())-200):])
	}
	if n := len(err.Error()); n > 70_000 {
		t.Errorf("the error has %d bytes", n)
	}
	if belay.CodeOf(err) != belay.CodeInternal {
		t.Errorf("code %s: it could not be tried again", belay.CodeOf(err))
	}
}

func TestAProgramThatIsNotThereIsFinal(t *testing.T) {
	p := newPlace(t)
	p.write("plain.sh", "#!/bin/sh\n", 0o600)
	for argv, code := range map[string]belay.Code{"./gone.sh": belay.CodeNotFound, "no-such-program-anywhere": belay.CodeNotFound, "./plain.sh": belay.CodeDenied} {
		err := p.driver().Do(t.Context(), p.action(command.Args{Argv: []string{argv}}))
		if belay.CodeOf(err) != code {
			t.Errorf("%s: %q %v", argv, belay.CodeOf(err), err)
		}
	}
	if err := p.driver().Do(t.Context(), p.action(command.Args{})); belay.CodeOf(err) != belay.CodeInvalid {
		t.Errorf("no program: %v", err)
	}
}

func TestAnInspectThatFailsIsAnError(t *testing.T) {
	p := newPlace(t)
	p.write("inspect.sh", "#!/bin/sh\necho cannot reach the cluster\nexit 9\n", 0o700)
	for _, reads := range []command.Reads{command.ReadsExit, command.ReadsVersion} {
		_, err := p.driver().Inspect(t.Context(), p.action(command.Args{Argv: []string{"x"}, Inspect: []string{"./inspect.sh"}, Reads: reads}))
		if err == nil || !strings.Contains(err.Error(), "exit status 9: cannot reach the cluster") {
			t.Errorf("%s: %v", reads, err)
		}
	}
}

func TestAWarningOfTheInspectProgramIsNotItsAnswer(t *testing.T) {
	p := newPlace(t)
	p.write("inspect.sh", "#!/bin/sh\necho warning: the cluster is old >&2\necho 1.9\n", 0o700)
	a := p.action(command.Args{Argv: []string{"x"}, Inspect: []string{"./inspect.sh"}, Reads: command.ReadsVersion})
	a.To.Version = "1.9"
	look, err := p.driver().Inspect(t.Context(), a)
	if err != nil || look.Progress != belay.ProgressDone {
		t.Errorf("got %+v, %v; want what it printed", look, err)
	}
	p.write("inspect.sh", "#!/bin/sh\necho no such process >&2\n", 0o700)
	if look, err = p.driver().Inspect(t.Context(), a); err != nil || look.Progress != belay.ProgressPending {
		t.Errorf("nothing printed: %+v, %v; want pending", look, err)
	}
}

// line waits for the first line that a program writes into a pipe of the given name.
func (p place) line(name string) string {
	p.t.Helper()
	f, err := os.Open(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	text, _ := bufio.NewReader(f).ReadString('\n')
	return strings.TrimSpace(text)
}

func (p place) pipe(name string) {
	p.t.Helper()
	if err := syscall.Mkfifo(filepath.Join(p.dir, name), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func TestTheWholeGroupEndsAtTheDeadlineEvenIfItDoesNotWant(t *testing.T) {
	p := newPlace(t)
	p.pipe("child")
	p.write("rollback.sh", "#!/bin/sh\ntrap '' TERM\nsh -c 'trap \"\" TERM; echo $$ > child; while :; do sleep 1; done'\n", 0o700)
	ctx, cancel := context.WithCancelCause(t.Context())
	failed := make(chan error, 1)
	go func() { failed <- p.driver().Do(ctx, p.action(command.Args{Argv: []string{"./rollback.sh"}})) }()
	child, err := strconv.Atoi(p.line("child"))
	if err != nil {
		t.Fatal(err)
	}
	cancel(errors.New("its deadline of 1s passed"))
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "its deadline of 1s passed") || !strings.Contains(err.Error(), "killed") {
		t.Errorf("got %v", err)
	}
	// The grandchild was killed with the group; its parent is gone, so wait until the system has reaped it.
	gone(t, child)
}

// gone waits until a process has ended; a zombie counts.
func gone(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 400 {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		<-tick.C
	}
	t.Errorf("process %d still runs", pid)
}

func TestWhatAProgramLeavesRunningLivesAndBlocksNothing(t *testing.T) {
	p := newPlace(t)
	p.pipe("server")
	p.write("rollback.sh", "#!/bin/sh\nsh -c 'echo $$ > server; while :; do echo tick; sleep 0.02; done' &\n", 0o700)
	a := p.action(command.Args{Argv: []string{"./rollback.sh"}})
	done := make(chan error, 1)
	go func() { done <- p.driver().Do(t.Context(), a) }()
	server, err := strconv.Atoi(p.line("server"))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(server, syscall.SIGKILL)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(server, 0); err != nil {
		t.Errorf("the server that the script started is gone: %v", err)
	}
	p.write("rollback.sh", "#!/bin/sh\nexit 0\n", 0o700)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := p.driver().Do(ctx, a); err != nil {
		t.Errorf("the same step again: %v", err)
	}
}

// TestMain lets the test binary play a belay that is killed while its script runs.
func TestMain(m *testing.M) {
	dir := os.Getenv("TEST_COMMAND_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	var a belay.Action
	if err := json.Unmarshal([]byte(os.Getenv("TEST_COMMAND_ACTION")), &a); err != nil {
		panic(err)
	}
	err := command.New(command.Options{Dir: dir, Locks: filepath.Join(dir, "locks")}).Do(context.Background(), a)
	panic(err) // it should have been killed
}

func TestAScriptThatOutlivedBelayIsWaitedForAndNotDoubled(t *testing.T) {
	for name, inspect := range map[string][]string{"with_a_look": {"./inspect.sh"}, "without": nil} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.pipe("running")
			p.pipe("go")
			p.write("rollback.sh", "#!/bin/sh\necho begun >> log\nif [ ! -e second ]; then touch second; echo $$ > running; read x < go; fi\necho working\n"+
				"echo $BELAY_TO_VERSION > current\necho changed >> effects\necho ended >> log\n", 0o700)
			a := p.action(command.Args{Argv: []string{"./rollback.sh"}, Inspect: inspect})
			raw, err := json.Marshal(a)
			if err != nil {
				t.Fatal(err)
			}
			first := exec.Command(os.Args[0])
			first.Env = append(os.Environ(), "TEST_COMMAND_DIR="+p.dir, "TEST_COMMAND_ACTION="+string(raw))
			if err := first.Start(); err != nil {
				t.Fatal(err)
			}
			p.line("running")
			if err := first.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = first.Wait()

			// While the old script runs, the step does not begin again.
			short, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
			defer cancel()
			if err := p.driver().Do(short, a); err == nil || !strings.Contains(err.Error(), "earlier run") {
				t.Fatalf("got %v", err)
			}
			if p.read("log") != "begun" {
				t.Fatalf("log %q", p.read("log"))
			}
			done := make(chan error, 1)
			go func() { done <- p.driver().Do(t.Context(), a) }()
			p.write("go", "on\n", 0o600)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			want := 1
			if inspect == nil {
				want = 2 // at least once: nothing could tell how the first run ended
			}
			if got := p.effects(); got != want || strings.Contains(p.read("log"), "begun\nbegun") {
				t.Errorf("%d effects, log %q", got, p.read("log"))
			}
		})
	}
}
