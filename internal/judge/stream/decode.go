package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// tags are the names that the fields of T have in JSON.
func tags[T any]() []string { return tagsOf(reflect.TypeFor[T]()) }

func tagsOf(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}

// decode reads an object into a struct, strictly; besides are fields that are read elsewhere.
func decode(raw []byte, into any, besides ...string) *Error {
	if raw[0] != '{' && raw[0] != ' ' && raw[0] != '\t' {
		return bad("", "want an object, got %s", describe(raw))
	}
	s := scanner{b: raw}
	members, err := s.object(nil)
	if err != nil {
		return err
	}
	known := tagsOf(reflect.TypeOf(into).Elem())
	for _, m := range members {
		if !slices.Contains(known, m.name) && !slices.Contains(besides, m.name) {
			return bad(suggest(m.name, known, "the fields here are "+list(known)), "the field %q is unknown", m.name)
		}
		if bytes.Equal(m.raw, []byte("null")) {
			return bad("leave it out", "%q is null", m.name)
		}
	}
	return unmarshal(raw, into)
}

// unmarshal reads JSON that was scanned, and says what has the wrong type.
func unmarshal(raw []byte, into any) *Error {
	err := json.Unmarshal(raw, into)
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if strings.HasPrefix(wrong.Value, "number ") {
			return bad("", "%q is the %s, which does not fit", wrong.Field, wrong.Value)
		}
		return bad("", "%q is %s, want %s", wrong.Field, article(wrong.Value), kindWord(wrong.Type))
	}
	if when, ok := errors.AsType[*time.ParseError](err); ok {
		return bad("", "%s is no time, want one such as 2026-05-01T10:00:00Z", strings.Trim(when.Value, `"`))
	}
	return bad("", "%v", err)
}

func article(word string) string {
	switch word {
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	case "string":
		return "a text"
	case "object":
		return "an object"
	}
	return "a " + word
}

func kindWord(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "an object"
	default:
		return "a number"
	}
}

// learnedOf reads what is known from before.
func learnedOf(raw []byte, into *belay.Learned) *Error {
	if raw[0] != '{' {
		return bad("", `"learned" is %s, want an object`, describe(raw))
	}
	if err := decode(raw, into); err != nil {
		return err
	}
	strict := json.NewDecoder(bytes.NewReader(raw))
	strict.DisallowUnknownFields()
	if err := strict.Decode(new(belay.Learned)); err != nil {
		return bad("", `"learned": %s`, strings.TrimPrefix(err.Error(), "json: "))
	}
	if !sound(reflect.ValueOf(into).Elem()) {
		return bad("", `"learned" has a number that is too large to be true`)
	}
	for i := range into.Signals {
		s := &into.Signals[i]
		switch {
		case !slices.Contains(sampleKinds(), string(s.Kind)):
			return bad("want one of "+strings.Join(sampleKinds(), ", "), `"learned": %s is of the unknown kind %q`, s.Signal, s.Kind)
		case negative(s):
			return bad("", `"learned": a count or a sum of squares of %s is negative`, s.Signal)
		case s.Scale != nil && s.Scale.Unit == 0:
			return bad("", `"learned": the scale of %s has no "unit"`, s.Signal)
		}
	}
	return nil
}

// negative tells whether any sum is, that no observation makes less.
func negative(s *belay.LearnedSignal) bool {
	least := 0.0
	for _, v := range s.Bad {
		least = min(least, v.N, v.X, v.Expected)
	}
	for _, v := range s.Clumps {
		least = min(least, v.Excess, v.Usual, v.Blocks, v.Events)
	}
	for _, v := range slices.Concat(s.Speeds, s.Levels) {
		least = min(least, v.N, v.Squares, v.Pairs, v.Spacing)
	}
	if s.Scale != nil {
		least = min(least, s.Scale.Offset, s.Scale.Unit)
	}
	return least < 0
}

// sound tells whether all numbers in v are of a believable size.
func sound(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Float64:
		return math.Abs(v.Float()) <= maxValue
	case reflect.Slice:
		for i := range v.Len() {
			if !sound(v.Index(i)) {
				return false
			}
		}
	case reflect.Pointer:
		return v.IsNil() || sound(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && !sound(v.Field(i)) {
				return false
			}
		}
	default: // no number
	}
	return true
}
