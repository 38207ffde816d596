package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/belaydev/belay/test/bench/figure"
	"github.com/belaydev/belay/test/bench/rig"
)

// starting measures how soon the controller is there and what it occupies when it has nothing to do.
func starting(ctx context.Context, b *bench) error {
	r, err := rig.New(ctx, b.belay, blueGreen, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	idle := 10 * time.Second
	if b.quick {
		idle = 3 * time.Second
	}
	if err := pause(ctx, idle); err != nil {
		return err
	}
	controller, err := r.Controller.Memory()
	if err != nil {
		return err
	}
	proxy, err := r.Proxy.Memory()
	if err != nil {
		return err
	}
	binary, err := os.Stat(b.belay)
	if err != nil {
		return err
	}
	r.Controller.Stop()
	s := starter{r: r, b: b}
	if err := s.prepare(); err != nil {
		return err
	}
	empty, err := s.runs(ctx, true)
	if err != nil {
		return err
	}
	history := "the folder of the starts before"
	if b.data != "" {
		history = "a copy of the folder that the runs of \"How long users are harmed\" left"
		if err := s.fill(b.data); err != nil {
			return err
		}
	}
	existing, err := s.runs(ctx, false)
	if err != nil {
		return err
	}
	worse := empty
	if existing.Median() > empty.Median() {
		worse = existing
	}
	b.headline(headline{
		"start of the process to ready, the slower of empty and existing data", "median " + figure.Seconds(worse.Median()), "300 ms",
		figure.Met(worse.Median(), 0.3), "max " + figure.Seconds(max(empty.Max(), existing.Max())),
	})
	b.headline(headline{
		fmt.Sprintf("memory of the controller after %s idle (resident)", idle), figure.Megabytes(controller.Resident), "150 MiB",
		figure.Met(controller.Resident, 150<<20), "of it anonymous " + figure.Megabytes(controller.Anonymous),
	})
	b.part("Start and size", `
From starting the process to the first 200 of `+"`/-/ready`"+`, which is asked every 2 ms. The existing data is %s.

%s
%s`, history,
		figure.NewTable("Start to ready", "runs", "median", "p90", "min", "max").
			Spread("empty data folder", empty, figure.Seconds).
			Spread("existing data folder", existing, figure.Seconds),
		figure.NewTable(fmt.Sprintf("After %s idle, one service with two targets", idle), "resident", "of it anonymous").
			Row("`belay serve`", figure.Megabytes(controller.Resident), figure.Megabytes(controller.Anonymous)).
			Row("`belay proxy`", figure.Megabytes(proxy.Resident), figure.Megabytes(proxy.Anonymous)).
			Row("the binary on disk", figure.Megabytes(float64(binary.Size()))))
	return nil
}

// starter starts the controller of a rig again and again, on a data folder of its own.
type starter struct {
	r      *rig.Rig
	b      *bench
	config string
	data   string
}

func (s *starter) prepare() error {
	yaml, err := os.ReadFile(filepath.Join(s.r.Dir, "belay.yaml"))
	if err != nil {
		return err
	}
	s.config, s.data = filepath.Join(s.r.Dir, "start.yaml"), filepath.Join(s.r.Dir, "start-data")
	text := strings.Replace(string(yaml), "server: {", "server: {data: ./start-data, ", 1)
	return os.WriteFile(s.config, []byte(text), 0o600)
}

func (s *starter) fill(from string) error {
	if err := os.RemoveAll(s.data); err != nil {
		return err
	}
	return os.CopyFS(s.data, os.DirFS(from))
}

func (s *starter) runs(ctx context.Context, empty bool) (figure.Series, error) {
	var took figure.Series
	for range s.b.times(15, 4) {
		if empty {
			if err := os.RemoveAll(s.data); err != nil {
				return nil, err
			}
		}
		began := time.Now()
		p, err := rig.Start("belay serve", s.r.Dir, s.r.Belay, "serve", "--config", s.config)
		if err != nil {
			return nil, err
		}
		err = p.AwaitOK(ctx, s.r.Server+"/-/ready")
		took.Add(time.Since(began).Seconds())
		p.Stop()
		if err != nil {
			return nil, err
		}
	}
	s.b.say("   start, empty folder %v: median %s, max %s", empty, figure.Seconds(took.Median()), figure.Seconds(took.Max()))
	return took, nil
}
