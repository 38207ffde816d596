package cli

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
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
	if f.until != "verdict" && f.until != "end" {
		return belay.Errorf(belay.CodeInvalid, "--until %q is unknown", f.until).WithNext("use verdict or end")
	}
	return nil
}

func (f *deployFlags) request(c *cli, ref belay.Ref) belay.DeployRequest {
	req := belay.DeployRequest{
		Ref: ref, Actor: c.actor(), Register: f.register, Force: f.force, Previous: f.previous,
		Release: belay.Release{Version: f.version, Commit: f.commit, Digest: f.digest},
	}
	for _, t := range f.targets {
		req.Targets = append(req.Targets, belay.Target{Address: t})
	}
	return req
}

func (c *cli) deployCommand() *cobra.Command {
	var f deployFlags
	cmd := &cobra.Command{
		Use:   "deploy SERVICE --version VERSION [-- COMMAND...]",
		Short: "Deploy a release and watch it until the verdict",
		Long: `Deploy a release and watch it until the verdict.

Without more, the server runs the service's deploy.command from belay.yaml, with the version and the slot in its
environment, and moves traffic along rollout.steps. With "-- COMMAND..." the command is run here instead, as you.
With --register nothing is run: your pipeline has deployed (or deploys) by itself and belay only watches.`,
		Example: `  belay deploy shop --version 1.5.0
  belay deploy shop --version 1.5.0 --env staging --until end
  belay deploy shop --version 1.5.0 -- ./deploy.sh 1.5.0
  belay deploy shop --version 1.5.0 --register --target 10.0.0.7:8000 --detach
  belay deploy shop --version 1.5.0 --standalone          # in a CI job, no server`,
		Args:              serviceAndCommand,
		ValidArgsFunction: c.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.version == "" && f.digest == "" {
				return belay.Errorf(belay.CodeInvalid, "a deployment needs a version").WithNext("add --version")
			}
			if err := f.check(); err != nil {
				return err
			}
			if f.standalone && f.detach {
				return belay.Errorf(belay.CodeInvalid, "--standalone ends with this command, so there is nothing to detach from").
					WithNext("leave out one of --standalone and --detach")
			}
			return c.withEngine(cmd.Context(), f.standalone, func(ctx context.Context, api *client.Client) error {
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
	n := len(args)
	if i := cmd.ArgsLenAtDash(); i >= 0 {
		n = i
	}
	if n != 1 {
		return belay.Errorf(belay.CodeInvalid, "%q needs the name of one service", cmd.CommandPath()).WithNext("see %q", cmd.CommandPath()+" --help")
	}
	return nil
}

func (c *cli) deploy(ctx context.Context, api *client.Client, f deployFlags, args []string) error {
	ref, err := c.resolve(ctx, api, args[0], f.environment)
	if err != nil {
		return err
	}
	req := f.request(c, ref)
	command := args[1:]
	if len(command) > 0 {
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
		return c.print(d, func() { fmt.Fprintln(c.Stdout, d.ID) })
	}
	fl := &follower{c: c, api: api, id: d.ID, toEnd: f.until == "end", timeout: f.timeout}
	return fl.run(ctx)
}

// runHere runs the deploy command in this process's place and tells the server how it ended.
func (c *cli) runHere(ctx context.Context, api *client.Client, d belay.Deployment, command []string) error {
	run := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the caller's own command line
	run.Stdout, run.Stderr = c.Stderr, c.Stderr
	run.Env = append(run.Environ(),
		"BELAY_DEPLOYMENT="+d.ID, "BELAY_SERVICE="+d.Service, "BELAY_ENVIRONMENT="+d.Environment,
		"BELAY_VERSION="+d.Release.Version, "BELAY_PREVIOUS_VERSION="+d.Previous.Version,
		"BELAY_SLOT="+d.Slot, "BELAY_PREVIOUS_SLOT="+d.PreviousSlot)
	req := belay.ActRequest{Act: belay.ActDeployed, Actor: c.actor(), Reason: strings.Join(command, " ")}
	runErr := run.Run()
	if runErr != nil {
		req.Act, req.Reason = belay.ActFailed, fmt.Sprintf("%s: %v", strings.Join(command, " "), runErr)
	}
	// The server must learn of it even when the user interrupts.
	if _, err := api.Act(context.WithoutCancel(ctx), d.ID, req); err != nil {
		return fmt.Errorf("tell the server how the deploy command ended: %w", err)
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

Exit codes: ` + exitCodesShort,
		Example: `  belay verify shop
  belay verify d-01kdexample
  belay verify shop --version 1.5.0 --output json
  belay verify shop --version 1.5.0 --standalone --timeout 15m`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
			services, _ := c.completeServices(cmd, args, s)
			ids, _ := c.completeDeployments(cmd, args, s)
			return append(services, ids...), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return c.withEngine(cmd.Context(), f.standalone, func(ctx context.Context, api *client.Client) error {
				id, err := c.toVerify(ctx, api, f, args)
				if err != nil {
					return err
				}
				fl := &follower{c: c, api: api, id: id, toEnd: f.until == "end", timeout: f.timeout}
				return fl.run(ctx)
			})
		},
	}
	f.add(cmd)
	return cmd
}

// toVerify finds the deployment that is meant, registering it when a version is named that nobody deploys.
func (c *cli) toVerify(ctx context.Context, api *client.Client, f deployFlags, args []string) (string, error) {
	if len(args) == 1 && strings.HasPrefix(args[0], "d-") {
		d, err := api.Deployment(ctx, args[0])
		return d.ID, err
	}
	filter := belay.DeploymentFilter{Environment: f.environment, Limit: 2}
	if len(args) == 1 {
		ref, err := c.resolve(ctx, api, args[0], f.environment)
		if err != nil {
			return "", err
		}
		filter.Service, filter.Environment = ref.Service, ref.Environment
	}
	filter.Active = true
	active, err := api.Deployments(ctx, filter)
	if err != nil {
		return "", err
	}
	for _, d := range active {
		if f.version == "" && f.digest == "" || d.Release.Version == f.version && (f.digest == "" || d.Release.Digest == f.digest) {
			if f.version == "" && len(active) > 1 {
				return "", belay.Errorf(belay.CodeInvalid, "several deployments are active").WithNext("name a service or a deployment: belay status lists them")
			}
			return d.ID, nil
		}
	}
	if f.version == "" && f.digest == "" {
		filter.Active, filter.Limit = false, 1
		newest, err := api.Deployments(ctx, filter)
		if err != nil {
			return "", err
		}
		if len(newest) == 0 || len(args) == 0 {
			return "", belay.Errorf(belay.CodeNotFound, "no deployment is active").
				WithNext("begin one with belay deploy, or name --version to register one that your pipeline made")
		}
		return newest[0].ID, nil
	}
	if len(args) == 0 {
		return "", belay.Errorf(belay.CodeInvalid, "--version needs the name of the service").WithNext("belay verify SERVICE --version %s", f.version)
	}
	f.register = true
	d, err := api.Deploy(ctx, f.request(c, belay.Ref{Service: filter.Service, Environment: filter.Environment}))
	return d.ID, err
}
