package past

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config/bind"
	"github.com/belaydev/belay/internal/config/problem"
	"github.com/belaydev/belay/internal/config/unit"
	"github.com/belaydev/belay/internal/config/yamldoc"
	"github.com/belaydev/belay/internal/learn/backtest"
)

// Entry is one deployment of a list that people wrote down, or that a pipeline did.
type Entry struct {
	belay.Ref
	Time     time.Time
	Version  string
	Previous string
	Label    backtest.Truth
	Outcome  backtest.Fate // what was really done
	BackAt   time.Time     // taken back; zero when not known
	FirstBad time.Time     // zero when not known
	Line     int
}

// fieldNames are the fields of an entry; time is needed.
func fieldNames() []string {
	return []string{"time", "service", "environment", "version", "previous", "label", "outcome", "rolled_back_at", "first_bad"}
}

// cell is one value of a list and where it stands.
type cell struct {
	value        string
	line, column int
}

// row is one entry as it was written.
type row struct {
	line, column int
	cells        map[string]cell
}

// maxEntries is how many deployments one list may have.
const maxEntries = 10_000

// ReadList reads a list of deployments: YAML or JSON, a list of mappings, or CSV with a line of names first. Every
// mistake is in the error, with its line. Entries are returned by time.
func ReadList(name string, src []byte) ([]Entry, error) {
	l := &list{file: name}
	var rows []row
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".csv":
		rows = l.csv(src)
	case ".json":
		// A tab is no indentation to YAML, of which JSON is otherwise a part. In a JSON text it is always escaped.
		rows = l.yaml(bytes.ReplaceAll(src, []byte("\t"), []byte(" ")))
	case ".yaml", ".yml":
		rows = l.yaml(src)
	default:
		return nil, belay.Errorf(belay.CodeInvalid, "read deployments from %s: it ends in %q", name, ext).WithNext("write it as .yaml, .json or .csv")
	}
	var out []Entry
	for _, r := range rows {
		out = append(out, l.entry(r))
	}
	if len(l.problems) == 0 && len(out) == 0 {
		l.add(cell{}, "", "it lists no deployments", "each needs a time at least: - time: 2026-05-01T10:00:00Z")
	}
	if err := l.problems.Err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b Entry) int { return a.Time.Compare(b.Time) })
	return out, nil
}

type list struct {
	file     string
	problems problem.List
}

func (l *list) add(at cell, path, message, hint string) {
	l.problems.Add(problem.Problem{File: l.file, Line: at.line, Column: at.column, Path: path, Message: message, Hint: hint})
}

func (l *list) yaml(src []byte) []row {
	root := yamldoc.Parse(l.file, src, &l.problems)
	if root == nil {
		return nil
	}
	if root.Kind == yamldoc.Mapping && root.Get("deployments") != nil {
		root = root.Get("deployments")
	}
	if root.Kind != yamldoc.Sequence {
		l.add(cell{line: root.Line, column: root.Column}, "", "want a list of deployments, got "+root.Kind.String(), "write for example - {time: 2026-05-01T10:00:00Z, service: shop, version: 1.5}")
		return nil
	}
	var out []row
	for i, item := range root.Items {
		path := fmt.Sprintf("[%d]", i)
		at := cell{line: item.Line, column: item.Column}
		switch {
		case i == maxEntries:
			l.add(at, path, fmt.Sprintf("more than %d deployments", maxEntries), "")
			return out
		case item.Kind.Scalar() && item.Kind != yamldoc.Null: // a bare time
			out = append(out, row{item.Line, item.Column, map[string]cell{"time": {item.Value, item.Line, item.Column}}})
			continue
		case item.Kind != yamldoc.Mapping:
			l.add(at, path, "want a deployment, got "+item.Kind.String(), "write for example {time: 2026-05-01T10:00:00Z, version: 1.5}")
			continue
		}
		r := row{item.Line, item.Column, map[string]cell{}}
		for _, e := range item.Entries {
			if l.known(e.Key, cell{line: e.Line, column: e.Column}, r) && e.Value.Kind.Scalar() {
				r.cells[e.Key] = cell{e.Value.Value, e.Value.Line, e.Value.Column}
			} else if !e.Value.Kind.Scalar() {
				l.add(cell{line: e.Value.Line, column: e.Value.Column}, e.Key, "want a text, got "+e.Value.Kind.String(), "")
			}
		}
		out = append(out, r)
	}
	return out
}

// known tells whether key is a field that r does not have yet, and says so when not.
func (l *list) known(key string, at cell, r row) bool {
	if !slices.Contains(fieldNames(), key) {
		hint := "the fields are " + strings.Join(fieldNames(), ", ")
		if near := bind.Nearest(key, fieldNames()); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		l.add(at, key, "unknown field", hint)
		return false
	}
	if _, again := r.cells[key]; again {
		l.add(at, key, "given twice", "keep one of them")
		return false
	}
	return true
}

