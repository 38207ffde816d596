package app

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Named is named, for tests.
func Named(actor string) string { return named(actor) }

// Registry is that of the app's own metrics, for tests.
func Registry(a *App) *prometheus.Registry { return a.reg }

// Probe is probe, for tests.
func Probe(write func([]byte) (int, error), sync func() error) error { return probe(write, sync) }
