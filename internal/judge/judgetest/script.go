package judgetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
)

// Script is a parsed verdict test.
type Script struct {
	Policy judge.Policy

	name     string
	series   []series
	expected []expectation
	from, to int // seconds
}

// series is what one thing showed, second by second.
type series struct {
	from   int
	sample belay.Sample        // template, of a signal
	health *belay.HealthStatus // template
	source string
	steps  []step
}

// step is one second's reading; nil numbers mean no sample.
type step struct {
	none   bool
	n, x   float64
	count  []float64
	value  float64
	state  belay.HealthState
	broken []string
	fails  int
	ok     bool
}

type expectation struct {
	line    int
	when    string // "at", "by", "never"
	at      int
	verdict belay.Verdict
	names   []string
	says    []saying
}

// saying is a text that a part of the card must hold.
type saying struct {
	line       int
	part, text string
}

// maxSeconds is how long a script may be: a day and more.
const maxSeconds = 100_000

// Parse reads a script that is judged by the default policy and what its own lines change of it. The error names every
// line that is wrong.
func Parse(name, text string) (*Script, error) {
	return ParseOn(name, text, func([]Signal) (judge.Policy, error) { return judge.DefaultPolicy(), nil })
}

// Signal is something that a script shows.
type Signal struct {
	Name      string
	Kind      belay.SampleKind
	Candidate bool // the new release shows it
}

