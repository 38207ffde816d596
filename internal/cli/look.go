package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
)

func (c *cli) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "status [SERVICE]",
		Short:             "What runs where, what is being deployed, and what is wrong",
		Example:           "  belay status\n  belay status shop --output json",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			list, err := api.Services(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 1 {
				ref, err := pick(list, args[0])
				if belay.CodeOf(err) == belay.CodeNotFound {
					return err
				}
				kept := list[:0]
				for _, s := range list {
					if s.Service == args[0] || s.Ref == ref {
						kept = append(kept, s)
					}
				}
				list = kept
			}
			return c.print(list, func() { fmt.Fprint(c.Stdout, c.style().Services(list, time.Now())) })
		},
	}
}

func (c *cli) historyCommand() *cobra.Command {
	var environment string
	var limit int
	cmd := &cobra.Command{
		Use:               "history [SERVICE]",
		Short:             "Past deployments, the newest first",
		Example:           "  belay history\n  belay history shop --limit 50 --output json",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			f := belay.DeploymentFilter{Environment: environment, Limit: limit}
			if len(args) == 1 {
				f.Service = args[0]
			}
			list, err := api.Deployments(cmd.Context(), f)
			if err != nil {
				return err
			}
			return c.print(list, func() {
				if len(list) == 0 {
					fmt.Fprintln(c.Stdout, "No deployments yet. Begin one with: belay deploy SERVICE --version VERSION")
					return
				}
				fmt.Fprint(c.Stdout, c.style().History(list, time.Now()))
			})
		},
	}
	cmd.Flags().StringVarP(&environment, "env", "e", "", "only this `environment`")
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "at most this `many`")
	return cmd
}

func (c *cli) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show DEPLOYMENT | ROLLBACK",
		Short: "Decision card, rollback, certificate and timeline of one deployment",
		Long: `Decision card, rollback, certificate and timeline of one deployment. The id may be shortened as long as it stays
unique; the name of a service means its newest deployment.`,
		Example:           "  belay show d-01kdexample\n  belay show shop --output json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeDeployments,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			return c.show(cmd.Context(), api, args[0])
		},
	}
}

func (c *cli) show(ctx context.Context, api *client.Client, id string) error {
	if strings.HasPrefix(id, "r-") {
		r, err := api.GetRollback(ctx, id)
		if err != nil {
			return err
		}
		return c.print(r, func() {
			s := c.style()
			fmt.Fprint(c.Stdout, s.Rollback(r))
			if r.Certificate != nil {
				fmt.Fprint(c.Stdout, "\n"+s.Certificate(*r.Certificate))
			}
		})
	}
	d, err := api.Deployment(ctx, id)
	if belay.CodeOf(err) == belay.CodeNotFound && !strings.HasPrefix(id, "d-") {
		list, lerr := api.Deployments(ctx, belay.DeploymentFilter{Service: id, Limit: 1})
		if lerr != nil {
			return lerr
		}
		if len(list) == 1 {
			d, err = list[0], nil
		}
	}
	if err != nil {
		return err
	}
	rep := report{Deployment: d}
	if rep.Timeline, err = api.Timeline(ctx, d.ID); err != nil {
		return err
	}
	if d.Rollback != "" {
		r, err := api.GetRollback(ctx, d.Rollback)
		if err != nil {
			return err
		}
		rep.Rollback = &r
	}
	return c.print(rep, func() { c.drawReport(rep) })
}

func (c *cli) drawReport(rep report) {
	s, d := c.style(), rep.Deployment
	fmt.Fprint(c.Stdout, s.Head(d))
	if d.Card != nil {
		fmt.Fprint(c.Stdout, "\n"+s.Card(*d.Card, d.Release, d.Previous))
	}
	if rep.Rollback != nil {
		fmt.Fprint(c.Stdout, "\n"+s.Rollback(*rep.Rollback))
		if rep.Rollback.Certificate != nil {
			fmt.Fprint(c.Stdout, "\n"+s.Certificate(*rep.Rollback.Certificate))
		}
	}
	fmt.Fprintln(c.Stdout)
	for _, e := range rep.Timeline {
		fmt.Fprintln(c.Stdout, s.EventLine(e, d.CreatedAt))
	}
}

func (c *cli) actCommands() []*cobra.Command {
	mk := func(act belay.Act, short, long string) *cobra.Command {
		var reason string
		cmd := &cobra.Command{
			Use:   string(act) + " DEPLOYMENT | SERVICE",
			Short: short,
			Long:  long,
			Args:  cobra.ExactArgs(1),
			ValidArgsFunction: func(cmd *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
				return c.completeDeployments(cmd, args, s)
			},
			RunE: func(cmd *cobra.Command, args []string) error {
				api, err := c.client()
				if err != nil {
					return err
				}
				id, err := c.toVerify(cmd.Context(), api, deployFlags{}, args)
				if err != nil {
					return err
				}
				d, err := api.Act(cmd.Context(), id, belay.ActRequest{Act: act, Actor: c.actor(), Reason: reason})
				if err != nil {
					return err
				}
				return c.print(d, func() { fmt.Fprint(c.Stdout, c.style().Head(d)) })
			},
		}
		cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
		return cmd
	}
	return []*cobra.Command{
		mk(belay.ActPause, "Stop the clock and the traffic steps of a deployment",
			"Stop the clock and the traffic steps of a deployment. It is still observed and judged: a release that is clearly worse is taken back even while paused."),
		mk(belay.ActResume, "Go on with a paused or held deployment", "Go on with a paused or held deployment."),
		mk(belay.ActPromote, "Give a deployment all traffic and call it good", "Give a deployment all traffic and call it good, skipping what is left of the watch and the bake. Recorded with your name."),
		mk(belay.ActAbort, "Take a deployment back now", "Take a deployment back now, by its service's rollback plan."),
	}
}
