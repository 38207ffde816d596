package cli

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"errors"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/cli/exit"
	"github.com/belaydev/belay/internal/cli/follow"
)

// deployFlags are shared by deploy and verify.
type deployFlags struct {
	environment, version, previous, commit, digest, force string
	targets                                               []string
	register, detach, standalone                          bool
	until                                                 string
	timeout                                               time.Duration
}

func (f *deployFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVarP(&f.environment, "env", "e", "", "`environment` of the service (default: the only one)")
	fs.StringVarP(&f.version, "version", "v", "", "`version` of the release, as the application reports it")
	fs.StringVar(&f.previous, "previous", "", "`version` that runs now and is good, when belay does not know it yet")
	fs.StringVar(&f.commit, "commit", "", "source `revision` of the release")
	fs.StringVar(&f.digest, "digest", "", "artifact `digest` of the release")
	fs.StringSliceVarP(&f.targets, "target", "t", nil, "`host:port` of an instance of the new release; may be repeated (default: the configured targets)")
	fs.StringVar(&f.until, "until", "verdict", "wait until the `verdict` or the end of the bake: verdict, end")
	fs.DurationVar(&f.timeout, "timeout", 0, "give up waiting after this `time`; the deployment goes on (default: never)")
	fs.BoolVar(&f.standalone, "standalone", false, "run the whole engine in this process, without a server")
	fs.StringVar(&f.force, "force", "", "override a refusal, for this recorded `reason`")
	_ = cmd.RegisterFlagCompletionFunc("until", cobra.FixedCompletions([]string{"verdict", "end"}, cobra.ShellCompDirectiveNoFileComp))
}

func (f *deployFlags) check() error {
	switch {
	case f.until != "verdict" && f.until != "end":
		return belay.Errorf(belay.CodeInvalid, "--until %q is unknown", f.until).WithNext("use verdict or end")
	case f.timeout < 0:
		return belay.Errorf(belay.CodeInvalid, "--timeout %s is negative", f.timeout).WithNext("use a time such as 15m, or leave it out to wait for ever")
	case f.standalone && f.detach:
		return belay.Errorf(belay.CodeInvalid, "--standalone ends with this command, so there is nothing to detach from").
			WithNext("leave out one of --standalone and --detach")
	}
	return nil
}

func (f *deployFlags) request(ref belay.Ref, actor string) belay.DeployRequest {
	req := belay.DeployRequest{
		Ref: ref, Actor: actor, Register: f.register, Force: f.force, Previous: f.previous,
		Release: belay.Release{Version: f.version, Commit: f.commit, Digest: f.digest},
	}
	for _, t := range f.targets {
		req.Targets = append(req.Targets, belay.Target{Address: t})
	}
	return req
}

func (c *cli) follow(ctx context.Context, api *client.Client, id string, f deployFlags) error {
	return follow.Deployment(ctx, follow.Options{
		API: api, Term: c.Terminal, ID: id, ToEnd: f.until == "end", Timeout: f.timeout, Alone: f.standalone,
	})
}

