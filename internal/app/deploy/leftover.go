package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/belaydev/belay"
)

// note writes down which process group carries out a deployment, for a belay that is started after this one was
// killed. The returned func forgets it.
func (d *Deployer) note(dep belay.Deployment, pid int) (forget func()) {
	path := filepath.Join(d.Logs, dep.ID+noteExt)
	if err := os.WriteFile(path, []byte(strconv.Itoa(pid)+"\n"), 0o600); err != nil {
		d.Log.Warn("process of the deploy command is not noted", "service", dep.Service, "deployment", dep.ID, "error", err)
	}
	return func() { _ = os.Remove(path) } // one that stays names a process that is gone
}

const noteExt = ".pid"

// Leftovers ends the deploy commands that outlived a belay that was killed, as a stop would have: a command that
// goes on unseen would bring back the release that a rollback has just taken away. It is called before anything
// else acts.
func (d *Deployer) Leftovers(ctx context.Context) {
	entries, err := os.ReadDir(d.Logs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.Log.Warn("deploy commands from before the restart are not known", "error", err)
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), noteExt)
		if !ok {
			continue
		}
		path := filepath.Join(d.Logs, e.Name())
		b, err := os.ReadFile(path)
		pid, perr := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil || perr != nil || pid <= 1 {
			continue // written only in part: the kill came just then
		}
		if carriesOut(pid, id) {
			d.Log.Warn("deploy command outlived its belay and is ended", "deployment", id, "process", pid)
			d.end(ctx, pid, id)
		}
		_ = os.Remove(path) // the next one does no harm either
	}
}

// end asks the group to end, and makes it after the grace.
func (d *Deployer) end(ctx context.Context, pid int, id string) {
	_ = syscall.Kill(-pid, syscall.SIGTERM) // ESRCH: it ended by itself just now
	ctx, cancel := context.WithTimeout(ctx, d.grace())
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for carriesOut(pid, id) {
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
		}
		break
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL) // whatever of the group did not listen
}

// carriesOut tells whether the process is the deploy command of the deployment, and not another one that was given
// its number: it leads a group of its own and has the deployment in its environment. Where that cannot be read,
// nothing is ended.
func carriesOut(pid int, id string) bool {
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		return false
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && strings.Contains("\x00"+string(env), "\x00BELAY_DEPLOYMENT="+id+"\x00")
}

// grace is how long a command may take to end once it was told to.
func (d *Deployer) grace() time.Duration {
	if d.Grace <= 0 {
		return 10 * time.Second
	}
	return d.Grace
}
