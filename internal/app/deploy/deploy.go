// Package deploy runs deploy commands and moves traffic forward: what package watch wants of the outside. It is
// part of the composition root; it decides nothing.
package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
	"github.com/belaydev/belay/internal/watch"
)

// Deployer runs deploy commands and sets weights.
type Deployer struct {
	Config  func() *config.Config
	Proxies func() map[string]*proxyclient.Client
	Log     *slog.Logger
}

// killGrace is how long a deploy command may take to end once it was told to.
const killGrace = 10 * time.Second

// Deploy runs the service's deploy command. Values from outside reach it in its environment alone.
func (d *Deployer) Deploy(ctx context.Context, dep belay.Deployment) error {
	cfg := d.Config()
	s, ok := cfg.Service(dep.Ref)
	if !ok {
		return belay.Errorf(belay.CodeNotFound, "run the deploy command of %s: it is not configured any more", dep.Ref)
	}
	if len(s.Deploy.Command) == 0 {
		return fmt.Errorf("%w: %w", belay.Errorf(belay.CodeInvalid, "%s has no deploy.command", dep.Ref), watch.ErrNothingChanged)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.Deploy.Timeout, fmt.Errorf("deploy.timeout of %s is over", s.Deploy.Timeout))
	defer cancel()
	argv := s.Deploy.Command
	path := argv[0]
	if strings.Contains(path, "/") && !filepath.IsAbs(path) {
		path = filepath.Join(cfg.Dir, path)
	}
	cmd := exec.CommandContext(ctx, path, argv[1:]...) //nolint:gosec // from the configuration file alone
	cmd.Dir = cfg.Dir
	cmd.Env = append(cmd.Environ(),
		"BELAY_SERVICE="+dep.Service, "BELAY_ENVIRONMENT="+dep.Environment, "BELAY_DEPLOYMENT="+dep.ID,
		"BELAY_VERSION="+dep.Release.Version, "BELAY_COMMIT="+dep.Release.Commit, "BELAY_DIGEST="+dep.Release.Digest,
		"BELAY_PREVIOUS_VERSION="+dep.Previous.Version,
		"BELAY_SLOT="+dep.Slot, "BELAY_PREVIOUS_SLOT="+dep.PreviousSlot, "BELAY_SLOT_ADDRESS="+slotAddress(cfg, s, dep.Slot))
	for k, v := range s.Deploy.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	// A group of its own: at the timeout its children end with it, and ctrl-c on the server does not reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killGrace
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w: %w", argv[0], err, watch.ErrNothingChanged)
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whatever did not listen
		err = context.Cause(ctx)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it ended well; a process that it left running holds its output open, as daemons do
	}
	d.Log.Info("deploy command ended", "service", dep.Service, "deployment", dep.ID, "duration", time.Since(began), "error", err)
	if err != nil {
		if text := out.text(); text != "" {
			return fmt.Errorf("run %s: %w: %s", argv[0], err, text)
		}
		return fmt.Errorf("run %s: %w", argv[0], err)
	}
	return d.announce(ctx, s, dep)
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

// tail keeps the end of a command's output.
type tail struct{ b []byte }

const tailSize = 4 << 10

// Write keeps the last tailSize bytes.
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > tailSize {
		t.b = append([]byte(nil), t.b[len(t.b)-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) text() string { return string(bytes.TrimSpace(t.b)) }