func (c *cli) deployCommand() *cobra.Command {
	var f deployFlags
	cmd := &cobra.Command{
		Use:   "deploy SERVICE --version VERSION [-- COMMAND...]",
		Short: "Deploy a release and watch it until the verdict",
		Long: `Deploy a release and watch it until the verdict.

Without more, the server runs the service's deploy.command from belay.yaml, with the version and the slot in its
environment, and moves traffic along rollout.steps. With "-- COMMAND..." the command is run here instead, as you.
With --register nothing is run: your pipeline has deployed by itself and belay only watches.`,
		Example: `  belay deploy shop --version 1.5.0
  belay deploy shop --version 1.5.0 --env staging --until end
  belay deploy shop --version 1.5.0 -- ./deploy.sh 1.5.0
  belay deploy shop --version 1.5.0 --register --target 10.0.0.7:8000 --detach
  belay deploy shop --version 1.5.0 --standalone          # in a CI job, no server`,
		Args:              serviceAndCommand,
		ValidArgsFunction: c.offer(offerServices),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.version == "" && f.digest == "" {
				return belay.Errorf(belay.CodeInvalid, "a deployment needs the version that is deployed").WithNext("add --version VERSION")
			}
			if err := f.check(); err != nil {
				return err
			}
			if f.register && len(args) > 1 {
				return belay.Errorf(belay.CodeInvalid, "--register means that nothing is run here, yet a command is given after \"--\"").
					WithNext("leave out one of them")
			}
			return c.with(cmd.Context(), f.standalone, func(ctx context.Context, api *client.Client) error {
				return c.deploy(ctx, api, f, args)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.register, "register", false, "only watch: somebody else deploys")
	cmd.Flags().BoolVarP(&f.detach, "detach", "d", false, "do not wait: print the deployment's id and end")
	return cmd
}

// serviceAndCommand accepts one service, and a command after "--".
func serviceAndCommand(cmd *cobra.Command, args []string) error {
	n, command := len(args), false
	if i := cmd.ArgsLenAtDash(); i >= 0 {
		n, command = i, true
	}
	switch {
	case n != 1:
		return belay.Errorf(belay.CodeInvalid, "%q needs the name of one service, got %d", cmd.CommandPath(), n).WithNext("write %q", cmd.UseLine())
	case command && len(args) == n:
		return belay.Errorf(belay.CodeInvalid, "there is no command after \"--\"").WithNext("write %q", cmd.UseLine())
	}
	return nil
}

func (c *cli) deploy(ctx context.Context, api *client.Client, f deployFlags, args []string) error {
	ref, err := resolve(ctx, api, args[0], f.environment)
	if err != nil {
		return err
	}
	req := f.request(ref, c.actor())
	command := args[1:]
	if len(command) > 0 {
		if err := runnable(command[0]); err != nil {
			return err
		}
		req.Register, req.Started = true, true
	}
	d, err := api.Deploy(ctx, req)
	if err != nil {
		return err
	}
	if len(command) > 0 {
		if err := c.runHere(ctx, api, d, command); err != nil {
			return err
		}
	}
	if f.detach {
		return c.Print(d, func() string { return d.ID + "\n" })
	}
	return c.follow(ctx, api, d.ID, f)
}

// runnable finds out that a command cannot be run before a deployment is begun for it.
func runnable(name string) error {
	_, err := exec.LookPath(name)
	if err == nil || errors.Is(err, exec.ErrDot) {
		return nil
	}
	e := belay.Errorf(belay.CodeInvalid, "cannot run %s: %w", name, errors.Unwrap(err))
	if errors.Is(err, fs.ErrPermission) {
		return e.WithNext("make it executable: chmod +x %s", name)
	}
	return e.WithNext("name a program that is in PATH, or a path such as ./deploy.sh; nothing was begun")
}

const (
	killGrace   = 10 * time.Second // between asking the command to end and ending it
	tellTimeout = 10 * time.Second // for telling the server, when this command is interrupted
)

// runHere runs the deploy command here, as the caller, and tells the server how it ended.
func (c *cli) runHere(ctx context.Context, api *client.Client, d belay.Deployment, command []string) error {
	run := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the caller's own command line
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	run.WaitDelay = killGrace
	run.Stdout, run.Stderr = c.Err, c.Err // standard output is for the verdict
	run.Env = append(run.Environ(),
		"BELAY_DEPLOYMENT="+d.ID, "BELAY_SERVICE="+d.Service, "BELAY_ENVIRONMENT="+d.Environment,
		"BELAY_VERSION="+d.Release.Version, "BELAY_COMMIT="+d.Release.Commit, "BELAY_DIGEST="+d.Release.Digest,
		"BELAY_PREVIOUS_VERSION="+d.Previous.Version, "BELAY_SLOT="+d.Slot, "BELAY_PREVIOUS_SLOT="+d.PreviousSlot)
	req := belay.ActRequest{Act: belay.ActDeployed, Actor: c.actor(), Reason: strings.Join(command, " ")}
	if err := run.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		req.Act, req.Reason = belay.ActFailed, fmt.Sprintf("%s: %v", strings.Join(command, " "), err)
		c.Warn("the deploy command failed: %v", err)
	}
	// The server must learn of it even when the user interrupts.
	tctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer cancel()
	_, err := api.Act(tctx, d.ID, req)
	switch {
	case belay.CodeOf(err) == belay.CodeConflict:
		return nil // it was taken back, or superseded, meanwhile: following shows it
	case err != nil:
		return fmt.Errorf("tell the server how the deploy command of %s ended: %w", d.ID, err)
	}
	return nil
}

func (c *cli) verifyCommand() *cobra.Command {
	var f deployFlags
	cmd := &cobra.Command{
		Use:   "verify [SERVICE | DEPLOYMENT]",
		Short: "Wait for the verdict on a deployment, with live progress",
		Long: `Wait for the verdict on a deployment, with live progress: signals, evidence, time left.

Names a deployment by its id, or by its service for the active one. With --version, and when no deployment of that
version is active, the release is registered first: this is all that a pipeline which deploys by itself needs.
With --standalone the whole engine runs in this process, and a server is not needed.

Exit codes: ` + exit.Summary() + ".",
		Example: `  belay verify shop
  belay verify d-01kdexample
  belay verify shop --version 1.5.0 --output json
  belay verify shop --version 1.5.0 --standalone --timeout 15m`,
		Args:              takes(0, 1, "one service or deployment"),
		ValidArgsFunction: c.offer(offerBoth),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return c.with(cmd.Context(), f.standalone, func(ctx context.Context, api *client.Client) error {
				d, err := c.toVerify(ctx, api, f, args)
				if err != nil {
					return err
				}
				return c.follow(ctx, api, d.ID, f)
			})
		},
	}
	f.add(cmd)
	return cmd
}

