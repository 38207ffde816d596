package main

import (
	"context"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
)

// newest reads the last deployment and its rollback through the public client.
func (d *director) newest(ctx context.Context) (belay.Deployment, *belay.Rollback, error) {
	api, err := client.New(serverURL)
	if err != nil {
		return belay.Deployment{}, nil, err
	}
	list, err := api.Deployments(ctx, belay.DeploymentFilter{Service: "shop", Limit: 1})
	if err != nil || len(list) == 0 {
		return belay.Deployment{}, nil, err
	}
	if list[0].Rollback == "" {
		return list[0], nil, nil
	}
	r, err := api.GetRollback(ctx, list[0].Rollback)
	return list[0], &r, err
}
