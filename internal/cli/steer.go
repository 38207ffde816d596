package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
)

func (c *cli) actCommands() []*cobra.Command {
	return []*cobra.Command{
		c.actCommand(belay.ActPause, "Stop the clock and the traffic steps of a deployment",
			`Stop the clock and the traffic steps of a deployment. It is still observed and judged: a release that is clearly
worse is taken back even while paused.`),
		c.actCommand(belay.ActResume, "Go on with a paused or held deployment", "Go on with a paused or held deployment."),
		c.actCommand(belay.ActPromote, "Give a deployment all traffic and call it good",
			`Give a deployment all traffic and call it good, skipping what is left of the watch and the bake. Recorded with
your name.`),
		c.actCommand(belay.ActAbort, "Take a deployment back now",
			`Take a deployment back now, by its service's rollback plan. Ends at once; "belay verify" follows the rollback.`),
	}
}

func (c *cli) actCommand(act belay.Act, short, long string) *cobra.Command {
	var reason, environment string
	cmd := &cobra.Command{
		Use:               string(act) + " DEPLOYMENT | SERVICE",
		Short:             short,
		Long:              long,
		Example:           fmt.Sprintf("  belay %s shop --reason \"looking into it\"\n  belay %s d-01kdexample", act, act),
		Args:              takes(1, 1, "one deployment or service"),
		ValidArgsFunction: c.offer(offerBoth),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.connect()
			if err != nil {
				return err
			}
			d, _, err := find(cmd.Context(), api, deployFlags{environment: environment}, args)
			if err != nil {
				return err
			}
			d, err = api.Act(cmd.Context(), d.ID, belay.ActRequest{Act: act, Actor: c.actor(), Reason: reason})
			if err != nil {
				return err
			}
			return c.Print(d, func() string { return c.Style().Head(d) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	cmd.Flags().StringVarP(&environment, "env", "e", "", "`environment` of the service (default: the only one)")
	return cmd
}

func (c *cli) liftCommand() *cobra.Command {
	var environment string
	cmd := &cobra.Command{
		Use:   "lift SERVICE RELEASE",
		Short: "Lift the quarantine of a release that was rolled back",
		Long: `Lift the quarantine of a release that was rolled back, so that it may be deployed again. RELEASE is its version, or
its digest when it has one; belay status lists what is in quarantine.`,
		Example:           "  belay lift shop 1.5.0",
		Args:              takes(2, 2, "a service and a release"),
		ValidArgsFunction: c.offer(offerServices),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.connect()
			if err != nil {
				return err
			}
			ref, err := resolve(cmd.Context(), api, args[0], environment)
			if err != nil {
				return err
			}
			if err := api.LiftQuarantine(cmd.Context(), ref, args[1], c.actor()); err != nil {
				return err
			}
			lifted := map[string]string{"service": ref.Service, "environment": ref.Environment, "lifted": args[1]}
			return c.Print(lifted, func() string { return fmt.Sprintf("%s may be deployed to %s again.\n", args[1], ref) })
		},
	}
	cmd.Flags().StringVarP(&environment, "env", "e", "", "`environment` of the service (default: the only one)")
	return cmd
}
