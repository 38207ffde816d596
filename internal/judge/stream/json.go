package stream

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

// member is one field of an object, as it was written.
type member struct {
	name string
	raw  []byte
}

// scanner takes the JSON of one line apart. encoding/json alone would do it more kindly than is good for evidence: it
// lets a repeated field win, matches names whatever their case, and does not say what is wrong with NaN.
type scanner struct {
	b     []byte
	i     int
	names map[string]string // seen before, so that each is in memory once
}

const maxDepth = 16

// object takes a whole line apart; out is room to reuse.
func (s *scanner) object(out []member) ([]member, *Error) {
	s.space()
	if s.i >= len(s.b) || s.b[s.i] != '{' {
		return nil, bad(`write an object such as {"t":35,"signal":"error_rate","kind":"events","arm":"candidate","n":120,"x":3}`,
			"want a JSON object, got %s", s.here())
	}
	out, err := s.members(out[:0], 0)
	if err != nil {
		return nil, err
	}
	s.space()
	if s.i < len(s.b) {
		return nil, bad("write one object a line", "the line goes on after its object, with %s", s.here())
	}
	return out, nil
}

// members reads an object from its brace on.
func (s *scanner) members(out []member, depth int) ([]member, *Error) {
	s.i++
	for first := true; ; first = false {
		s.space()
		if s.i < len(s.b) && s.b[s.i] == '}' && first {
			s.i++
			return out, nil
		}
		name, err := s.name()
		if err != nil {
			return nil, err
		}
		for _, m := range out {
			if m.name == name {
				return nil, bad("give each field once", "%q is given twice", name)
			}
		}
		if s.space(); s.i >= len(s.b) || s.b[s.i] != ':' {
			return nil, bad("", "want a colon after %q, got %s", name, s.here())
		}
		s.i++
		s.space()
		from := s.i
		if err := s.skip(name, depth+1); err != nil {
			return nil, err
		}
		out = append(out, member{name, s.b[from:s.i]})
		s.space()
		switch {
		case s.i < len(s.b) && s.b[s.i] == ',':
			s.i++
		case s.i < len(s.b) && s.b[s.i] == '}':
			s.i++
			return out, nil
		default:
			return nil, bad("", "want a comma or } after the value of %q, got %s", name, s.here())
		}
	}
}

func (s *scanner) name() (string, *Error) {
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return "", bad("", "want the name of a field in quotation marks, got %s", s.here())
	}
	from := s.i
	if err := s.str(); err != nil {
		return "", err
	}
	return s.text(s.b[from:s.i]), nil
}

// text is the string that raw, which was scanned, stands for.
func (s *scanner) text(raw []byte) string {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		if known, ok := s.names[string(inner)]; ok {
			return known
		}
		text := string(inner)
		if s.names != nil && len(s.names) < 10_000 {
			s.names[text] = text
		}
		return text
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return string(inner) // it was scanned: cannot happen
	}
	return text
}

// skip passes over one value.
func (s *scanner) skip(name string, depth int) *Error {
	if depth > maxDepth {
		return bad("", "the value of %q is nested too deeply", name)
	}
	rest := s.b[min(s.i, len(s.b)):]
	if len(rest) == 0 {
		return bad("was the file cut off while it was written?", "the line ends before the value of %q", name)
	}
	switch c := rest[0]; {
	case c == '"':
		return s.str()
	case c == '{':
		_, err := s.members(nil, depth)
		return err
	case c == '[':
		return s.list(name, depth)
	case c == '-' && len(rest) > 1 && rest[1] == 'I', c == 'I', c == 'N', bytes.HasPrefix(rest, []byte("nan")), bytes.HasPrefix(rest, []byte("inf")):
		return bad("leave the line out where there is no reading", "the value of %q is %s, which is no number", name, s.here())
	case c == '-' || c >= '0' && c <= '9':
		return s.number(name)
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(rest, []byte(word)) {
			s.i += len(word)
			return nil
		}
	}
	return bad("", "the value of %q is no JSON: got %s", name, s.here())
}

func (s *scanner) list(name string, depth int) *Error {
	s.i++
	for first := true; ; first = false {
		s.space()
		if first && s.i < len(s.b) && s.b[s.i] == ']' {
			s.i++
			return nil
		}
		if err := s.skip(name, depth+1); err != nil {
			return err
		}
		s.space()
		switch {
		case s.i < len(s.b) && s.b[s.i] == ',':
			s.i++
		case s.i < len(s.b) && s.b[s.i] == ']':
			s.i++
			return nil
		default:
			return bad("", "want a comma or ] in %q, got %s", name, s.here())
		}
	}
}

