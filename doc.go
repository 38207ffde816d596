// Package belay is the vocabulary of a deployment: service, release, deployment, signal, verdict, plan,
// rollback, certificate, event. It holds types and pure methods only and imports the standard library alone;
// every other package of the module speaks in these words. It does no I/O and reads no clock.
package belay
