// Package rollback runs plans. A plan is stored before the first act and run as a durable workflow: killed at
// any moment, it goes on where it was when the engine starts again. Each step is look, act if needed, look
// again; a step that was done is not done twice. It builds no plans (package plan), decides on no rollback
// (package watch) and does not trust itself: whether the service is back is for the Prover to say.
//
// What happens to a step's act when the process dies around it:
//
//   - With a driver that can look, its effect happens once: the resumed step looks first.
//   - With one that cannot (Look says unknown), the act is done at least once: if the process died after the
//     act and before its record, the act is done again with the same Action.Key.
//
// Workflows live in a file of their own, workflows.db in the data folder, not in the product's database: the
// engine's tables have general names (queues, notifications, streams), it opens its own write transactions every
// second, and the journal must stay readable when it is busy.
package rollback