func (l *list) csv(src []byte) []row {
	in := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))))
	in.TrimLeadingSpace, in.Comment = true, '#'
	head, err := in.Read()
	if err != nil {
		l.torn(err)
		return nil
	}
	names := row{cells: map[string]cell{}}
	for i := range head {
		head[i] = strings.TrimSpace(head[i])
		line, column := in.FieldPos(i)
		if l.known(head[i], cell{line: line, column: column}, names) {
			names.cells[head[i]] = cell{}
		}
	}
	var out []row
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			l.torn(err)
			return out
		}
		line, column := in.FieldPos(0)
		if len(out) == maxEntries {
			l.add(cell{line: line, column: column}, "", fmt.Sprintf("more than %d deployments", maxEntries), "")
			return out
		}
		r := row{line, column, map[string]cell{}}
		for i, v := range record {
			if v = strings.TrimSpace(v); v != "" {
				line, column := in.FieldPos(i)
				r.cells[head[i]] = cell{v, line, column}
			}
		}
		out = append(out, r)
	}
}

func (l *list) torn(err error) {
	at := cell{}
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		at, err = cell{line: e.Line, column: e.Column}, e.Err
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the file is empty")
	}
	l.add(at, "", err.Error(), "the first line names the fields: time,service,version,label")
}

// entry reads one row.
func (l *list) entry(r row) Entry {
	e := Entry{Line: r.line}
	e.Service, e.Environment = r.cells["service"].value, r.cells["environment"].value
	e.Version, e.Previous = r.cells["version"].value, r.cells["previous"].value
	c, ok := r.cells["time"]
	if !ok {
		l.add(cell{line: r.line, column: r.column}, "time", "is missing", "when was it deployed? write for example 2026-05-01T10:00:00Z")
		return e
	}
	e.Time = l.moment("time", c, time.Time{})
	e.BackAt = l.moment("rolled_back_at", r.cells["rolled_back_at"], e.Time)
	e.FirstBad = l.moment("first_bad", r.cells["first_bad"], e.Time)
	e.Label = l.label(r.cells["label"])
	e.Outcome = backtest.FateUnknown
	switch c := r.cells["outcome"]; c.value {
	case "":
		if !e.BackAt.IsZero() {
			e.Outcome = backtest.FateTakenBack
		}
	case "kept":
		e.Outcome = backtest.FateKept
		if !e.BackAt.IsZero() {
			l.add(c, "outcome", "it was kept, and yet rolled_back_at says when it was not", "keep one of them")
		}
	case "rolled_back":
		e.Outcome = backtest.FateTakenBack
	default:
		l.add(c, "outcome", fmt.Sprintf("%q is no outcome", c.value), "write kept or rolled_back")
	}
	return e
}

func (l *list) label(c cell) backtest.Truth {
	t, err := truthOf(c.value)
	if err != nil {
		l.add(c, "label", err.Error(), "write good or bad, for what the release was worth; leave it out when nobody knows")
	}
	return t
}

// truthOf reads what a release was worth.
func truthOf(word string) (backtest.Truth, error) {
	switch word {
	case "", "unknown":
		return backtest.TruthUnknown, nil
	case "good", "bad":
		return backtest.Truth(word), nil
	}
	return backtest.TruthUnknown, fmt.Errorf("%q is neither good nor bad", word)
}

// moment reads a time; with a start also the distance from it: "12m".
func (l *list) moment(path string, c cell, start time.Time) time.Time {
	if c.value == "" {
		return time.Time{}
	}
	if !start.IsZero() {
		if d, err := unit.ParseDuration(c.value); err == nil {
			return start.Add(d)
		}
	}
	t, ok := parseTime(c.value)
	hint := "write for example 2026-05-01T10:00:00Z, or 2026-05-01 10:00 for UTC"
	if !start.IsZero() {
		hint += ", or 12m for the time since the deployment"
	}
	switch {
	case !ok:
		l.add(c, path, fmt.Sprintf("%q is no time", c.value), hint)
	case !start.IsZero() && t.Before(start):
		l.add(c, path, "it lies before the deployment", hint)
	}
	return t
}

func parseTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	const year2000, year2100 = 946_684_800, 4_102_444_800
	if v, err := strconv.ParseFloat(text, 64); err == nil && v >= year2000 && v <= year2100 {
		return time.UnixMilli(int64(math.Round(v * 1000))).UTC(), true
	}
	return time.Time{}, false
}
