package rollback

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
)

// Options are the parts of an Engine. Dir, Journal and Prover are needed.
type Options struct {
	Dir     string            // the data folder; workflows.db is kept there
	Drivers map[string]Driver // by the name that a plan's steps use
	Journal Journal
	Prover  Prover

	History    History                    // nil: nothing is put in quarantine and no release counts as verified or forbidden
	Limits     func(ref belay.Ref) Limits // nil: the zero Limits for every service
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
}

// Engine runs rollbacks. One engine at a time may work in a data folder.
type Engine struct {
	opts    Options
	log     *slog.Logger
	metrics *metrics

	lifecycle sync.Mutex    // Start and Stop
	stopping  chan struct{} // closed when nothing new may begin
	acting    sync.RWMutex  // read-held during an act, or the end, and its record; Stop waits for it

	opened sync.Mutex // guards db and dbos
	db     *sql.DB
	dbos   dbos.Context

	mu   sync.Mutex // guards subs and orders the writes to the journal
	subs map[string]map[chan belay.Rollback]struct{}
}

// New checks the options. Nothing is opened before Start.
func New(o Options) (*Engine, error) {
	if o.Dir == "" || o.Journal == nil || o.Prover == nil {
		return nil, errors.New("make the rollback engine: it needs a data folder, a journal and a prover")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Limits == nil {
		o.Limits = func(belay.Ref) Limits { return Limits{} }
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, err
	}
	return &Engine{
		opts: o, log: o.Logger, metrics: m, stopping: make(chan struct{}),
		subs: map[string]map[chan belay.Rollback]struct{}{},
	}, nil
}

// Start opens the workflows and goes on with every rollback that was under way. It may be called once.
func (e *Engine) Start(ctx context.Context) error {
	e.lifecycle.Lock()
	defer e.lifecycle.Unlock()
	if e.isStopping() {
		return errors.New("start the rollback engine: it was stopped already; make a new one")
	}
	if _, db := e.parts(); db != nil {
		return errors.New("start the rollback engine: it was started already")
	}
	db, err := openDatabase(ctx, e.opts.Dir)
	if err != nil {
		return err
	}
	e.setParts(nil, db) // before the launch: resumed workflows use it
	c, err := e.launch(ctx, db)
	if err != nil {
		e.setParts(nil, nil)
		return errors.Join(err, db.Close())
	}
	e.setParts(c, db)
	return e.takeUp(ctx, c)
}

func (e *Engine) parts() (dbos.Context, *sql.DB) {
	e.opened.Lock()
	defer e.opened.Unlock()
	return e.dbos, e.db
}

func (e *Engine) setParts(c dbos.Context, db *sql.DB) {
	e.opened.Lock()
	defer e.opened.Unlock()
	e.dbos, e.db = c, db
}

// takeUp begins what the journal knows as running and the workflow engine does not (the process died between
// the two records), and closes what the workflow engine gave up.
func (e *Engine) takeUp(ctx context.Context, c dbos.Context) error {
	active, err := e.opts.Journal.Rollbacks(ctx, belay.RollbackFilter{Active: true})
	if err != nil {
		return fmt.Errorf("read the rollbacks under way: %w", err)
	}
	for _, rb := range active {
		e.log.InfoContext(ctx, "rollback taken up again", "service", rb.Plan.Service, "rollback", rb.ID, "state", string(rb.State))
		h, err := dbos.RunWorkflow(c, e.workflow, rb, dbos.WithWorkflowID(rb.ID))
		if err != nil {
			return fmt.Errorf("take up rollback %s: %w", rb.ID, err)
		}
		status, err := h.GetStatus()
		if err != nil {
			return fmt.Errorf("read the workflow of rollback %s: %w", rb.ID, err)
		}
		switch status.Status {
		case dbos.WorkflowStatusError, dbos.WorkflowStatusCancelled, dbos.WorkflowStatusMaxRecoveryAttemptsExceeded:
			e.giveUp(ctx, rb, fmt.Errorf("its workflow ended as %s: %w", status.Status, status.Error))
		default:
		}
	}
	return nil
}

// Stop lets an act that is under way end and be recorded, then stops. What remains is taken up by the next
// Start. When ctx ends first, the act is cancelled; it is done again after the next Start unless its driver's
// look says that it took effect.
func (e *Engine) Stop(ctx context.Context) error {
	e.lifecycle.Lock()
	defer e.lifecycle.Unlock()
	select {
	case <-e.stopping:
		return nil
	default:
		close(e.stopping)
	}
	c, db := e.parts()
	if c == nil {
		return nil
	}
	idle := make(chan struct{})
	go func() { // ends when the act does: at the latest when Shutdown below has cancelled it
		e.acting.Lock()
		defer e.acting.Unlock()
		close(idle)
	}()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	err := dbos.Shutdown(c, 10*time.Second)
	if err != nil {
		err = fmt.Errorf("stop rollback workflows: %w", err)
	} else {
		<-idle
	}
	return errors.Join(err, db.Close())
}

func (e *Engine) isStopping() bool {
	select {
	case <-e.stopping:
		return true
	default:
		return false
	}
}

func (e *Engine) now() time.Time { return e.opts.Now().UTC() }
