// Package command takes something back by running a program: the rollback.sh that a team has already. The
// program comes from the configuration alone; what comes from outside (versions, slots) reaches it as environment
// variables, never through a shell. It judges nothing that the program does: an optional second program looks.
//
// Once or twice: the program runs at least once. With an inspect program its effect happens once, because every
// run begins with a look. Without one, a program that belay could not see the end of (belay was killed) runs a
// second time, with the same BELAY_STEP_KEY.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// Args are the arguments of a step.
type Args struct {
	Argv    []string          `json:"argv"`              // program and arguments
	Inspect []string          `json:"inspect,omitempty"` // program that looks; changes nothing
	Reads   Reads             `json:"reads,omitempty"`   // how the inspect program answers
	Dir     string            `json:"dir,omitempty"`     // working folder; the driver's own when empty
	Env     map[string]string `json:"env,omitempty"`
}

// Reads says how an inspect program answers. Its first line of output is the detail for people either way.
type Reads string

// The ways.
const (
	// ReadsExit is the default: exit status 0 is done, 1 is pending, 2 is drifted, anything else an error.
	ReadsExit Reads = "exit"
	// ReadsVersion: it exits with 0 and prints the version that is there: the one to go back to is done, the one
	// that is taken back is pending, any other is drifted.
	ReadsVersion Reads = "version"
)

// Options are the parts of a Driver.
type Options struct {
	Dir   string        // where programs run when the step does not say: the folder of the configuration
	Locks string        // a folder of its own in the data folder, for locks and output
	Grace time.Duration // between SIGTERM and SIGKILL; 5s when zero

	Hidden func() []string // names of variables that programs do not get, besides BELAY_*: belay's secrets; may be nil
}

// Driver runs programs.
type Driver struct{ opts Options }

// New makes a driver.
func New(o Options) *Driver {
	if o.Grace <= 0 {
		o.Grace = 5 * time.Second
	}
	return &Driver{opts: o}
}

// Inspect runs the inspect program.
func (d *Driver) Inspect(ctx context.Context, a belay.Action) (belay.Look, error) {
	args, err := read(a)
	if err != nil {
		return belay.Look{}, err
	}
	if len(args.Inspect) == 0 {
		return belay.Look{Progress: belay.ProgressUnknown, Detail: "no inspect command: only the proof can tell"}, nil
	}
	p := d.program(args.Inspect, args, a)
	out, complaint, err := p.capture(ctx)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil && exit.Exited() {
		code, err = exit.ExitCode(), nil
	}
	if err != nil {
		return belay.Look{}, explain(ctx, "inspect "+a.Target+": run "+args.Inspect[0], err, complaint+out)
	}
	first := firstLine(out)
	if args.Reads == ReadsVersion && code == 0 {
		return compare(first, a), nil
	}
	if first == "" {
		first = firstLine(complaint)
	}
	if args.Reads == ReadsVersion {
		return belay.Look{}, fmt.Errorf("inspect %s: %s ended with exit status %d: %s", a.Target, args.Inspect[0], code, first)
	}
	return answer(args.Inspect[0], code, first, a.Target)
}

func firstLine(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(first)
}

// answer reads an exit status.
func answer(program string, code int, first, target string) (belay.Look, error) {
	progress := map[int]belay.Progress{0: belay.ProgressDone, 1: belay.ProgressPending, 2: belay.ProgressDrifted}
	p, ok := progress[code]
	if !ok {
		return belay.Look{}, fmt.Errorf("inspect %s: %s ended with exit status %d: %s", target, program, code, first)
	}
	if first == "" {
		first = fmt.Sprintf("%s says %s", program, p)
	}
	return belay.Look{Progress: p, Detail: first}, nil
}

// compare reads a printed version.
func compare(version string, a belay.Action) belay.Look {
	l := belay.Look{Progress: belay.ProgressDrifted, Detail: "version " + version}
	switch version {
	case "":
		l.Detail = "no version printed"
		l.Progress = belay.ProgressPending
	case a.To.Version:
		l.Progress = belay.ProgressDone
	case a.From.Version:
		l.Progress = belay.ProgressPending
	}
	return l
}

// Do runs the program and waits for its end. A run of the same step that an earlier, killed belay began is
// waited for first; then the target is looked at again.
func (d *Driver) Do(ctx context.Context, a belay.Action) error {
	args, err := read(a)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("run %s: %w", a.Target, err)
	}
	l, err := d.lock(ctx, a)
	if err != nil {
		return err
	}
	defer l.release()
	if len(args.Inspect) > 0 {
		look, err := d.Inspect(ctx, a)
		if err == nil && look.Progress == belay.ProgressDone {
			return nil
		}
		if err == nil && look.Progress == belay.ProgressDrifted {
			return belay.Errorf(belay.CodeDenied, "run %s: somebody else changed it: %s", a.Target, look.Detail)
		}
	}
	out, err := d.program(args.Argv, args, a).run(ctx, l)
	if err != nil {
		return explain(ctx, "run "+a.Target, err, out)
	}
	return nil
}

func read(a belay.Action) (Args, error) {
	var args Args
	if err := json.Unmarshal(a.Args, &args); err != nil {
		return args, belay.Errorf(belay.CodeInvalid, "read the arguments of %s: %w", a.Target, err)
	}
	if len(args.Argv) == 0 || args.Argv[0] == "" {
		return args, belay.Errorf(belay.CodeInvalid, "run %s: the step names no program", a.Target)
	}
	return args, nil
}

// explain makes the error of a program: what was done, why it failed, what the program said last.
func explain(ctx context.Context, doing string, err error, out string) error {
	if out = strings.TrimSpace(out); out != "" {
		out = ": " + out
	}
	switch {
	case ctx.Err() != nil:
		if cause := context.Cause(ctx); !errors.Is(err, cause) {
			err = cause
		}
		return fmt.Errorf("%s: stopped: %w%s", doing, err, out)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound):
		return belay.Errorf(belay.CodeNotFound, "%s: %w", doing, err).WithNext("the path is relative to the folder of the configuration")
	case errors.Is(err, fs.ErrPermission):
		return belay.Errorf(belay.CodeDenied, "%s: %w", doing, err).WithNext("make it executable for the user who runs belay")
	}
	return fmt.Errorf("%s: %w%s", doing, err, out)
}
