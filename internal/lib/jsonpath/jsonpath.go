// Package jsonpath picks one value out of a JSON document by a path such as ".build.version" or
// "$.checks[0]['db:up']". It is not a query language: no wildcards, filters or slices.
package jsonpath

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Path is a parsed path. The zero value is the whole document.
type Path struct {
	steps []step
	text  string
}

type step struct {
	key     string
	index   int
	isIndex bool
}

// String returns the path as it was written.
func (p Path) String() string { return p.text }

// Parse reads a path. A leading "$" or "." may be left out.
func Parse(text string) (Path, error) {
	p := Path{text: text}
	rest := strings.TrimPrefix(text, "$")
	if rest == "." {
		rest = ""
	}
	for rest != "" {
		var s step
		var err error
		switch {
		case rest[0] == '[':
			s, rest, err = bracket(rest)
		case rest[0] == '.':
			s, rest, err = name(rest[1:])
		case len(p.steps) == 0 && rest == text:
			s, rest, err = name(rest)
		default:
			err = fmt.Errorf("unexpected %q", rest)
		}
		if err != nil {
			return Path{}, fmt.Errorf("read JSON path %q: %w", text, err)
		}
		p.steps = append(p.steps, s)
	}
	return p, nil
}

func name(s string) (step, string, error) {
	end := strings.IndexAny(s, ".[")
	if end < 0 {
		end = len(s)
	}
	if end == 0 {
		return step{}, "", errors.New("a name is missing after the dot")
	}
	return step{key: s[:end]}, s[end:], nil
}

func bracket(s string) (step, string, error) {
	if len(s) > 2 && (s[1] == '\'' || s[1] == '"') {
		end := strings.Index(s[2:], string(s[1])+"]")
		if end < 0 {
			return step{}, "", errors.New("a quoted name is not closed")
		}
		return step{key: s[2 : 2+end]}, s[2+end+2:], nil
	}
	end := strings.IndexByte(s, ']')
	if end < 0 {
		return step{}, "", errors.New("a bracket is not closed")
	}
	i, err := strconv.Atoi(s[1:end])
	if err != nil || i < 0 {
		return step{}, "", fmt.Errorf("%q is neither an index nor a quoted name", s[1:end])
	}
	return step{index: i, isIndex: true}, s[end+1:], nil
}

// Get returns the value at the path in a document that Decode returned, and whether it is there.
func (p Path) Get(doc any) (any, bool) {
	for _, s := range p.steps {
		if s.isIndex {
			list, ok := doc.([]any)
			if !ok || s.index >= len(list) {
				return nil, false
			}
			doc = list[s.index]
			continue
		}
		object, ok := doc.(map[string]any)
		if !ok {
			return nil, false
		}
		if doc, ok = object[s.key]; !ok {
			return nil, false
		}
	}
	return doc, true
}

// Decode reads one JSON document. Numbers keep their written form.
func Decode(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read JSON: something follows the document")
	}
	return doc, nil
}

// Text writes a value as people compare it: a string without quotes, a number as written, "true", "null", and
// JSON for the rest.
func Text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
