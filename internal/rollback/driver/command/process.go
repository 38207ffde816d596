package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/belaydev/belay"
)

// maxOutput is how much of a program's output is kept: its end.
const maxOutput = 64 << 10

type program struct {
	argv  []string
	dir   string
	env   []string
	grace time.Duration
}

func (d *Driver) program(argv []string, args Args, a belay.Action) program {
	p := program{argv: argv, dir: args.Dir, env: environment(d.hidden(), args.Env, a), grace: d.opts.Grace}
	if p.dir == "" {
		p.dir = d.opts.Dir
	}
	return p
}

func (d *Driver) hidden() []string {
	if d.opts.Hidden == nil {
		return nil
	}
	return d.opts.Hidden()
}

// environment is belay's own without what is belay's business (its secrets), then the step's, then the facts.
func environment(hidden []string, extra map[string]string, a belay.Action) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(name, "BELAY_") || slices.Contains(hidden, name)
	})
	for k, v := range extra {
		env = append(env, k+"="+v)
	}
	for _, kv := range [][2]string{
		{"SERVICE", a.Service}, {"ENVIRONMENT", a.Environment},
		{"ROLLBACK_ID", a.Rollback}, {"STEP", a.Name}, {"STEP_KEY", a.Key},
		{"VERSION", a.To.Version}, {"SLOT", a.ToSlot},
		{"FROM_VERSION", a.From.Version}, {"FROM_COMMIT", a.From.Commit}, {"FROM_DIGEST", a.From.Digest}, {"FROM_SLOT", a.FromSlot},
		{"TO_VERSION", a.To.Version}, {"TO_COMMIT", a.To.Commit}, {"TO_DIGEST", a.To.Digest}, {"TO_SLOT", a.ToSlot},
	} {
		env = append(env, "BELAY_"+kv[0]+"="+kv[1])
	}
	return env
}

// command makes a process in a group of its own, so that a signal reaches all that it started.
func (p program) command() *exec.Cmd {
	cmd := exec.Command(p.argv[0], p.argv[1:]...) //nolint:noctx // ended by end below: SIGTERM first, to the whole group
	cmd.Dir, cmd.Env = p.dir, p.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// run runs the program to its end. Its output goes to a file: a program that outlives belay, or that leaves a
// server behind, must not die of a closed pipe. It inherits the lock.
func (p program) run(ctx context.Context, l *lock) (out string, err error) {
	f, err := os.OpenFile(l.path+".out", os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return "", fmt.Errorf("keep its output: %w", err)
	}
	defer func() {
		// The name goes; what still runs keeps writing to the file that it has open.
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}()
	cmd := p.command()
	cmd.Stdout, cmd.Stderr = f, f
	cmd.ExtraFiles = []*os.File{l.file}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	l.note(cmd.Process.Pid)
	err = p.end(ctx, cmd)
	text, rerr := tail(f)
	return text, errors.Join(err, rerr)
}

// capture runs a program that leaves nothing behind. What it printed and what it complained of are kept apart: a
// warning is not an answer.
func (p program) capture(ctx context.Context) (out, complaint string, err error) {
	cmd := p.command()
	var stdout, stderr kept
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 100 * time.Millisecond
	if err := ctx.Err(); err != nil {
		return "", "", err
	}
	if err := cmd.Start(); err != nil {
		return "", "", err
	}
	err = p.end(ctx, cmd)
	if errors.Is(err, exec.ErrWaitDelay) { // it left something behind that holds its output
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // gone already is as good
		err = nil
	}
	return stdout.String(), stderr.String(), err
}

// end waits for the process. When ctx ends first, its group is asked to end, and made to after the grace.
func (p program) end(ctx context.Context, cmd *exec.Cmd) error {
	var ended error
	done := make(chan struct{})
	go func() { // ends with the process, which SIGKILL below ends at the latest
		defer close(done)
		ended = cmd.Wait()
	}()
	select {
	case <-done:
		return ended
	case <-ctx.Done():
	}
	group := -cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM) // ESRCH: it ended by itself just now
	grace := time.NewTimer(p.grace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
		_ = syscall.Kill(group, syscall.SIGKILL)
		<-done
		return fmt.Errorf("killed: it went on for %s after it was asked to end: %w", p.grace, context.Cause(ctx))
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // what it started and left
	return context.Cause(ctx)
}

// tail reads the end of a file.
func tail(f *os.File) (string, error) {
	st, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read its output: %w", err)
	}
	b := make([]byte, min(st.Size(), maxOutput))
	n, err := f.ReadAt(b, st.Size()-int64(len(b)))
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read its output: %w", err)
	}
	return clean(b[:n]), nil
}

// kept keeps the beginning of what is written to it: an inspect program's first line is its answer.
type kept struct{ b []byte }

func (k *kept) Write(p []byte) (int, error) {
	k.b = append(k.b, p[:min(len(p), maxOutput-len(k.b))]...)
	return len(p), nil
}

func (k *kept) String() string { return clean(k.b) }

// clean makes output safe to show: valid text without control characters.
func clean(b []byte) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return -1
		}
		return c
	}, strings.ToValidUTF8(string(b), "\ufffd"))
}
