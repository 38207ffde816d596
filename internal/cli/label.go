package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
)

func (c *cli) labelCommand() *cobra.Command {
	var reason, environment string
	words := []string{"right", "wrong", "none"}
	offer := c.offer(offerDeployments)
	cmd := &cobra.Command{
		Use:   "label DEPLOYMENT right|wrong|none",
		Short: "Say whether taking a release back, or keeping it, was right",
		Long: `Say of a deployment that has ended whether what was done about it was right: a bad release taken back or a good one
kept is right, a good one taken back or a bad one kept is wrong; none takes the word away. From labels the rates of
false rollbacks and of missed regressions are counted, in "belay history" and "belay backtest". The id may be shortened
as long as it stays unique; the name of a service means its newest deployment. The timeline keeps every word, with your
name.`,
		Example: "  belay label d-01kdexample wrong --reason \"the dashboard was broken\"\n  belay label shop right",
		Args:    takes(2, 2, "a deployment and one of right, wrong, none"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
			}
			return offer(cmd, args, typed)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var word belay.LabelWord
			switch args[1] {
			case "right", "wrong":
				word = belay.LabelWord(args[1])
			case "none":
				word = belay.LabelNone
			default:
				return belay.Errorf(belay.CodeInvalid, "there is no label %q", args[1]).WithNext("use right or wrong, or none to take the label away")
			}
			api, err := c.connect()
			if err != nil {
				return err
			}
			id := args[0]
			if !strings.HasPrefix(id, "d-") {
				d, _, err := find(cmd.Context(), api, deployFlags{environment: environment}, args[:1])
				if err != nil {
					return err
				}
				id = d.ID
			}
			d, err := api.Label(cmd.Context(), id, belay.LabelRequest{Label: word, Actor: c.actor(), Reason: reason})
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
