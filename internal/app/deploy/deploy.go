// Package deploy runs deploy commands and moves traffic forward: what package watch wants of the outside. It is
// part of the composition root; it decides nothing.
package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
	"github.com/belaydev/belay/internal/watch"
)

// Deployer runs deploy commands and sets weights.
type Deployer struct {
	Config  func() *config.Config
	Proxies func() map[string]*proxyclient.Client
	Logs    string // folder that the output of each command is kept in
	Log     *slog.Logger

	Grace time.Duration // how long a command may take to end once it was told to; 10 s when zero
}

// Deploy runs the service's deploy command. Values from outside reach it in its environment alone.
func (d *Deployer) Deploy(ctx context.Context, dep belay.Deployment) error {
	cfg := d.Config()
	s, ok := cfg.Service(dep.Ref)
	if !ok {
		return fmt.Errorf("%w: %w", belay.Errorf(belay.CodeNotFound, "run the deploy command of %s: it is not configured any more", dep.Ref), watch.ErrNothingChanged)
	}
	if len(s.Deploy.Command) == 0 {
		return fmt.Errorf("%w: %w", belay.Errorf(belay.CodeInvalid, "%s has no deploy.command", dep.Ref), watch.ErrNothingChanged)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.Deploy.Timeout, fmt.Errorf("deploy.timeout of %s is over", belay.Duration(s.Deploy.Timeout)))
	defer cancel()
	began := time.Now()
	err := d.run(ctx, s, dep)
	d.Log.Info("deploy command ended", "service", dep.Service, "deployment", dep.ID, "duration", time.Since(began), "error", err)
	if err != nil {
		return fmt.Errorf("run %s: %w", s.Deploy.Command[0], err)
	}
	return d.announce(ctx, s, dep)
}

// run runs the command to its end. Its output goes to a file and not through a pipe: a server that it leaves
// running must neither hold up the deployment nor die of writing when nobody reads any more.
func (d *Deployer) run(ctx context.Context, s config.Service, dep belay.Deployment) error {
	cfg := d.Config()
	cmd := d.command(ctx, cfg, s, dep)
	out, err := d.output(dep)
	if err != nil {
		d.Log.Warn("output of the deploy command is not kept", "service", dep.Service, "deployment", dep.ID, "error", err)
	} else {
		defer out.Close()
		cmd.Stdout, cmd.Stderr = out, out
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: %w", err, watch.ErrNothingChanged)
	}
	defer d.note(dep, cmd.Process.Pid)()
	err = cmd.Wait()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whatever of the group did not listen
		err = context.Cause(ctx)
	}
	if text := tail(out); text != "" {
		return fmt.Errorf("%w: %s", err, text)
	}
	return err
}

func (d *Deployer) command(ctx context.Context, cfg *config.Config, s config.Service, dep belay.Deployment) *exec.Cmd {
	argv := s.Deploy.Command
	path := argv[0]
	if strings.Contains(path, "/") && !filepath.IsAbs(path) {
		path = filepath.Join(cfg.Dir, path)
	}
	cmd := exec.CommandContext(ctx, path, argv[1:]...) //nolint:gosec // from the configuration file alone
	cmd.Dir, cmd.Env = cfg.Dir, environment(cfg, s, dep)
	// A group of its own: at the timeout its children end with it, and ctrl-c on the server does not reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return os.ErrProcessDone
	}
	cmd.WaitDelay = d.grace()
	return cmd
}

// environment is belay's own without what is belay's business (its secrets), then deploy.env, then the facts, which
// nothing overrides.
func environment(cfg *config.Config, s config.Service, dep belay.Deployment) []string {
	hidden := translate.Hidden(cfg)
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(name, "BELAY_") || slices.Contains(hidden, name)
	})
	for k, v := range s.Deploy.Env {
		env = append(env, k+"="+v)
	}
	for _, kv := range [][2]string{
		{"SERVICE", dep.Service}, {"ENVIRONMENT", dep.Environment}, {"DEPLOYMENT", dep.ID},
		{"VERSION", dep.Release.Version}, {"COMMIT", dep.Release.Commit}, {"DIGEST", dep.Release.Digest},
		{"PREVIOUS_VERSION", dep.Previous.Version},
		{"SLOT", dep.Slot}, {"PREVIOUS_SLOT", dep.PreviousSlot}, {"SLOT_ADDRESS", slotAddress(cfg, s, dep.Slot)},
	} {
		env = append(env, "BELAY_"+kv[0]+"="+kv[1])
	}
	return env
}

