package stream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
)

// Reader reads a stream tick by tick. It holds one tick in memory, and the names it has met.
type Reader struct {
	in      *bufio.Reader
	scan    scanner
	members []member
	number  int // of the newest line, from 1

	policy *judge.Policy
	begun  bool
	ahead  *line // read, and not part of a tick yet
	kinds  map[string]origin
	seen   map[place]int        // in this tick: the line of each reading
	bounds map[string][]float64 // the newest of each histogram, so that all its samples share them
	served bool                 // there was a line at or after the deployment
	last   float64              // t of the newest tick
	err    error                // kept: what is wrong stays wrong
}

// origin is the kind of a signal and the line that fixed it.
type origin struct {
	kind belay.SampleKind
	line int
}

// place tells readings of one moment apart.
type place struct {
	taken             float64
	signal            string
	arm               belay.Arm
	instance, stratum string
}

// NewReader reads from in.
func NewReader(in io.Reader) *Reader {
	return &Reader{
		in: bufio.NewReaderSize(in, 64<<10), scan: scanner{names: map[string]string{}},
		kinds: map[string]origin{}, seen: map[place]int{}, bounds: map[string][]float64{},
	}
}

// Policy returns what the first line says to judge by; nil when it says nothing.
func (r *Reader) Policy() (*judge.Policy, error) {
	r.begin()
	return r.policy, r.err
}

// begin reads the first line.
func (r *Reader) begin() {
	if r.begun {
		return
	}
	r.begun = true
	l := r.next()
	if l == nil || l.kind != kindPolicy {
		r.ahead = l
		return
	}
	p, err := policyOf(l.policy)
	if err != nil {
		r.fail(err)
		return
	}
	for _, s := range p.Signals {
		if s.Kind != "" {
			r.kinds[s.Name] = origin{s.Kind, r.number}
		}
	}
	r.policy = &p
	r.ahead = r.next()
}

// Next returns the next tick, and io.EOF after the last one. Any other error is an *Error, or one of reading.
func (r *Reader) Next() (Tick, error) {
	r.begin()
	if r.ahead == nil {
		return Tick{}, r.ended()
	}
	tick := Tick{Tick: belay.Tick{T: r.ahead.t}}
	clear(r.seen)
	for n := 0; r.ahead != nil && r.ahead.t == tick.T; n++ {
		if n == maxLines {
			r.fail(bad("is t the same in every line?", "t %g has more than %d lines", tick.T, maxLines))
			break
		}
		if err := r.add(&tick, r.ahead); err != nil {
			r.fail(err)
			break
		}
		r.last, r.served = tick.T, r.served || tick.T >= 0
		r.ahead = r.next()
	}
	if r.err != nil {
		return Tick{}, r.err
	}
	return tick, nil
}

// Line is the number of the newest line that was read.
func (r *Reader) Line() int { return r.number }

func (r *Reader) ended() error {
	switch {
	case r.err != nil:
	case r.number == 0:
		r.fail(bad("a line of it reads "+example, "the stream is empty"))
	case !r.served:
		r.fail(bad("t counts seconds from the deployment; what is before it is history", "no line is at or after the deployment (t of 0 or more), so there is nothing to judge"))
	default:
		r.err = io.EOF
	}
	return r.err
}

const example = `{"t":35,"signal":"error_rate","kind":"events","arm":"candidate","instance":"a","n":120,"x":3}`

func (r *Reader) fail(err *Error) {
	err.Line = max(1, r.number)
	r.err, r.ahead = err, nil
}

// next reads the next line that is not blank; nil at the end and after an error.
func (r *Reader) next() *line {
	if r.err != nil {
		return nil
	}
	for {
		raw, err := r.read()
		if err != nil {
			return nil
		}
		if len(bytes.TrimSpace(raw)) == 0 {
			continue
		}
		l, bad := r.parse(raw)
		if bad != nil {
			r.fail(bad)
			return nil
		}
		return &l
	}
}

func (r *Reader) parse(raw []byte) (line, *Error) {
	r.scan.b, r.scan.i = raw, 0
	members, err := r.scan.object(r.members)
	if err != nil {
		return line{}, err
	}
	r.members = members
	l, err := r.scan.parse(members, raw)
	switch {
	case err != nil:
		return l, err
	case l.kind == kindPolicy && (r.policy != nil || r.ahead != nil):
		return l, bad("move it to the top", "a policy can only be the first line")
	case r.ahead != nil && l.t < r.last:
		return l, bad("sort the lines by t", "t is %g, after a line with %g", l.t, r.last)
	}
	return l, nil
}

// read returns the next line without its end.
func (r *Reader) read() ([]byte, error) {
	var long []byte
	for {
		part, err := r.in.ReadSlice('\n')
		if len(long)+len(part) > maxLine {
			r.number++
			r.fail(bad("one line is one reading of one instance", "the line is longer than %d bytes", maxLine))
			return nil, r.err
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, part...)
			continue
		case err != nil && !errors.Is(err, io.EOF):
			r.err, r.ahead = fmt.Errorf("read line %d: %w", r.number+1, err), nil
			return nil, r.err
		case err != nil && len(long)+len(part) == 0:
			return nil, err
		}
		r.number++
		if len(long) > 0 {
			part = append(long, part...)
		}
		if r.number == 1 {
			part = bytes.TrimPrefix(part, []byte("\xef\xbb\xbf")) // a byte order mark
		}
		return bytes.TrimRight(part, "\r\n"), nil
	}
}

// add puts a line into the tick that it belongs to.
func (r *Reader) add(tick *Tick, l *line) *Error {
	switch l.kind {
	case kindTick:
	case kindShare:
		if tick.Share != nil {
			return bad("keep one of them", "the share at t %g is given twice", l.t)
		}
		tick.Share = &l.share
	case kindRequire:
		tick.Require = append(tick.Require, l.signal)
	case kindLearned:
		if tick.Learned != nil {
			return bad("keep one of them", "what was learned before is given twice at t %g", l.t)
		}
		tick.Learned = l.learned
	case kindHealth:
		tick.Health = append(tick.Health, l.health)
	case kindSource:
		tick.Sources = append(tick.Sources, l.source)
	default:
		return r.addSample(tick, l)
	}
	return nil
}

func (r *Reader) addSample(tick *Tick, l *line) *Error {
	m := l.sample
	if known, ok := r.kinds[m.Signal]; ok && known.kind != m.Kind {
		return bad("give the two different names", "%s is of kind %q here and of kind %q in line %d", m.Signal, m.Kind, known.kind, known.line)
	} else if !ok {
		r.kinds[m.Signal] = origin{m.Kind, r.number}
	}
	if m.T == unset {
		m.T = tick.T
	}
	at := place{m.T, m.Signal, m.Arm, m.Instance, m.Stratum}
	if first, again := r.seen[at]; again {
		return bad("add them up, or give each its instance or stratum", "%s of %s at t %g is in line %d already", m.Signal, where(m), tick.T, first)
	}
	r.seen[at] = r.number
	if known := r.bounds[m.Signal]; slices.Equal(known, m.LE) {
		m.LE = known
	} else {
		r.bounds[m.Signal] = m.LE
	}
	tick.Samples = append(tick.Samples, m)
	return nil
}

// where says which side, instance and stratum a sample is of.
func where(m belay.Sample) string {
	text := "the " + string(m.Arm)
	if m.Instance != "" {
		text += ", instance " + m.Instance
	}
	if m.Stratum != "" {
		text += ", stratum " + m.Stratum
	}
	return text
}
