// Package past finds past deployments for a backtest: in the history of a belay, in the memory of a
// Prometheus-compatible server, or in a folder of evidence streams; and it turns sections of the configuration into the
// rules that they are replayed through. It is part of the composition root. It judges nothing and changes nothing.
package past
