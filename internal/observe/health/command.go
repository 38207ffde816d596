package health

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
)

const maxOutput = 4 << 10

// probeCommand runs the program in a process group of its own, so that at the timeout all that it started
// ends with it. The target comes from outside: it is an environment variable, never part of the command.
func (c Check) probeCommand(ctx context.Context, target string) Result {
	if c.Command == nil || len(c.Command.Argv) == 0 {
		return blind("no command is configured")
	}
	out := &tail{}
	cmd := exec.CommandContext(ctx, c.Command.Argv[0], c.Command.Argv[1:]...)
	cmd.Dir = c.Command.Dir
	cmd.Env = c.environment(target)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = kill
	cmd.WaitDelay = 100 * time.Millisecond
	err := cmd.Run()
	if cmd.Process == nil {
		return blind("the command cannot be run: %v", err)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		// It ended but left something behind that holds its output: that must not stay.
		if kerr := kill(); kerr != nil && !errors.Is(kerr, syscall.ESRCH) {
			return failed("the command left a process behind: %v", kerr)
		}
	}
	switch state := cmd.ProcessState; {
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return failed("no answer in %s", c.Timeout)
	case ctx.Err() != nil:
		return blind("stopped")
	case state.Success():
		return Result{OK: true, Detail: withOutput("exit 0", out)}
	case state.ExitCode() < 0:
		return failed("%s", withOutput("ended by a signal", out))
	default:
		return failed("%s", withOutput("exit "+strconv.Itoa(state.ExitCode()), out))
	}
}

// environment is belay's own without what is belay's business, then the check's.
func (c Check) environment(target string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "BELAY_") })
	for name, value := range c.Command.Env {
		env = append(env, name+"="+value)
	}
	return append(env, "BELAY_CHECK="+c.Name, "BELAY_TARGET="+target)
}

func withOutput(what string, out *tail) string {
	if line := out.lastLine(); line != "" {
		return what + ": " + line
	}
	return what
}

// tail keeps the end of an output: that is where a script says why.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-maxOutput):]...)
	if extra := len(t.b) - maxOutput; extra > 0 {
		t.b = append(t.b[:0], t.b[extra:]...)
	}
	return len(p), nil
}

func (t *tail) lastLine() string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(t.b), ""))
	text = strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
	if r := []rune(text); len(r) > 160 {
		text = string(r[:160]) + "..."
	}
	return text
}