// str passes over a string.
func (s *scanner) str() *Error {
	from := s.i
	for s.i++; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			raw := s.b[from:s.i]
			if len(raw) > maxText+2 {
				return bad("", "a text of %d bytes is too long: the most is %d", len(raw)-2, maxText)
			}
			if !utf8.Valid(raw) {
				return bad("write the stream in UTF-8", "the text %s is no UTF-8", strconv.QuoteToASCII(string(raw[1:len(raw)-1])))
			}
			if bytes.IndexByte(raw, '\\') >= 0 && !json.Valid(raw) {
				return bad("", "the text %s has an escape that JSON does not know", raw)
			}
			return nil
		case c == '\\':
			s.i++
		case c < ' ':
			return bad(`write it as \n, \t or \u00XX`, "a text has a control character in it")
		}
	}
	s.i = len(s.b)
	return bad("was the file cut off while it was written?", "the line ends in the middle of a text")
}

// number passes over a number of JSON's grammar, which is narrower than Go's.
func (s *scanner) number(name string) *Error {
	from := s.i
	digits := func() int {
		at := s.i
		for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
			s.i++
		}
		return s.i - at
	}
	has := func(chars string) bool {
		if s.i < len(s.b) && bytes.IndexByte([]byte(chars), s.b[s.i]) >= 0 {
			s.i++
			return true
		}
		return false
	}
	has("-")
	zero := s.i < len(s.b) && s.b[s.i] == '0'
	whole := digits()
	ok := whole > 0 && (!zero || whole == 1)
	if has(".") {
		ok = digits() > 0 && ok
	}
	if has("eE") {
		has("+-")
		ok = digits() > 0 && ok
	}
	if s.i < len(s.b) && bytes.IndexByte([]byte(" \t\r,]}"), s.b[s.i]) < 0 {
		ok = false
	}
	if !ok {
		s.i = from
		return bad("", "the value of %q is no JSON number: got %s", name, s.here())
	}
	return nil
}

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

// here quotes the next few letters of the line.
func (s *scanner) here() string {
	rest := s.b[min(s.i, len(s.b)):]
	if len(rest) == 0 {
		return "the end of the line"
	}
	const most = 16
	if end := bytes.IndexAny(rest[1:], ",]} \t\r"); end >= 0 && end < most {
		return strconv.QuoteToASCII(string(rest[:end+1]))
	}
	if len(rest) > most {
		return strconv.QuoteToASCII(string(rest[:most])) + "..."
	}
	return strconv.QuoteToASCII(string(rest))
}

// float reads a number that was scanned.
func float(name string, raw []byte) (float64, *Error) {
	if c := raw[0]; c != '-' && (c < '0' || c > '9') {
		return 0, bad("", "%q is %s, want a number", name, describe(raw))
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, bad("", "%q is %s, too large for any number", name, short(raw))
	}
	return v + 0, nil // so that -0 is 0
}

// floats reads a list of numbers that was scanned.
func floats(name string, raw []byte) ([]float64, *Error) {
	if raw[0] != '[' {
		return nil, bad("", "%q is %s, want a list of numbers", name, describe(raw))
	}
	var out []float64
	rest := raw[1 : len(raw)-1]
	for len(bytes.TrimSpace(rest)) > 0 {
		part, after, _ := bytes.Cut(rest, []byte(","))
		part = bytes.TrimSpace(part)
		if len(part) == 0 || part[0] == '[' || part[0] == '"' {
			return nil, bad("", "%q is %s, want a list of numbers", name, short(raw))
		}
		v, err := float(name, part)
		if err != nil {
			return nil, err
		}
		out, rest = append(out, v), after
	}
	return out, nil
}

// describe says what kind of value raw is, for a message.
func describe(raw []byte) string {
	switch raw[0] {
	case '"':
		return "the text " + short(raw)
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 't', 'f':
		return string(raw)
	case 'n':
		return "null"
	}
	return "the number " + short(raw)
}

func short(raw []byte) string {
	const most = 40
	if len(raw) > most {
		return string(bytes.ToValidUTF8(raw[:most], nil)) + "..."
	}
	return string(raw)
}
