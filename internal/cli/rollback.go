package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/cli/follow"
)

type rollbackFlags struct {
	environment, to, reason string
	yes, dryRun, detach     bool
}

func (c *cli) rollbackCommand() *cobra.Command {
	var f rollbackFlags
	cmd := &cobra.Command{
		Use:   "rollback SERVICE",
		Short: "Take a service back to its last verified release",
		Long: `Take a service back to its last verified release, or to the one named with --to.

Shows first what will change, from what to what, and asks. --yes does not ask; --dry-run only shows, having looked
at every step's target. The rollback is durable: it goes on when this command, or the server, is killed.`,
		Example: `  belay rollback shop
  belay rollback shop --dry-run
  belay rollback shop --to 1.4.2 --reason "checkout is slow" --yes`,
		Args:              takes(1, 1, "one service"),
		ValidArgsFunction: c.offer(offerServices),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.connect()
			if err != nil {
				return err
			}
			return c.rollback(cmd.Context(), api, f, args[0])
		},
	}
	fs := cmd.Flags()
	fs.StringVarP(&f.environment, "env", "e", "", "`environment` of the service (default: the only one)")
	fs.StringVar(&f.to, "to", "", "`version` to go back to (default: the last verified release)")
	fs.StringVar(&f.reason, "reason", "", "why, for the record")
	fs.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	fs.BoolVar(&f.dryRun, "dry-run", false, "show the plan and what each step's target says now; change nothing")
	fs.BoolVarP(&f.detach, "detach", "d", false, "do not wait for the certificate: print the rollback's id and end")
	cmd.AddCommand(c.abortRollbackCommand())
	return cmd
}

func (c *cli) rollback(ctx context.Context, api *client.Client, f rollbackFlags, service string) error {
	ref, err := resolve(ctx, api, service, f.environment)
	if err != nil {
		return err
	}
	req := belay.RollbackRequest{Ref: ref, To: f.to, Reason: f.reason, Actor: c.actor(), DryRun: true}
	if !f.yes || f.dryRun {
		preview, err := api.Rollback(ctx, req)
		if err != nil {
			return err
		}
		if f.dryRun {
			return c.Print(preview, func() string { return c.planText(preview) })
		}
		if !c.JSON {
			c.Say(c.planText(preview))
		}
		if err := c.Confirm("Roll back " + ref.String() + " from " + preview.Plan.From.String() + " to " + preview.Plan.To.String() + " now?"); err != nil {
			return err
		}
		// What was agreed to is what is done, should a deployment end meanwhile.
		if req.To == "" {
			req.To = preview.Plan.To.Version
		}
	}
	req.DryRun = false
	answer, err := api.Rollback(ctx, req)
	if err != nil {
		return err
	}
	if f.detach {
		return c.Print(answer, func() string { return answer.Rollback + "\n" })
	}
	return follow.Rollback(ctx, api, c.Terminal, answer.Rollback)
}

func (c *cli) abortRollbackCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "abort ROLLBACK",
		Short: "Stop a rollback before its next step",
		Long: `Stop a rollback before its next step. The step that is at work ends first; what was done stays done, and the
rollback ends as aborted: a person decides what comes next.`,
		Example: "  belay rollback abort r-01kdexample",
		Args:    takes(1, 1, "the id of one rollback"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.connect()
			if err != nil {
				return err
			}
			if err := api.AbortRollback(cmd.Context(), args[0], c.actor()); err != nil {
				return err
			}
			return follow.Rollback(cmd.Context(), api, c.Terminal, args[0])
		},
	}
}

func (c *cli) planCommand() *cobra.Command {
	var environment string
	cmd := &cobra.Command{
		Use:   "plan SERVICE",
		Short: "Show the rollback plan that a service would follow now",
		Long: `Show the rollback plan that a service would follow now: the steps in order, what each would act on, how long
each may take, and the next rungs should one fail; and what a watch can see at the traffic of the last ten minutes: how
soon a regression would be called, and health be proven. Nothing is changed.`,
		Example:           "  belay plan shop\n  belay plan shop --output json",
		Args:              takes(1, 1, "one service"),
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
			answer, err := api.Plan(cmd.Context(), ref)
			if err != nil {
				return err
			}
			return c.Print(answer, func() string { return c.planText(answer) })
		},
	}
	cmd.Flags().StringVarP(&environment, "env", "e", "", "`environment` of the service (default: the only one)")
	return cmd
}

func (c *cli) planText(a belay.RollbackAnswer) string {
	text := strings.TrimRight(a.Text, "\n") + "\n"
	if len(a.Looks) > 0 {
		text += "\nNow:\n" + c.Style().Looks(a.Looks)
	}
	if a.Outlook != "" {
		text += "\n" + c.Style().Outlook(a.Outlook)
	}
	return text
}
