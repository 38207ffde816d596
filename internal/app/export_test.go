package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
)

// Named is named, for tests.
func Named(actor string) string { return named(actor) }

// Registry is that of the app's own metrics, for tests.
func Registry(a *App) *prometheus.Registry { return a.reg }

// Probe is probe, for tests.
func Probe(write func([]byte) (int, error), sync func() error) error { return probe(write, sync) }

// Knew makes it so that something was learned of a service, for tests.
func Knew(ctx context.Context, a *App, ref belay.Ref, l belay.Learned) error {
	return a.store.SetLearned(ctx, ref, l)
}
