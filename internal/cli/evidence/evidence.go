// Package evidence has the commands about what a watch saw: "belay record" writes it down, "belay judge" judges it.
// They decide nothing; package cli gives them the terminal and the way to a server.
package evidence

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/client"
	"github.com/belaydev/belay/internal/app"
	"github.com/belaydev/belay/internal/app/replay"
	"github.com/belaydev/belay/internal/cli/terminal"
	"github.com/belaydev/belay/internal/config"
)

// Commands are what the commands share with the rest of the command line.
type Commands struct {
	*terminal.Terminal
	Output   func() string // format of the answer
	Connect  func() (*client.Client, error)
	Newest   func(ctx context.Context, api *client.Client, name string) (id string, err error) // of a service, or the deployment itself
	Problems func(file string, err error) error                                                // of a configuration, a line each
	Takes    func(least, most int, what string) cobra.PositionalArgs
	// Offer completes the names of services and deployments.
	Offer func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)
}

// Formats is the annotation of a command that can answer in one more format than text and json.
const Formats = "formats"

// Open makes a stream of a file, or of standard input for "-", that can be read more than once; it may be compressed by
// gzip. done gives back what was kept for that: of standard input, and of what else can be read only once, such as a pipe.
func Open(ctx context.Context, t *terminal.Terminal, file string) (src replay.Source, done func(), err error) {
	src, done = replay.Source{Name: file}, func() {}
	if file == "-" {
		src.Name = "standard input"
		if file, err = keep(ctx, t.In, src.Name); err != nil {
			return src, done, err
		}
		done = func() { _ = os.Remove(file) } // it is in the folder for what may be lost
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return src, done, belay.Errorf(belay.CodeInvalid, "there is no file %s", file).
			WithNext("record one with \"belay record SERVICE --file %s\", or write one: docs/streams.md says how", file)
	case err != nil:
		return src, done, belay.Errorf(belay.CodeInvalid, "read the evidence: %w", err)
	case info.IsDir():
		return src, done, belay.Errorf(belay.CodeInvalid, "%s is a folder", file).WithNext("name one file in it, or replay them all: belay backtest %s", file)
	case !info.Mode().IsRegular():
		in, err := os.Open(file)
		if err != nil {
			return src, done, belay.Errorf(belay.CodeInvalid, "read the evidence: %w", err)
		}
		defer in.Close()
		kept, err := keep(ctx, in, file)
		if err != nil {
			return src, done, err
		}
		src, _, err = Open(ctx, t, kept)
		src.Name = file
		return src, func() { _ = os.Remove(kept) }, err
	}
	src.Open = func() (io.ReadCloser, error) {
		in, err := os.Open(file)
		if err != nil {
			return nil, belay.Errorf(belay.CodeInvalid, "read the evidence: %w", err)
		}
		return unpacked(t.Progress(packed{until{ctx, in}, in}, src.Name, info.Size()), src.Name)
	}
	return src, done, nil
}

// keep writes what can be read only once into a file.
func keep(ctx context.Context, in io.Reader, name string) (string, error) {
	kept, err := os.CreateTemp("", "belay-judge-*.jsonl")
	if err != nil {
		return "", fmt.Errorf("keep %s: %w", name, err)
	}
	copied := make(chan error, 1)
	go func() { // which may wait for the next byte for ever
		_, err := io.Copy(kept, until{ctx, in})
		copied <- err
	}()
	select {
	case err = <-copied:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err = errors.Join(err, kept.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("read %s: %w", name, err), os.Remove(kept.Name()))
	}
	return kept.Name(), nil
}

// unpacked reads what is compressed by gzip as what it was before. What is not is left as it is.
func unpacked(in io.ReadCloser, name string) (io.ReadCloser, error) {
	r := bufio.NewReader(in)
	if head, _ := r.Peek(2); string(head) != "\x1f\x8b" { // RFC 1952, section 2.3.1
		return packed{r, in}, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, errors.Join(belay.Errorf(belay.CodeInvalid, "%s begins as gzip does, and is not: %w", name, err).WithNext("write it again"), in.Close())
	}
	return packed{z, in}, nil
}

// until reads until somebody interrupts.
type until struct {
	ctx context.Context //nolint:containedctx // of the command that reads
	in  io.Reader
}

// Read reads.
func (u until) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.in.Read(b)
}

// packed reads through what unpacks a file, and closes the file.
type packed struct {
	io.Reader
	io.Closer
}

// Section reads from a file how a service is judged: from a whole belay.yaml, where service and environment choose one
// when there are several, or from the keys of one service. The signals of the stream need no query.
func Section(file string, choice belay.Ref, signals []string) (replay.Section, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return replay.Section{}, belay.Errorf(belay.CodeInvalid, "read the policy: %w", err).
			WithNext("name with --policy a belay.yaml, or a file with the keys signals, hard_stops and watch")
	}
	cfg, err := config.ParsePolicy(file, text, signals, app.CheckQuery)
	if err != nil {
		return replay.Section{}, err
	}
	list := slices.DeleteFunc(slices.Clone(cfg.Services), func(s config.Service) bool {
		return choice.Service != "" && s.Name != choice.Service || choice.Environment != "" && s.Environment != choice.Environment
	})
	var all []string
	for _, s := range cfg.Services {
		all = append(all, s.Ref().String())
	}
	has := strings.Join(all, ", ")
	switch {
	case len(list) == 0 && len(all) == 0:
		return replay.Section{}, belay.Errorf(belay.CodeInvalid, "%s has no services", file).WithNext("name a file that says how one is judged")
	case len(list) == 0:
		return replay.Section{}, belay.Errorf(belay.CodeInvalid, "%s has no service %s", file, strings.Trim(choice.String(), "/")).WithNext("it has %s", has)
	case len(list) > 1 && choice.Service == "":
		return replay.Section{}, belay.Errorf(belay.CodeInvalid, "%s has several services", file).WithNext("choose one with --service, and with --env where it has several environments: %s", has)
	case len(list) > 1:
		return replay.Section{}, belay.Errorf(belay.CodeInvalid, "service %s has several environments in %s", choice.Service, file).WithNext("choose one with --env: %s", has)
	}
	ref := list[0].Ref()
	return replay.Section{Service: list[0], Written: func(path string) bool { _, written := cfg.Line(ref, path); return written }}, nil
}
