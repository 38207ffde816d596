package past

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/replay"
	"github.com/belaydev/belay/internal/config/bind"
	"github.com/belaydev/belay/internal/config/problem"
	"github.com/belaydev/belay/internal/config/unit"
	"github.com/belaydev/belay/internal/config/yamldoc"
	"github.com/belaydev/belay/internal/judge/stream"
	"github.com/belaydev/belay/internal/learn/backtest"
)

// labelsFile says, in a folder of streams, what the releases were worth and what became of them.
const labelsFile = "labels.yaml"

// Streams is a folder of evidence streams, as "belay record" writes them.
type Streams struct {
	Dir string
	Ref belay.Ref // that they are of; may be empty

	surveys map[string]func() (replay.Seen, error) // by case
}

// Cases makes a case of each stream of the folder, in the order of their names.
func (s *Streams) Cases(ctx context.Context) ([]backtest.Case, error) {
	files, err := s.files()
	if err != nil {
		return nil, err
	}
	said, err := s.labels(files)
	if err != nil {
		return nil, err
	}
	s.surveys = map[string]func() (replay.Seen, error){}
	var out []backtest.Case
	for _, file := range files {
		src := s.source(file)
		c := backtest.Case{ID: stem(file), Ref: s.Ref, Actual: backtest.Actual{Fate: backtest.FateUnknown}}
		if err := s.describe(&c, file, said[stem(file)]); err != nil {
			return nil, err
		}
		s.surveys[c.ID] = sync.OnceValues(func() (replay.Seen, error) { return replay.Survey(src) })
		c.Ticks = ticksOf(ctx, src)
		out = append(out, c)
	}
	return out, nil
}

// Survey reads the streams, after Cases, and returns the names of all signals in them, and whether any brings a policy
// along. One that cannot be read is passed over here: the backtest will say so. progress may be nil.
func (s *Streams) Survey(ctx context.Context, progress func(done, all int)) (signals []string, own bool, err error) {
	done := 0
	for _, id := range sorted(s.surveys) {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		seen, err := s.surveys[id]()
		if err == nil {
			signals, own = append(signals, seen.Names()...), own || seen.Policy != nil
		}
		if done++; progress != nil {
			progress(done, len(s.surveys))
		}
	}
	slices.Sort(signals)
	return slices.Compact(signals), own, nil
}

// stem is the name of a stream without its endings.
func stem(file string) string {
	return strings.TrimSuffix(strings.TrimSuffix(file, ".gz"), ".jsonl")
}

func (s *Streams) files() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, belay.Errorf(belay.CodeInvalid, "there is no folder %s", s.Dir).WithNext("name one with streams in it: belay record writes them")
	}
	if err != nil {
		return nil, belay.Errorf(belay.CodeInvalid, "read the streams: %w", err).WithNext("name a folder")
	}
	var out []string
	first := map[string]string{}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !strings.HasSuffix(name, ".jsonl") && !strings.HasSuffix(name, ".jsonl.gz") {
			continue
		}
		if other, again := first[stem(name)]; again {
			return nil, belay.Errorf(belay.CodeInvalid, "%s holds both %s and %s, which would have the same name", s.Dir, other, name).WithNext("keep one of them")
		}
		first[stem(name)] = name
		out = append(out, name)
	}
	if len(out) == 0 {
		return nil, belay.Errorf(belay.CodeInvalid, "there are no streams in %s: no file ends in .jsonl or .jsonl.gz", s.Dir).WithNext("belay record writes them")
	}
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(stem(a), stem(b)) })
	return out, nil
}

// note is what is said of one stream.
type note struct {
	label    backtest.Truth
	outcome  backtest.Fate
	backAt   *float64
	firstBad *float64
}

// describe says what is known of a stream: by labels.yaml, by a file beside it that ends in .label, or by its name.
func (s *Streams) describe(c *backtest.Case, file string, n *note) error {
	if n != nil && n.outcome != "" {
		c.Actual = backtest.Actual{Fate: n.outcome, T: n.backAt, By: labelsFile}
	}
	if n != nil {
		c.FirstBad, c.Truth = n.firstBad, n.label
	}
	if c.Truth != backtest.TruthUnknown {
		return nil
	}
	beside := filepath.Join(s.Dir, stem(file)+".label")
	text, err := os.ReadFile(beside)
	switch {
	case err == nil:
		if c.Truth, err = truthOf(strings.TrimSpace(string(text))); err != nil {
			return belay.Errorf(belay.CodeInvalid, "%s: %w", beside, err).WithNext("write good or bad, for what the release was worth")
		}
	case !errors.Is(err, fs.ErrNotExist):
		return belay.Errorf(belay.CodeInvalid, "read the label of %s: %w", file, err)
	case strings.HasPrefix(file, "good-"):
		c.Truth = backtest.TruthGood
	case strings.HasPrefix(file, "bad-"):
		c.Truth = backtest.TruthBad
	}
	return nil
}

