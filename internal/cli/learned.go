package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/usual"
)

func (c *cli) learnedCommand() *cobra.Command {
	var environment string
	var forget, yes bool
	cmd := &cobra.Command{
		Use:   "learned SERVICE",
		Short: "What belay has learned of a service, and what its next watch goes by",
		Long: `What belay has learned of a service while nothing was deployed: by how much its instances differ (margin), and in
what clumps its bad events come (dispersion); for each, whether it was learned, is assumed, or was set by hand, and
what it means. With --forget all of it is forgotten, and learning begins anew: after the service itself has changed.`,
		Example:           "  belay learned shop\n  belay learned shop --output json\n  belay learned shop --forget",
		Args:              takes(1, 1, "one service"),
		ValidArgsFunction: c.offer(offerServices),
		RunE: func(cmd *cobra.Command, args []string) error {
			if yes && !forget {
				return belay.Errorf(belay.CodeInvalid, "--yes goes with --forget")
			}
			api, err := c.connect()
			if err != nil {
				return err
			}
			ref, err := resolve(cmd.Context(), api, args[0], environment)
			if err != nil {
				return err
			}
			learned, err := api.Learned(cmd.Context(), ref)
			if err == nil && forget {
				if !yes {
					if err := c.Confirm("Forget all that was learned of " + ref.String() + "?"); err != nil {
						return err
					}
				}
				learned, err = api.Forget(cmd.Context(), ref, c.actor())
			}
			if err != nil {
				return err
			}
			return c.Print(learned, func() string { return usual.Text(c.Style(), learned, time.Now()) })
		},
	}
	cmd.Flags().StringVarP(&environment, "env", "e", "", "`environment` of the service (default: the only one)")
	cmd.Flags().BoolVar(&forget, "forget", false, "forget all of it and begin anew")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "forget without asking")
	return cmd
}