// ParseOn reads a script whose policy lines change the policy that base answers for the signals of the script.
func ParseOn(name, text string, base func([]Signal) (judge.Policy, error)) (*Script, error) {
	s := &Script{name: name}
	lines := strings.Split(text, "\n")
	wrong := make([]error, len(lines))
	words := make([][]string, len(lines))
	pass := func(policies bool) {
		for i, w := range words {
			if wrong[i] == nil && len(w) > 0 && (w[0] == "policy") == policies {
				wrong[i] = s.line(i+1, w)
			}
		}
	}
	for i, line := range lines {
		words[i], wrong[i] = split(line)
	}
	pass(false)
	var err error
	if s.Policy, err = base(s.Signals()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	pass(true)
	for i := range wrong {
		if wrong[i] != nil {
			wrong[i] = fmt.Errorf("%s:%d: %w", name, i+1, wrong[i])
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	switch err := s.Policy.Validate(); {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case len(s.expected) == 0:
		return nil, fmt.Errorf("%s: nothing is expected: add an expect line", name)
	case s.to-s.from > maxSeconds:
		return nil, fmt.Errorf("%s: it is %d seconds long; scripts may not be longer than %d", name, s.to-s.from, maxSeconds)
	}
	return s, nil
}

// Signals are what the script shows, in the order in which it names them first.
func (s *Script) Signals() []Signal {
	var out []Signal
	for _, q := range s.series {
		if q.health != nil || q.source != "" {
			continue
		}
		i := slices.IndexFunc(out, func(x Signal) bool { return x.Name == q.sample.Signal })
		if i < 0 {
			i, out = len(out), append(out, Signal{Name: q.sample.Signal, Kind: q.sample.Kind})
		}
		out[i].Candidate = out[i].Candidate || q.sample.Arm != belay.ArmBaseline
	}
	return out
}

// Expectations counts what is expected.
func (s *Script) Expectations() int { return len(s.expected) }

// split cuts a line into words; "..." and {...} hold words together.
func split(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t\r")
		if line == "" || line[0] == '#' {
			return words, nil
		}
		end := strings.IndexAny(line, " \t\r")
		closing := map[byte]string{'"': `"`, '{': "}"}[line[0]]
		if closing != "" {
			if end = strings.Index(line[1:], closing); end < 0 {
				return nil, fmt.Errorf("read %s: the closing %s is missing", line, closing)
			}
			end += 2
		}
		if end < 0 {
			end = len(line)
		}
		words = append(words, line[:end])
		line = line[end:]
	}
}

func (s *Script) line(number int, words []string) error {
	rest := words[1:]
	switch words[0] {
	case "policy":
		return s.policy(rest)
	case "candidate", "baseline":
		return s.samples(belay.Arm(words[0]), rest)
	case "health":
		if len(rest) < 2 || rest[0] != "candidate" && rest[0] != "baseline" {
			return fmt.Errorf("read health: want health candidate|baseline CHECK STATES")
		}
		return s.steps(series{health: &belay.HealthStatus{Check: rest[1], Target: rest[0], Arm: belay.Arm(rest[0])}}, rest[2:])
	case "source":
		if len(rest) < 1 {
			return fmt.Errorf("read source: want source NAME STATES")
		}
		return s.steps(series{source: rest[0]}, rest[1:])
	case "expect":
		return s.expect(number, rest)
	}
	return fmt.Errorf("read %q: want policy, candidate, baseline, health, source or expect", words[0])
}

// samples reads "SIGNAL [{stratum}] [@instance] [le=...] SEGMENTS".
func (s *Script) samples(arm belay.Arm, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("read %s: want a signal and what it showed", arm)
	}
	q := series{sample: belay.Sample{Signal: words[0], Arm: arm}}
	words = words[1:]
	for len(words) > 0 {
		switch w := words[0]; {
		case w[0] == '{':
			q.sample.Stratum = w[1 : len(w)-1]
		case w[0] == '@':
			q.sample.Instance = w[1:]
		case strings.HasPrefix(w, "le="):
			le, err := numbers(w[3:])
			if err != nil {
				return err
			}
			if !slices.IsSorted(le) || len(slices.Compact(slices.Clone(le))) < len(le) {
				return fmt.Errorf("read %q: write the bounds in ascending order", w)
			}
			q.sample.LE = le
		default:
			return s.steps(q, words)
		}
		words = words[1:]
	}
	return fmt.Errorf("read %s: no readings", q.sample.Signal)
}

// steps reads "[from TIME] READING [xCOUNT] ...".
func (s *Script) steps(q series, words []string) error {
	if len(words) > 1 && words[0] == "from" {
		at, err := wholeSeconds(words[1])
		if err != nil {
			return err
		}
		q.from, words = at, words[2:]
	}
	for i := 0; i < len(words); i++ {
		st, err := q.reading(words[i])
		if err != nil {
			return err
		}
		times := 1
		if i+1 < len(words) && strings.HasPrefix(words[i+1], "x") {
			i++
			if times, err = strconv.Atoi(words[i][1:]); err != nil || times < 1 || times > 1e6 {
				return fmt.Errorf("read %q: want x and a count from 1 to 1000000, such as x30", words[i])
			}
		}
		if len(q.steps)+times > maxSeconds {
			return fmt.Errorf("read %q: the series is longer than %d seconds", words[i], maxSeconds)
		}
		for range times {
			q.steps = append(q.steps, st)
		}
	}
	s.from, s.to = min(s.from, q.from), max(s.to, q.from+len(q.steps))
	s.series = append(s.series, q)
	return nil
}

func (q *series) reading(w string) (step, error) {
	if w == "_" {
		return step{none: true}, nil
	}
	switch {
	case q.source != "":
		if w != "ok" && w != "down" {
			return step{}, fmt.Errorf("read %q: want ok or down", w)
		}
		return step{ok: w == "ok"}, nil
	case q.health != nil:
		state, broken, _ := strings.Cut(strings.TrimSuffix(w, "]"), "[")
		st := step{state: belay.HealthState(state)}
		if state == "failing" { // the newest probe failed, not yet often enough
			st.state, st.fails = belay.HealthHealthy, 1
		}
		if broken != "" {
			st.broken = strings.Split(broken, ",")
		}
		if !slices.Contains([]belay.HealthState{belay.HealthHealthy, belay.HealthUnhealthy, belay.HealthUnknown}, st.state) {
			return step{}, fmt.Errorf("read %q: want healthy, failing, unhealthy or unknown", w)
		}
		return st, nil
	case w[0] == '=':
		v, err := number(w[1:])
		return step{value: v}, errors.Join(err, q.is(belay.KindGauge, w))
	}
	return q.events(w)
}

// is holds a series to one kind of readings.
func (q *series) is(kind belay.SampleKind, w string) error {
	if was := q.sample.Kind; was != "" && was != kind {
		return fmt.Errorf("read %q: the readings before it are of kind %s; give the two different signals", w, was)
	}
	q.sample.Kind = kind
	return nil
}

// events reads BAD/ALL or COUNTS/ALL.
func (q *series) events(w string) (step, error) {
	bad, all, ok := strings.Cut(w, "/")
	if !ok {
		return step{}, fmt.Errorf("read %q: want BAD/ALL, COUNTS/ALL, =VALUE or _", w)
	}
	n, err := number(all)
	if err != nil {
		return step{}, err
	}
	counts, err := numbers(bad)
	if err != nil {
		return step{}, err
	}
	if q.sample.LE != nil {
		switch {
		case len(counts) != len(q.sample.LE):
			return step{}, fmt.Errorf("read %q: want %d counts, one for each bound", w, len(q.sample.LE))
		case !slices.IsSorted(append(slices.Clone(counts), n)):
			return step{}, fmt.Errorf("read %q: counts are cumulative: each is that of all events up to its bound", w)
		}
		return step{n: n, count: counts}, q.is(belay.KindHistogram, w)
	}
	switch {
	case len(counts) != 1:
		return step{}, fmt.Errorf("read %q: a histogram needs its bounds before it, such as le=0.1,0.5,1", w)
	case counts[0] > n:
		return step{}, fmt.Errorf("read %q: want at most as many bad events as events", w)
	}
	return step{n: n, x: counts[0]}, q.is(belay.KindEvents, w)
}

// expect reads "at|by TIME VERDICT [CULPRITS]", "never VERDICT" or "PART "text"".
func (s *Script) expect(line int, w []string) error {
	parts := []string{"reason", "missing", "note", "blind", "decided"}
	if len(w) == 2 && slices.Contains(parts, w[0]) {
		if len(s.expected) == 0 {
			return fmt.Errorf("read expect %s: expect a verdict first", w[0])
		}
		e := &s.expected[len(s.expected)-1]
		e.says = append(e.says, saying{line, w[0], strings.Trim(w[1], `"`)})
		return nil
	}
	e := expectation{line: line}
	switch {
	case len(w) >= 3 && (w[0] == "at" || w[0] == "by"):
		at, err := wholeSeconds(w[1])
		if err != nil {
			return err
		}
		if at < 0 {
			return fmt.Errorf("read time %q: nothing is decided before the deployment", w[1])
		}
		e.when, e.at, w = w[0], at, w[2:]
		s.to = max(s.to, at+1)
	case len(w) == 2 && w[0] == "never":
		e.when, w = w[0], w[1:]
	default:
		return fmt.Errorf("read expect: want at|by TIME VERDICT, never VERDICT, or %s \"text\"", strings.Join(parts, "|"))
	}
	verdicts := map[string]belay.Verdict{
		"none": belay.VerdictNone, "healthy": belay.VerdictHealthy, "regressed": belay.VerdictRegressed,
		"insufficient": belay.VerdictInsufficient, "blind": belay.VerdictBlind,
	}
	v, ok := verdicts[w[0]]
	if !ok {
		return fmt.Errorf("read verdict %q: want none, healthy, regressed, insufficient or blind", w[0])
	}
	e.verdict, e.names = v, w[1:]
	s.expected = append(s.expected, e)
	return nil
}

// number reads "5", "5%", "300ms".
func number(w string) (float64, error) {
	if d, err := time.ParseDuration(w); err == nil {
		return d.Seconds(), nil
	}
	scale := 1.0
	if p, ok := strings.CutSuffix(w, "%"); ok {
		w, scale = p, 0.01
	}
	v, err := strconv.ParseFloat(w, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("read %q: want a number, a percentage or a duration", w)
	}
	return v * scale, nil
}

func numbers(w string) ([]float64, error) {
	var all []float64
	for _, part := range strings.Split(w, ",") {
		v, err := number(part)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func wholeSeconds(w string) (int, error) {
	d, err := time.ParseDuration(w)
	if err != nil || d%time.Second != 0 {
		return 0, fmt.Errorf("read time %q: want whole seconds, such as 30s or 5m", w)
	}
	return int(d / time.Second), nil
}
