package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/cli/evidence"
	"github.com/belaydev/belay/internal/cli/follow"
	"github.com/belaydev/belay/internal/cli/lookback"
)

func (c *cli) statusCommand() *cobra.Command {
	var environment string
	cmd := &cobra.Command{
		Use:   "status [SERVICE]",
		Short: "What runs where, what is being deployed, and what is wrong",
		Long: `What runs where, what is being deployed, and what is wrong: the verified release of each service, the newest
deployment, health checks, what cannot be seen, releases in quarantine, and warnings about the way back. Of one
service also how far its watch has come, signal by signal, and what a watch can see at the present traffic.`,
		Example:           "  belay status\n  belay status shop --output json",
		Args:              takes(0, 1, "one service"),
		ValidArgsFunction: c.offer(offerServices),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.connect()
			if err != nil {
				return err
			}
			list, err := api.Services(cmd.Context())
			if err != nil {
				return err
			}
			all := list
			list = []belay.ServiceStatus{}
			for _, s := range all {
				if (len(args) == 0 || s.Service == args[0]) && (environment == "" || s.Environment == environment) {
					list = append(list, s)
				}
			}
			if len(list) == 0 && len(args) == 1 {
				if _, err := pick(all, args[0], environment); err != nil {
					return err
				}
			}
			if len(list) == 1 && len(args) == 1 {
				foresee(cmd.Context(), api, &list[0])
			}
			return c.Print(list, func() string { return c.Style().Services(list, time.Now()) })
		},
	}
	cmd.Flags().StringVarP(&environment, "env", "e", "", "only this `environment`")
	return cmd
}

// foresee adds what the watch of a service can see: the one that is under way, or else the next.
func foresee(ctx context.Context, api *client.Client, s *belay.ServiceStatus) {
	if d := s.Deployment; d != nil && !d.State.Final() {
		s.Outlook = d.Outlook
		return
	}
	a, err := api.Plan(ctx, s.Ref)
	if err != nil {
		s.Warnings = append(s.Warnings, "no plan can be made: "+err.Error())
	}
	s.Outlook = a.Outlook
}

func (c *cli) historyCommand() *cobra.Command {
	var environment, before string
	var limit int
	var active bool
	cmd := &cobra.Command{
		Use:   "history [SERVICE]",
		Short: "Past deployments, the newest first",
		Long: `Past deployments, the newest first. --before goes on where an earlier page ended: give it the id of that
page's last line. Under a list with labels ("belay label") stand the rates of false rollbacks and of missed
regressions, with 95 % intervals.`,
		Example:           "  belay history\n  belay history shop --limit 50 --output json\n  belay history --active",
		Args:              takes(0, 1, "one service"),
		ValidArgsFunction: c.offer(offerServices),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 || limit > 1000 {
				return belay.Errorf(belay.CodeInvalid, "--limit %d cannot be", limit).WithNext("use a number from 1 to 1000; --before reads on")
			}
			ctx := cmd.Context()
			api, err := c.connect()
			if err != nil {
				return err
			}
			f := belay.DeploymentFilter{Environment: environment, Active: active, Before: before, Limit: limit}
			if len(args) == 1 {
				f.Service = args[0]
			}
			list, err := api.Deployments(ctx, f)
			if err != nil {
				return err
			}
			if len(list) == 0 && len(args) == 1 {
				if err := configured(ctx, api, belay.Ref{Service: args[0], Environment: environment}); err != nil {
					return err
				}
			}
			return c.Print(list, func() string {
				if len(list) == 0 {
					return "No deployments. Begin one with: belay deploy SERVICE --version VERSION\n"
				}
				return c.Style().History(list, time.Now()) + lookback.Rates(c.Style(), list)
			})
		},
	}
	cmd.Flags().StringVarP(&environment, "env", "e", "", "only this `environment`")
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "at most this `many`")
	cmd.Flags().StringVar(&before, "before", "", "only those older than this `deployment`")
	cmd.Flags().BoolVar(&active, "active", false, "only those that have not ended")
	return cmd
}

func (c *cli) showCommand() *cobra.Command {
	chart := false
	cmd := &cobra.Command{
		Use:   "show DEPLOYMENT | ROLLBACK | SERVICE",
		Short: "Decision card, rollback, certificate and timeline of one deployment",
		Long: `Decision card, rollback, certificate and timeline of one deployment. The id may be shortened as long as it stays
unique; the name of a service means its newest deployment. --chart shows the decision card alone, with small charts of each
signal; --output svg is the same as a picture, which can stand in a pull request.`,
		Example:           "  belay show d-01kdexample\n  belay show shop --chart\n  belay show shop --output json\n  belay show shop --output svg > card.svg",
		Args:              takes(1, 1, "one deployment, rollback or service"),
		Annotations:       map[string]string{evidence.Formats: "svg"},
		ValidArgsFunction: c.offer(offerBoth),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.connect()
			if err != nil {
				return err
			}
			return c.show(cmd.Context(), api, args[0], chart)
		},
	}
	cmd.Flags().BoolVar(&chart, "chart", false, "the decision card with small charts of each signal")
	return cmd
}

func (c *cli) show(ctx context.Context, api *client.Client, id string, chart bool) error {
	if strings.HasPrefix(id, "r-") {
		if chart || c.output == "svg" {
			return belay.Errorf(belay.CodeInvalid, "a rollback has no decision card").WithNext("name the deployment that was taken back")
		}
		r, err := api.GetRollback(ctx, id)
		if err != nil {
			return err
		}
		return c.Print(r, func() string { return c.Style().RollbackFinal(r) })
	}
	id, err := c.newest(ctx, api, id)
	if err != nil {
		return err
	}
	switch {
	case c.output == "svg":
		return api.CardSVG(ctx, id, c.Out)
	case chart:
		d, err := api.Deployment(ctx, id)
		if err != nil {
			return err
		}
		card, err := api.Card(ctx, d.ID)
		if err != nil {
			return err
		}
		return c.Print(card, func() string { return c.Style().Charts(card, d.Release.String(), d.Previous.Version) })
	}
	r, err := follow.Read(ctx, api, id)
	if err != nil {
		return err
	}
	return c.Print(r, func() string { return c.Style().Report(r) })
}

// newest is the id of a deployment: as it was given, or of the newest one of a service.
func (c *cli) newest(ctx context.Context, api *client.Client, name string) (string, error) {
	if strings.HasPrefix(name, "d-") {
		return name, nil
	}
	list, err := api.Deployments(ctx, belay.DeploymentFilter{Service: name, Limit: 1})
	if err != nil {
		return "", err
	}
	if len(list) > 0 {
		return list[0].ID, nil
	}
	all, err := api.Services(ctx)
	if err != nil {
		return "", err
	}
	if _, err := pick(all, name, ""); belay.CodeOf(err) == belay.CodeNotFound {
		return "", err
	}
	return "", belay.Errorf(belay.CodeNotFound, "no deployment of %s is known", name).WithNext("begin one with: belay deploy %s --version VERSION", name)
}