// output opens the file that a deployment's output is appended to: after a restart there may be more of it.
func (d *Deployer) output(dep belay.Deployment) (*os.File, error) {
	if err := os.MkdirAll(d.Logs, 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(d.Logs, dep.ID+".log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
}

// announce tells the proxy which releases stand behind the slots, so that its counts carry their names.
func (d *Deployer) announce(ctx context.Context, s config.Service, dep belay.Deployment) error {
	p, ok := d.Proxies()[s.Rollout.Proxy]
	if !ok || dep.Slot == "" {
		return nil
	}
	if _, err := p.SetRelease(ctx, dep.Slot, dep.Release.String()); err != nil {
		return fmt.Errorf("name release %s on slot %s: %w", dep.Release, dep.Slot, err)
	}
	if dep.PreviousSlot != "" && !dep.Previous.IsZero() {
		if _, err := p.SetRelease(ctx, dep.PreviousSlot, dep.Previous.String()); err != nil {
			return fmt.Errorf("name release %s on slot %s: %w", dep.Previous, dep.PreviousSlot, err)
		}
	}
	return nil
}

// SetWeight gives the deployment's slot pct percent of the traffic and the previous slot the rest.
func (d *Deployer) SetWeight(ctx context.Context, dep belay.Deployment, pct int) error {
	s, ok := d.Config().Service(dep.Ref)
	if !ok {
		return belay.Errorf(belay.CodeNotFound, "set the traffic of %s: it is not configured any more", dep.Ref)
	}
	if s.Rollout.Proxy == "" || dep.Slot == "" {
		return nil // traffic is the deploy command's business
	}
	p, ok := d.Proxies()[s.Rollout.Proxy]
	if !ok {
		return belay.Errorf(belay.CodeNotFound, "set the traffic of %s: there is no proxy %s", dep.Ref, s.Rollout.Proxy)
	}
	if err := d.announce(ctx, s, dep); err != nil {
		return err
	}
	weights := map[string]int{dep.Slot: pct}
	if dep.PreviousSlot != "" && dep.PreviousSlot != dep.Slot {
		weights[dep.PreviousSlot] = 100 - pct
	} else if pct > 0 {
		weights[dep.Slot] = 100 // nothing else could serve
	}
	if _, err := p.SetWeights(ctx, weights, proxyclient.WeightOptions{}); err != nil {
		return fmt.Errorf("give slot %s of proxy %s %d %% of the traffic: %w", dep.Slot, s.Rollout.Proxy, pct, err)
	}
	return nil
}

func slotAddress(cfg *config.Config, s config.Service, slot string) string {
	p, ok := cfg.Proxy(s.Rollout.Proxy)
	if !ok {
		return ""
	}
	i := slices.IndexFunc(p.Slots, func(v config.Slot) bool { return v.Name == slot })
	if i < 0 {
		return ""
	}
	return p.Slots[i].Address
}

const tailSize = 4 << 10

// tail reads the end of a command's output, as text that is safe to show.
func tail(f *os.File) string {
	if f == nil {
		return ""
	}
	st, err := f.Stat()
	if err != nil {
		return ""
	}
	b := make([]byte, min(st.Size(), tailSize))
	n, _ := f.ReadAt(b, st.Size()-int64(len(b))) // what cannot be read is not shown
	if b = b[:n]; st.Size() > tailSize {
		if _, rest, whole := bytes.Cut(b, []byte("\n")); whole && len(rest) > 0 {
			b = rest // from the beginning of a line
		}
	}
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return -1
		}
		return c
	}, strings.ToValidUTF8(string(b), "\ufffd")))
}
