// Package sqlite keeps what belay must not forget in one SQLite file: deployments, rollbacks, the append-only
// timeline, the outbox of notifications, stable releases, quarantine and the evidence stream. A write that has
// returned is on disk (WAL, synchronous=FULL), and an event and the deliveries that tell of it are stored in the
// transaction of the change they are about. It is not for metrics, which have a store of their own, and it
// decides nothing.
package sqlite
