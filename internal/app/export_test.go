package app

import "github.com/prometheus/client_golang/prometheus"

// Named is named, for tests.
func Named(actor string) string { return named(actor) }

// Registry is that of the app's own metrics, for tests.
func Registry(a *App) *prometheus.Registry { return a.reg }
