package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/belaydev/belay/test/judgebench/rival"
	"github.com/belaydev/belay/test/judgebench/track"
)

// options say what is measured.
type options struct {
	out    string
	cells  bool
	tracks []string // empty is all
	rivals []string
	grid   track.Grid
	set    []track.Override

	changes string // set, as it was given
}

func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("judgebench", flag.ContinueOnError)
	f.StringVar(&o.out, "out", "", "`file` to write the report to, with charts in images/ beside it; empty is standard output, without charts")
	f.StringVar(&o.grid.Data, "data", os.Getenv("BELAY_BENCH_DATA"), "`folder` with recorded series; by default the one that BELAY_BENCH_DATA names")
	f.BoolVar(&o.grid.Quick, "quick", false, "few runs: under a minute")
	f.BoolVar(&o.cells, "cells", false, "print one line for each cell and rule instead of the report")
	f.IntVar(&o.grid.Runs, "runs", 0, "runs of each cell; 0 is what the track takes")
	f.Float64Var(&o.grid.Tick, "tick", 1, "seconds between looks")
	f.Float64Var(&o.grid.Margin, "margin", track.DefaultMargin, "ratio of error rates that the judge bears, for the limits beside its numbers")
	tracks := f.String("only", "", "`tracks`, with commas: A,B,C,D,E,G,S")
	rivals := f.String("rivals", "all", "`rules` beside the judge, with commas; none, all")
	names := f.String("null", "", "`names` of nulls, or of what changes, with commas")
	pasts := f.String("past", "", "`histories`, with commas: none, 1h, 24h, each also with -pooled")
	rates := f.String("rate", "", "requests a second of both sides, `list` with commas")
	shares := f.String("share", "", "shares of the candidate, `list` with commas: 0.01,0.1,0.5")
	onsets := f.String("onset", "", "when the fault begins in seconds, `list` with commas")
	bads := f.String("bad", "", "error rates of the bad release, `list` with commas: 0.01,0.02")
	set := f.String("set", "", "changes of the policy, `name=value` with commas: margin=1.5,error_rate.dispersion=1")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	o.tracks, o.rivals, o.grid.Names, o.grid.Pasts = list(*tracks), list(*rivals), list(*names), list(*pasts)
	for _, n := range []struct {
		into *[]float64
		text string
	}{{&o.grid.Rates, *rates}, {&o.grid.Shares, *shares}, {&o.grid.Onsets, *onsets}, {&o.grid.Bads, *bads}} {
		for _, part := range list(n.text) {
			v, err := strconv.ParseFloat(part, 64)
			if err != nil {
				return nil, fmt.Errorf("read %q: want a number", part)
			}
			*n.into = append(*n.into, v)
		}
	}
	for _, name := range o.tracks {
		if !slices.ContainsFunc(track.All(), func(t track.Track) bool { return t.Name == name }) {
			return nil, fmt.Errorf("there is no track %q", name)
		}
	}
	o.changes = *set
	var err error
	o.set, err = track.ParseOverrides(*set)
	return o, err
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

// wants tells whether a track was asked for.
func (o *options) wants(name string) bool {
	return len(o.tracks) == 0 || slices.Contains(o.tracks, name)
}

// against returns those of the rivals of a track that were asked for.
func (o *options) against(t *track.Track) ([]rival.Entry, error) {
	switch {
	case slices.Equal(o.rivals, []string{"all"}):
		return t.Rivals, nil
	case slices.Equal(o.rivals, []string{"none"}):
		return nil, nil
	}
	var some []rival.Entry
	for _, e := range t.Rivals {
		if slices.Contains(o.rivals, e.Name) {
			some = append(some, e)
		}
	}
	if len(some) == 0 {
		return nil, fmt.Errorf("track %s has no rule among %v", t.Name, o.rivals)
	}
	return some, nil
}
