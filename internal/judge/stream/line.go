package stream

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/belaydev/belay"
)

// Kinds of lines that are no samples.
const (
	kindPolicy  = "policy"  // what to judge by; first line only
	kindTick    = "tick"    // somebody looked, and there was nothing to see
	kindShare   = "share"   // of the traffic that the candidate should get
	kindRequire = "require" // nothing is called healthy without this signal from here on
	kindLearned = "learned" // what is known of the service from before
	kindHealth  = "health"  // a health check of one instance
	kindSource  = "source"  // whether a source of facts can be read
)

// form says which fields a line of a kind must and may have.
type form struct{ needs, may []string }

// sampleKinds are the kinds of readings, in the order in which messages name them.
func sampleKinds() []string {
	return []string{string(belay.KindEvents), string(belay.KindHistogram), string(belay.KindGauge), string(belay.KindCount)}
}

func formOf(kind string) (form, bool) {
	where := []string{"instance", "stratum", "taken"}
	switch kind {
	case string(belay.KindEvents), string(belay.KindCount):
		return form{[]string{"t", "signal", "kind", "arm", "n", "x"}, where}, true
	case string(belay.KindHistogram):
		return form{[]string{"t", "signal", "kind", "arm", "le", "count", "n"}, append(where, "sum")}, true
	case string(belay.KindGauge):
		return form{[]string{"t", "signal", "kind", "arm", "value"}, where}, true
	case kindPolicy:
		return form{[]string{"kind", "policy"}, nil}, true
	case kindTick:
		return form{[]string{"t", "kind"}, nil}, true
	case kindShare:
		return form{[]string{"t", "kind", "share"}, nil}, true
	case kindRequire:
		return form{[]string{"t", "kind", "signal"}, nil}, true
	case kindLearned:
		return form{[]string{"t", "kind", "learned"}, nil}, true
	case kindHealth:
		return form{[]string{"t", "kind", "check", "arm", "state"}, tags[belay.HealthStatus]()}, true
	case kindSource:
		return form{[]string{"t", "kind", "source", "ok"}, tags[belay.SourceStatus]()}, true
	}
	return form{}, false
}

// unset stands for the time of a reading that is that of its line.
const unset = math.MaxFloat64

// line is one line that is right by itself.
type line struct {
	t       float64
	kind    string
	sample  belay.Sample
	share   float64
	signal  string // of a require line
	learned *belay.Learned
	health  belay.HealthStatus
	source  belay.SourceStatus
	policy  []byte
}

// parse reads a line that was taken apart; raw is the whole of it.
func (s *scanner) parse(members []member, raw []byte) (line, *Error) {
	var l line
	kind, err := s.kind(members)
	if err != nil {
		return l, err
	}
	l.kind = kind
	f, _ := formOf(kind)
	if err := f.check(kind, members); err != nil {
		return l, err
	}
	l.sample.Kind, l.sample.T = belay.SampleKind(kind), unset
	for _, m := range members {
		if err := s.field(&l, m); err != nil {
			return l, err
		}
	}
	switch kind {
	case kindHealth:
		err = decode(raw, &l.health, "t", "kind")
		if err == nil {
			err = checkState(&l.health)
		}
	case kindSource:
		err = decode(raw, &l.source, "t", "kind")
	case kindPolicy, kindTick, kindShare, kindRequire, kindLearned:
	default:
		err = l.checkSample()
	}
	return l, err
}

// kind finds what kind of line this is.
func (s *scanner) kind(members []member) (string, *Error) {
	known := append(sampleKinds(), kindHealth, kindSource, kindShare, kindRequire, kindLearned, kindTick, kindPolicy)
	for _, m := range members {
		if m.name != "kind" {
			continue
		}
		if m.raw[0] != '"' {
			return "", bad("", `"kind" is %s, want one of %s`, describe(m.raw), list(known))
		}
		kind := s.text(m.raw)
		if slices.Contains(known, kind) {
			return kind, nil
		}
		return "", bad(suggest(kind, known, "the kinds are "+list(known)), `"kind" is %q, which is no kind of line`, kind)
	}
	for _, m := range members {
		if near := nearest(m.name, []string{"kind"}); near != "" {
			return "", bad(fmt.Sprintf("did you mean %q?", near), "the field %q is unknown", m.name)
		}
	}
	return "", bad("readings are "+list(sampleKinds()), `"kind" is missing`)
}

// check tells whether the line has the fields that it must have and no others.
func (f form) check(kind string, members []member) *Error {
	all := f.needs
	for _, m := range members {
		if slices.Contains(all, m.name) || slices.Contains(f.may, m.name) {
			continue
		}
		all = append(slices.Clone(f.needs), f.may...)
		hint := suggest(m.name, all, fmt.Sprintf("the fields of such a line are %s", list(all)))
		return bad(hint, "the field %q is unknown in a line of kind %q", m.name, kind)
	}
	for _, name := range f.needs {
		if !slices.ContainsFunc(members, func(m member) bool { return m.name == name }) {
			return bad("the fields that a line of this kind needs are "+list(f.needs), "%q is missing", name)
		}
	}
	return nil
}

