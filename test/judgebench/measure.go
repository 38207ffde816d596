package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/belaydev/belay/test/judgebench/report"
	"github.com/belaydev/belay/test/judgebench/track"
)

// measure plays what was asked for and hands over each cell as it is done.
func measure(ctx context.Context, o *options, done func(*track.Result, time.Duration)) ([]report.Measured, error) {
	var all []report.Measured
	for _, t := range track.All() {
		if !o.wants(t.Name) {
			continue
		}
		began := time.Now()
		m := report.Measured{Track: t}
		rivals, err := o.against(&t)
		if err != nil {
			return nil, err
		}
		cells, err := t.Cells(o.grid)
		switch {
		case errors.Is(err, track.ErrNoData):
			m.Missing = err.Error()
			fmt.Fprintf(os.Stderr, "track %s: %v\n", t.Name, err)
		case err != nil:
			return nil, fmt.Errorf("track %s: %w", t.Name, err)
		}
		for i := range cells {
			c := &cells[i]
			c.Prepare(o.set, rivals)
			at := time.Now()
			r, err := c.Measure(ctx)
			if err != nil {
				return nil, err
			}
			m.Results = append(m.Results, r)
			done(r, time.Since(at))
			progress(&m, len(cells), time.Since(began))
		}
		m.Took = time.Since(began)
		all = append(all, m)
	}
	return all, nil
}

// progress says how far a track is, on one line.
func progress(m *report.Measured, cells int, took time.Duration) {
	n := len(m.Results)
	left := time.Duration(float64(took) / float64(n) * float64(cells-n)).Round(time.Second)
	end := ""
	if n == cells {
		end = "\n"
	}
	fmt.Fprintf(os.Stderr, "\rtrack %s: %d of %d cells, %s, %s left   %s", m.Name, n, cells, took.Round(time.Second), left, end)
}