// labels reads labels.yaml: a mapping of names of streams to good or bad, or to more than that.
func (s *Streams) labels(files []string) (map[string]*note, error) {
	path := filepath.Join(s.Dir, labelsFile)
	src, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, belay.Errorf(belay.CodeInvalid, "read the labels: %w", err)
	}
	l := &list{file: path}
	root := yamldoc.Parse(path, src, &l.problems)
	if root == nil {
		return nil, l.problems.Err()
	}
	if root.Kind != yamldoc.Mapping {
		l.add(cell{line: root.Line, column: root.Column}, "", "want a mapping of streams to labels, got "+root.Kind.String(), "write for example \"d-01k8: bad\"")
		return nil, l.problems.Err()
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = stem(f)
	}
	out := map[string]*note{}
	for _, e := range root.Entries {
		at, name := cell{line: e.Line, column: e.Column}, stem(e.Key)
		switch _, again := out[name]; {
		case !slices.Contains(names, name):
			hint := "the streams are " + strings.Join(names[:min(len(names), 10)], ", ")
			if near := bind.Nearest(name, names); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			l.add(at, e.Key, "there is no such stream in the folder", hint)
		case again:
			l.add(at, e.Key, "given twice", "keep one of them")
		default:
			out[name] = l.note(e)
		}
	}
	return out, l.problems.Err()
}

func (l *list) note(e yamldoc.Entry) *note {
	n := &note{}
	if e.Value.Kind.Scalar() {
		n.label = l.label(cell{e.Value.Value, e.Value.Line, e.Value.Column})
		return n
	}
	if e.Value.Kind != yamldoc.Mapping {
		l.add(cell{line: e.Value.Line, column: e.Value.Column}, e.Key, "want a label, got "+e.Value.Kind.String(), "write good or bad")
		return n
	}
	known := []string{"label", "outcome", "rolled_back_at", "first_bad"}
	for _, f := range e.Value.Entries {
		c := cell{f.Value.Value, f.Value.Line, f.Value.Column}
		path := bind.Join(e.Key, f.Key)
		switch f.Key {
		case "label":
			n.label = l.label(c)
		case "outcome":
			switch c.value {
			case "kept":
				n.outcome = backtest.FateKept
			case "rolled_back":
				n.outcome = backtest.FateTakenBack
			default:
				l.add(c, path, fmt.Sprintf("%q is no outcome", c.value), "write kept or rolled_back")
			}
		case "rolled_back_at":
			n.backAt, n.outcome = l.seconds(path, c), backtest.FateTakenBack
		case "first_bad":
			n.firstBad = l.seconds(path, c)
		default:
			hint := "the fields are " + strings.Join(known, ", ")
			if near := bind.Nearest(f.Key, known); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			l.add(cell{line: f.Line, column: f.Column}, path, "unknown field", hint)
		}
	}
	return n
}

func (l *list) seconds(path string, c cell) *float64 {
	d, err := unit.ParseDuration(c.value)
	if err != nil {
		l.problems.Add(problem.Problem{File: l.file, Line: c.line, Column: c.column, Path: path, Message: err.Error(), Hint: "it is the time since the deployment"})
		return nil
	}
	v := d.Seconds()
	return &v
}

func (s *Streams) source(file string) replay.Source {
	path := filepath.Join(s.Dir, file)
	return replay.Source{Name: path, Open: func() (io.ReadCloser, error) {
		f, err := os.Open(path)
		if err != nil || !strings.HasSuffix(file, ".gz") {
			return f, err
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			_ = f.Close()
			return nil, belay.Errorf(belay.CodeInvalid, "%s is not compressed by gzip: %w", path, err)
		}
		return unzipped{z, f}, nil
	}}
}

// unzipped closes the file behind it too.
type unzipped struct {
	*gzip.Reader
	file *os.File
}

// Close implements io.Closer.
func (u unzipped) Close() error { return errors.Join(u.Reader.Close(), u.file.Close()) }

func ticksOf(ctx context.Context, src replay.Source) iter.Seq2[stream.Tick, error] {
	return func(yield func(stream.Tick, error) bool) {
		in, err := src.Open()
		if err != nil {
			yield(stream.Tick{}, err)
			return
		}
		defer in.Close()
		r := stream.NewReader(in)
		for last := math.Inf(-1); ; {
			t, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if bad, ok := errors.AsType[*stream.Error](err); ok {
				err = belay.Errorf(belay.CodeInvalid, "%s: %w", src.Name, bad)
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(stream.Tick{}, err)
				return
			}
			if t.T < last {
				continue
			}
			last = t.T
			if !yield(t, nil) {
				return
			}
		}
	}
}
