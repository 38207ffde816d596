package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
)

func (c *cli) rollbackCommand() *cobra.Command {
	var environment, to, reason string
	var yes, dryRun, detach bool
	cmd := &cobra.Command{
		Use:   "rollback SERVICE",
		Short: "Take a service back to its last verified release",
		Long: `Take a service back to its last verified release, or to the one named with --to.

Shows first what will change, from what to what, and asks. --yes does not ask; --dry-run only shows, having looked
at every step's target. The rollback is durable: it goes on when this command, or the server, is killed.`,
		Example: `  belay rollback shop
  belay rollback shop --dry-run
  belay rollback shop --to 1.4.2 --reason "checkout is slow" --yes`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			api, err := c.client()
			if err != nil {
				return err
			}
			ref, err := c.resolve(ctx, api, args[0], environment)
			if err != nil {
				return err
			}
			req := belay.RollbackRequest{Ref: ref, To: to, Reason: reason, Actor: c.actor(), DryRun: true}
			if !yes || dryRun {
				preview, err := api.Rollback(ctx, req)
				if err != nil {
					return err
				}
				if dryRun {
					return c.print(preview, func() { c.drawPlan(preview) })
				}
				c.drawPlan(preview)
				if err := c.confirm("Roll back " + ref.String() + " now?"); err != nil {
					return err
				}
			}
			req.DryRun = false
			answer, err := api.Rollback(ctx, req)
			if err != nil {
				return err
			}
			if detach {
				return c.print(answer, func() { fmt.Fprintln(c.Stdout, answer.Rollback) })
			}
			return c.followRollback(ctx, api, answer.Rollback)
		},
	}
	fs := cmd.Flags()
	fs.StringVarP(&environment, "env", "e", "", "`environment` of the service (default: the only one)")
	fs.StringVar(&to, "to", "", "`version` to go back to (default: the last verified release)")
	fs.StringVar(&reason, "reason", "", "why, for the record")
	fs.BoolVarP(&yes, "yes", "y", false, "do not ask")
	fs.BoolVar(&dryRun, "dry-run", false, "show the plan and what each step's target says now; change nothing")
	fs.BoolVarP(&detach, "detach", "d", false, "do not wait for the certificate")
	abort := &cobra.Command{
		Use:   "abort ROLLBACK",
		Short: "Stop a rollback before its next step",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			if err := api.AbortRollback(cmd.Context(), args[0], c.actor()); err != nil {
				return err
			}
			return c.followRollback(cmd.Context(), api, args[0])
		},
	}
	cmd.AddCommand(abort)
	return cmd
}

// confirm asks on a terminal; without one it refuses, because nobody can have agreed.
func (c *cli) confirm(question string) error {
	if f, ok := c.Stdin.(*os.File); !ok || !term.IsTerminal(f.Fd()) {
		return belay.Errorf(belay.CodeInvalid, "nobody is there to confirm").WithNext("add --yes to go on without asking")
	}
	fmt.Fprintf(c.Stdout, "\n%s [y/N] ", question)
	line, err := bufio.NewReader(c.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(line)); a != "y" && a != "yes" {
		fmt.Fprintln(c.Stdout, "Nothing was changed.")
		return outcome(ExitRefused)
	}
	return nil
}

// followRollback shows a rollback until it ends; the outcome gives the exit code.
func (c *cli) followRollback(ctx context.Context, api *client.Client, id string) error {
	var last belay.Rollback
	drawn, lost := 0, time.Time{}
	for {
		err := api.WatchRollback(ctx, id, func(r belay.Rollback) bool {
			last, lost = r, time.Time{}
			if c.live() {
				drawn = c.redrawRollback(r, drawn)
			}
			return !r.State.Final()
		})
		if last.State.Final() {
			break
		}
		if ctx.Err() != nil {
			fmt.Fprintf(c.Stderr, "belay: interrupted; the rollback goes on: belay show %s\n", id)
			return outcome(ExitInterrupted)
		}
		if err != nil && belay.CodeOf(err) != belay.CodeUnavailable {
			return err
		}
		if lost.IsZero() {
			lost = time.Now()
		} else if time.Since(lost) > reconnectFor {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
	if err := c.print(last, func() {
		s := c.style()
		if !c.live() {
			fmt.Fprint(c.Stdout, s.Rollback(last))
		}
		if last.Certificate != nil {
			fmt.Fprint(c.Stdout, "\n"+s.Certificate(*last.Certificate))
		}
	}); err != nil {
		return err
	}
	if last.State != belay.RollbackVerified {
		return outcome(ExitIncomplete)
	}
	return nil
}

func (c *cli) redrawRollback(r belay.Rollback, drawn int) int {
	text := c.style().Rollback(r)
	if drawn > 0 {
		fmt.Fprintf(c.Stdout, "\x1b[%dA\r\x1b[J", drawn)
	}
	fmt.Fprint(c.Stdout, text)
	return strings.Count(text, "\n")
}

func (c *cli) planCommand() *cobra.Command {
	var environment string
	cmd := &cobra.Command{
		Use:   "plan SERVICE",
		Short: "Show the rollback plan that a service would follow now",
		Long: `Show the rollback plan that a service would follow now: the steps in order, what each would act on, how long
each may take, and the next rungs should one fail. Nothing is changed.`,
		Example:           "  belay plan shop\n  belay plan shop --output json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.client()
			if err != nil {
				return err
			}
			ref, err := c.resolve(cmd.Context(), api, args[0], environment)
			if err != nil {
				return err
			}
			answer, err := api.Plan(cmd.Context(), ref)
			if err != nil {
				return err
			}
			return c.print(answer, func() { c.drawPlan(answer) })
		},
	}
	cmd.Flags().StringVarP(&environment, "env", "e", "", "`environment` of the service (default: the only one)")
	return cmd
}

func (c *cli) drawPlan(a belay.RollbackAnswer) {
	fmt.Fprint(c.Stdout, strings.TrimRight(a.Text, "\n")+"\n")
	if len(a.Looks) > 0 {
		fmt.Fprint(c.Stdout, "\nNow:\n"+c.style().Looks(a.Looks))
	}
}