// field reads one field of a line whose form is right.
func (s *scanner) field(l *line, m member) *Error {
	var err *Error
	text := func(to *string) *Error {
		if m.raw[0] != '"' {
			return bad("", "%q is %s, want a text", m.name, describe(m.raw))
		}
		*to = s.text(m.raw)
		return nil
	}
	number := func(to *float64, least, most float64) *Error {
		v, err := float(m.name, m.raw)
		switch {
		case err != nil:
			return err
		case v < least && least == 0:
			return bad("", "%q is %s, want 0 or more", m.name, m.raw)
		case v < least || v > most:
			return bad("is it in another unit?", "%q is %s, which cannot be: the most is %g", m.name, short(m.raw), most)
		}
		*to = v
		return nil
	}
	switch m.name {
	case "t":
		return number(&l.t, -maxTime, maxTime)
	case "taken":
		return number(&l.sample.T, -maxTime, maxTime)
	case "signal":
		err = text(&l.sample.Signal)
		l.signal = l.sample.Signal
		if err == nil && l.signal == "" {
			err = bad("", `"signal" is empty`)
		}
	case "instance":
		return text(&l.sample.Instance)
	case "stratum":
		return text(&l.sample.Stratum)
	case "arm":
		var arm string
		if err = text(&arm); err == nil {
			l.sample.Arm, err = armOf(arm)
		}
	case "n":
		return number(&l.sample.N, 0, maxCount)
	case "x":
		return number(&l.sample.X, 0, maxCount)
	case "value":
		return number(&l.sample.Value, -maxValue, maxValue)
	case "sum":
		return number(&l.sample.Sum, -maxValue, maxValue)
	case "le":
		l.sample.LE, err = floats(m.name, m.raw)
	case "count":
		l.sample.Count, err = floats(m.name, m.raw)
	case "share":
		return number(&l.share, 0, 1)
	case "learned":
		l.learned = &belay.Learned{}
		err = learnedOf(m.raw, l.learned)
	case "policy":
		l.policy = m.raw
	}
	return err
}

func armOf(text string) (belay.Arm, *Error) {
	arms := []string{string(belay.ArmCandidate), string(belay.ArmBaseline)}
	if slices.Contains(arms, text) {
		return belay.Arm(text), nil
	}
	return "", bad(suggest(text, arms, "the arms are "+list(arms)), `"arm" is %q, which is no side of a comparison`, text)
}

func checkState(h *belay.HealthStatus) *Error {
	states := []string{string(belay.HealthHealthy), string(belay.HealthUnhealthy), string(belay.HealthUnknown)}
	if !slices.Contains(states, string(h.State)) {
		return bad(suggest(string(h.State), states, "the states are "+list(states)), `"state" is %q, which is no state of a health check`, h.State)
	}
	switch {
	case h.Check == "":
		return bad("", `"check" is empty`)
	case h.Passes < 0 || h.Fails < 0 || h.Latency < 0:
		return bad("", `"passes", "fails" and "latency" cannot be below 0`)
	}
	return nil
}

// checkSample tells whether the numbers of a sample fit together.
func (l *line) checkSample() *Error {
	m := &l.sample
	switch m.Kind {
	case belay.KindEvents:
		if m.X > m.N {
			return bad(`"x" counts the bad ones among "n"; events without a denominator are of kind "count"`, `"x" is %g, more than "n", which is %g`, m.X, m.N)
		}
	case belay.KindCount:
		if m.N == 0 && m.X > 0 {
			return bad(`"n" is the exposure: seconds of an instance, sessions`, `"x" is %g although "n" is 0`, m.X)
		}
	case belay.KindHistogram:
		return checkHistogram(m)
	case belay.KindGauge:
	}
	return nil
}

func checkHistogram(m *belay.Sample) *Error {
	if len(m.LE) != len(m.Count) {
		return bad("give one count for each bound; that of all events is n", `"le" has %d bounds and "count" has %d counts`, len(m.LE), len(m.Count))
	}
	for i := range m.LE {
		switch {
		case math.Abs(m.LE[i]) > maxValue:
			return bad("leave out the bound of all events: their count is n", `"le" has the bound %g, which cannot be`, m.LE[i])
		case i > 0 && m.LE[i] <= m.LE[i-1]:
			return bad("write the bounds in ascending order", `"le" has %g after %g`, m.LE[i], m.LE[i-1])
		case m.Count[i] < 0:
			return bad("", `"count" has %g, want 0 or more`, m.Count[i])
		case i > 0 && m.Count[i] < m.Count[i-1]:
			return bad("counts are cumulative: each is that of all events up to its bound", `"count" has %g after %g`, m.Count[i], m.Count[i-1])
		}
	}
	if last := len(m.Count) - 1; last >= 0 && m.Count[last] > m.N*(1+1e-9) { // those of exponential histograms are rounded
		return bad(`"n" is the count of all events`, `"count" ends with %g, more than "n", which is %g`, m.Count[last], m.N)
	}
	return nil
}

// suggest is `did you mean "x"?`, or another hint when no word is near.
func suggest(got string, known []string, otherwise string) string {
	if near := nearest(got, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return otherwise
}

func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// nearest returns the word of known that got was probably meant to be, or "".
func nearest(got string, known []string) string {
	got = strings.ToLower(got)
	best, least := "", max(1, len(got)/3)+1
	for _, k := range known {
		if d := distance(got, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to change, add or take away to make b of a.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
