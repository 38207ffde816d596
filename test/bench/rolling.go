package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/rollback"
	"github.com/belaydev/belay/internal/rollback/plan"
	"github.com/belaydev/belay/internal/store/sqlite"
	"github.com/belaydev/belay/test/bench/figure"
)

const stepsPerPlan = 20

// instant is a system that is taken back at once: what is left is belay's own work.
type instant struct {
	mu   sync.Mutex
	done map[string]bool
}

// Inspect reads whether it was done.
func (s *instant) Inspect(_ context.Context, a belay.Action) (belay.Look, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done[a.Key] {
		return belay.Look{Progress: belay.ProgressDone, Detail: "done"}, nil
	}
	return belay.Look{Progress: belay.ProgressPending, Detail: "not done"}, nil
}

// Do does it.
func (s *instant) Do(_ context.Context, a belay.Action) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[a.Key] = true
	return nil
}

// Prove finds everything well.
func (s *instant) Prove(context.Context, belay.Rollback) (belay.Certificate, error) {
	return belay.Certificate{Checks: []belay.Check{{Name: "bench", Result: belay.CheckPassed}}}, nil
}

// rolling measures what the engine itself takes for each step: two looks, one act, and all records synced to disk.
func rolling(ctx context.Context, b *bench) (err error) {
	dir, err := os.MkdirTemp("", "belay-bench-rollback-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	store, err := sqlite.Open(ctx, filepath.Join(dir, "belay.db"), sqlite.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	target := &instant{done: map[string]bool{}}
	engine, err := rollback.New(rollback.Options{Dir: dir, Journal: store, Prover: target, Drivers: map[string]rollback.Driver{"instant": target}})
	if err != nil {
		return err
	}
	if err := engine.Start(ctx); err != nil {
		return err
	}
	defer func() {
		if serr := engine.Stop(context.WithoutCancel(ctx)); err == nil {
			err = serr
		}
	}()
	var whole, one figure.Series
	for i := range b.times(10, 3) {
		many, err := runPlan(ctx, engine, fmt.Sprintf("r-many-%d", i), stepsPerPlan)
		if err != nil {
			return err
		}
		single, err := runPlan(ctx, engine, fmt.Sprintf("r-one-%d", i), 1)
		if err != nil {
			return err
		}
		whole.Add((many - single) / (stepsPerPlan - 1))
		one.Add(single)
	}
	synced, err := syncTime(dir)
	if err != nil {
		return err
	}
	b.say("   a step %s, a plan of one step %s, a synced write %s", figure.Seconds(whole.Median()), figure.Seconds(one.Median()), figure.Seconds(synced.Median()))
	b.headline(headline{
		"rollback engine, for each step", "median " + figure.Seconds(whole.Median()), "none", "",
		figure.Ratio(whole.Median()/synced.Median()) + " of one synced write to this disk (" + figure.Seconds(synced.Median()) + ")",
	})
	b.part("What the rollback engine costs", `
The engine in this process, DBOS and the store on this disk, steps on a system that is taken back at once. For each step:
look, act, look again, all journalled so that a kill -9 anywhere loses and repeats nothing. The price of a step is the
difference of a plan of %d steps and a plan of one, divided by %d.

%s`, stepsPerPlan, stepsPerPlan-1, figure.NewTable("", "runs", "median", "p90", "min", "max").
		Spread("each further step", whole, figure.Seconds).
		Spread("a whole plan of one step, certificate included", one, figure.Seconds).
		Spread("for comparison: writing 4 KiB to a file and syncing it", synced, figure.Seconds))
	return nil
}

func runPlan(ctx context.Context, engine *rollback.Engine, id string, steps int) (float64, error) {
	spec := plan.Spec{
		ID: id, Ref: belay.Ref{Service: id, Environment: "bench"}, From: belay.Release{Version: "2"}, To: belay.Release{Version: "1"},
		ProofTimeout: time.Second, Trigger: "user:bench", Reason: "bench", Now: time.Now(),
	}
	for i := range steps {
		spec.Steps = append(spec.Steps, plan.StepSpec{Name: fmt.Sprintf("s%d", i), Driver: "instant", Deadline: 5 * time.Second, Attempts: 1})
	}
	p, err := plan.Build(spec)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := engine.Run(ctx, p, "user:bench"); err != nil {
		return 0, err
	}
	updates, cancel := engine.Subscribe(id)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case rb, open := <-updates:
			if open && !rb.State.Final() {
				continue
			}
			if open && rb.State != belay.RollbackVerified {
				return 0, fmt.Errorf("rollback %s is %s: %s", id, rb.State, rb.Reason)
			}
			return time.Since(began).Seconds(), nil
		}
	}
}

// syncTime is what this disk takes to keep a small write.
func syncTime(dir string) (figure.Series, error) {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var took figure.Series
	page := make([]byte, 4096)
	for range 50 {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took.Add(time.Since(began).Seconds())
	}
	return took, nil
}