// toVerify finds the deployment that is meant, registering it when a version is named that nobody deploys.
func (c *cli) toVerify(ctx context.Context, api *client.Client, f deployFlags, args []string) (belay.Deployment, error) {
	d, found, err := find(ctx, api, f, args)
	if err != nil || found {
		return d, err
	}
	if len(args) == 0 {
		return d, belay.Errorf(belay.CodeInvalid, "--version needs the name of the service").WithNext("belay verify SERVICE --version %s", f.version)
	}
	f.register = true
	return api.Deploy(ctx, f.request(d.Ref, c.actor()))
}

// find finds a deployment by id, or the active one, or, when no version is named, the newest one of a service.
// Without one it is not found and only its Ref is known.
func find(ctx context.Context, api *client.Client, f deployFlags, args []string) (d belay.Deployment, found bool, err error) {
	if len(args) == 1 && strings.HasPrefix(args[0], "d-") {
		d, err = api.Deployment(ctx, args[0])
		return d, err == nil, err
	}
	filter := belay.DeploymentFilter{Environment: f.environment, Active: true, Limit: 100}
	if len(args) == 1 {
		if d.Ref, err = resolve(ctx, api, args[0], f.environment); err != nil {
			return d, false, err
		}
		filter.Service, filter.Environment = d.Service, d.Environment
	}
	active, err := api.Deployments(ctx, filter)
	if err != nil {
		return d, false, err
	}
	named := f.version != "" || f.digest != ""
	var matching []belay.Deployment
	for _, a := range active {
		if (f.version == "" || a.Release.Version == f.version) && (f.digest == "" || a.Release.Digest == f.digest) {
			matching = append(matching, a)
		}
	}
	switch {
	case len(matching) > 1 && len(args) == 0:
		return d, false, belay.Errorf(belay.CodeInvalid, "%d deployments are active", len(matching)).
			WithNext("name a service or a deployment: belay history lists them")
	case len(matching) > 0:
		return matching[0], true, nil
	case named:
		return d, false, nil
	}
	none := belay.Errorf(belay.CodeNotFound, "no deployment is active").
		WithNext("begin one with belay deploy, or name --version to register one that your pipeline made")
	if len(args) == 0 {
		return d, false, none
	}
	filter.Active, filter.Limit = false, 1
	newest, err := api.Deployments(ctx, filter)
	if err != nil {
		return d, false, err
	}
	if len(newest) == 0 {
		none.Message = "no deployment of " + d.String() + " is known"
		return d, false, none
	}
	return newest[0], true, nil
}
