package cli

import (
	"context"
	"os/user"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
)

// actor says who is at the keyboard, for the audit trail.
func (c *cli) actor() string {
	if v := c.Getenv("BELAY_ACTOR"); v != "" {
		return v
	}
	if c.Getenv("CI") != "" {
		return "ci:" + c.envOr("GITHUB_ACTOR", c.envOr("GITLAB_USER_LOGIN", "pipeline"))
	}
	if u, err := user.Current(); err == nil {
		return "user:" + u.Username
	}
	return "user:unknown"
}

// resolve finds a configured service: in the named environment, or in the only one that it has.
func resolve(ctx context.Context, api *client.Client, service, environment string) (belay.Ref, error) {
	list, err := api.Services(ctx)
	if err != nil {
		return belay.Ref{}, err
	}
	return pick(list, service, environment)
}

// configured refuses a service that has no history and that the server does not know: one that is not configured any more may
// have one, another may be mistyped.
func configured(ctx context.Context, api *client.Client, ref belay.Ref) error {
	all, err := api.Services(ctx)
	if err != nil {
		return err
	}
	if _, err := pick(all, ref.Service, ref.Environment); belay.CodeOf(err) == belay.CodeNotFound {
		return err
	}
	return nil
}

func pick(list []belay.ServiceStatus, service, environment string) (belay.Ref, error) {
	var services, environments []string
	for _, s := range list {
		services = append(services, s.Service)
		if s.Service == service {
			environments = append(environments, s.Environment)
		}
	}
	ref := belay.Ref{Service: service, Environment: environment}
	switch {
	case len(environments) == 0:
		return ref, unknown("service", service, services)
	case environment == "" && len(environments) == 1:
		ref.Environment = environments[0]
		return ref, nil
	case environment == "":
		return ref, belay.Errorf(belay.CodeInvalid, "service %q has several environments", service).
			WithNext("name one with --env: %s", strings.Join(environments, ", "))
	case !slices.Contains(environments, environment):
		return ref, unknown("environment of "+service, environment, environments)
	}
	return ref, nil
}

// unknown is the error for a name that the server does not know, with the nearest one that it does.
func unknown(what, name string, known []string) error {
	slices.Sort(known)
	known = slices.Compact(known)
	e := belay.Errorf(belay.CodeNotFound, "there is no %s %q", what, name)
	near, best := "", len([]rune(name))/3+1
	for _, k := range known {
		if d := distance(name, k); d <= best {
			near, best = k, d-1
		}
	}
	switch {
	case near != "":
		return e.WithNext("did you mean %q?", near)
	case len(known) == 0:
		return e.WithNext("the server has no services; add one to its belay.yaml")
	}
	return e.WithNext("the server knows: %s", strings.Join(known, ", "))
}

// distance is the number of letters to change, add or take away to make b of a.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(y)]
}

type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// offer makes a completer of the first argument. What cannot be read is not offered: completion never fails aloud.
func (c *cli) offer(list func(context.Context, *client.Client) ([]string, error)) completer {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		api, err := c.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names, _ := list(cmd.Context(), api)
		return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

func offerServices(ctx context.Context, api *client.Client) ([]string, error) {
	list, err := api.Services(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range list {
		names = append(names, s.Service)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func offerDeployments(ctx context.Context, api *client.Client) ([]string, error) {
	list, err := api.Deployments(ctx, belay.DeploymentFilter{Limit: 20})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range list {
		names = append(names, d.ID+"\t"+d.String()+" "+d.Release.String()+" "+string(d.State))
	}
	return names, nil
}

func offerBoth(ctx context.Context, api *client.Client) ([]string, error) {
	services, err := offerServices(ctx, api)
	if err != nil {
		return nil, err
	}
	deployments, err := offerDeployments(ctx, api)
	return append(services, deployments...), err
}
