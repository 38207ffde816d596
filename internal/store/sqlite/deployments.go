package sqlite

import (
	"context"
	"database/sql"

	belay "github.com/belaydev/belay"
)

// SaveDeployment inserts or replaces a deployment and appends events, with the deliveries that tell of them, in
// one transaction. An event whose id is stored already is left as it is.
func (s *Store) SaveDeployment(ctx context.Context, d belay.Deployment, events ...belay.Event) error {
	if d.ID == "" {
		return belay.Errorf(belay.CodeInvalid, "store deployment of %s: it has no id", d.Ref)
	}
	doc, err := encode("deployment "+d.ID, d)
	if err != nil {
		return err
	}
	rows, err := toRows(events)
	if err != nil {
		return err
	}
	ended := d.EndedAt
	if d.State.Final() && ended.IsZero() {
		ended = d.CreatedAt
	}
	return s.update(ctx, "store deployment "+d.ID, func(tx *sql.Tx) error {
		// No REPLACE: it would delete the row, and by foreign key its ticks.
		_, err := tx.ExecContext(ctx, `
			INSERT INTO deployments (id, service, environment, state, active, created_at, ended_at, doc)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET service = excluded.service, environment = excluded.environment,
				state = excluded.state, active = excluded.active, created_at = excluded.created_at,
				ended_at = excluded.ended_at, doc = excluded.doc`,
			d.ID, d.Service, d.Environment, string(d.State), active(d.State.Final()), nanos(d.CreatedAt), nanos(ended), doc)
		if err != nil {
			return err
		}
		return s.insertEvents(ctx, tx, rows)
	})
}

// Deployment returns the deployment with this id, or the only one whose id begins with it.
func (s *Store) Deployment(ctx context.Context, id string) (belay.Deployment, error) {
	doc, err := s.byID(ctx, deploymentTable(), id)
	if err != nil {
		return belay.Deployment{}, err
	}
	return decode[belay.Deployment]("deployment "+id, doc)
}

// Deployments returns the deployments that the filter selects, newest first.
func (s *Store) Deployments(ctx context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error) {
	var q query
	q.ref(f.Service, f.Environment)
	if f.Active {
		q.and(`active = 1`)
	}
	if f.Before != "" {
		var at int64
		err := s.r.QueryRowContext(ctx, `SELECT created_at FROM deployments WHERE id = ?`, f.Before).Scan(&at)
		if err != nil {
			return nil, s.missing("deployment", f.Before, err)
		}
		q.and(`(created_at, id) < (?, ?)`, at, f.Before)
	}
	stmt := q.sql(`SELECT doc FROM deployments`, `created_at DESC, id DESC`, f.Limit)
	return records[belay.Deployment](ctx, s, "deployments", stmt, q.args...)
}

// SaveRollback inserts or replaces a rollback and appends events, as SaveDeployment does.
func (s *Store) SaveRollback(ctx context.Context, r belay.Rollback, events ...belay.Event) error {
	if r.ID == "" {
		return belay.Errorf(belay.CodeInvalid, "store rollback of %s: it has no id", r.Plan.Ref)
	}
	doc, err := encode("rollback "+r.ID, r)
	if err != nil {
		return err
	}
	rows, err := toRows(events)
	if err != nil {
		return err
	}
	ended := r.EndedAt
	if r.State.Final() && ended.IsZero() {
		ended = r.StartedAt
	}
	return s.update(ctx, "store rollback "+r.ID, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO rollbacks (id, service, environment, state, active, started_at, ended_at, doc)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET service = excluded.service, environment = excluded.environment,
				state = excluded.state, active = excluded.active, started_at = excluded.started_at,
				ended_at = excluded.ended_at, doc = excluded.doc`,
			r.ID, r.Plan.Service, r.Plan.Environment, string(r.State), active(r.State.Final()), nanos(r.StartedAt), nanos(ended), doc)
		if err != nil {
			return err
		}
		return s.insertEvents(ctx, tx, rows)
	})
}

// Rollback returns the rollback with this id, or the only one whose id begins with it.
func (s *Store) Rollback(ctx context.Context, id string) (belay.Rollback, error) {
	doc, err := s.byID(ctx, rollbackTable(), id)
	if err != nil {
		return belay.Rollback{}, err
	}
	return decode[belay.Rollback]("rollback "+id, doc)
}

// Rollbacks returns the rollbacks that the filter selects, newest first.
func (s *Store) Rollbacks(ctx context.Context, f belay.RollbackFilter) ([]belay.Rollback, error) {
	var q query
	q.ref(f.Service, f.Environment)
	if f.Active {
		q.and(`active = 1`)
	}
	if !f.Since.IsZero() {
		q.and(`started_at >= ?`, nanos(f.Since))
	}
	stmt := q.sql(`SELECT doc FROM rollbacks`, `started_at DESC, id DESC`, f.Limit)
	return records[belay.Rollback](ctx, s, "rollbacks", stmt, q.args...)
}

func deploymentTable() table { return table{"deployments", "deployment"} }
func rollbackTable() table   { return table{"rollbacks", "rollback"} }

func active(final bool) int {
	if final {
		return 0
	}
	return 1
}
