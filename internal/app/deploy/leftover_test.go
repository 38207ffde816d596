package deploy_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/belaydev/belay/internal/app/deploy"
)

// orphan starts what a killed belay leaves behind: a deploy command in a group of its own, noted as that of d-1.
func orphan(t *testing.T, d *deploy.Deployer, script, deployment string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", script) //nolint:gosec // of this test, which ends it
	cmd.Env = append(os.Environ(), "BELAY_DEPLOYMENT="+deployment)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it is at work
		t.Fatal(err)
	}
	if err := os.MkdirAll(d.Logs, 0o700); err != nil {
		t.Fatal(err)
	}
	note := filepath.Join(d.Logs, "d-1.pid")
	if err := os.WriteFile(note, []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); _ = cmd.Wait() })
	return cmd
}

func TestCommandThatOutlivedItsBelayIsEnded(t *testing.T) {
	for name, script := range map[string]string{
		"listens": "echo go; sleep 60",
		"deaf":    "trap '' TERM; echo go; sleep 60; sleep 60",
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := deployer(t, "true", nil)
			cmd := orphan(t, d, script, "d-1")
			d.Leftovers(t.Context())
			err := cmd.Wait()
			if s, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !s.Signaled() {
				t.Errorf("it ended by itself: %v", err)
			}
			if _, err := os.Stat(filepath.Join(d.Logs, "d-1.pid")); err == nil {
				t.Error("the note stays")
			}
		})
	}
}

func TestAProcessOfAnotherIsLeftAlone(t *testing.T) {
	d, _ := deployer(t, "true", nil)
	cmd := orphan(t, d, "echo go; read end || exit 7; exit 7", "d-2")
	d.Leftovers(t.Context())
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 7 {
		t.Errorf("it was ended: %s", cmd.ProcessState)
	}
}

func TestNoteIsThereWhileTheCommandRuns(t *testing.T) {
	d, _ := deployer(t, `test "$(cat logs/d-1.pid)" = $$ || { sleep 0.1; test "$(cat logs/d-1.pid)" = $$; }`, nil)
	if err := d.Deploy(t.Context(), release()); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(d.Logs, "*.pid")); len(left) != 0 {
		t.Errorf("%s stays", left)
	}
}
