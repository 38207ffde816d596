// Package shape reads what a configuration struct says about itself in its tags. Decoding, defaults, the JSON
// Schema, the reference page and "belay config show" are all made from this one description, so that they cannot
// differ. It knows nothing of what the settings mean.
//
// Tags of a field:
//
//	yaml:"name,option,..."  the key; options are
//	                          required  it must be given
//	                          keyed     a slice written as a mapping: the key goes into the element's "-,key" field
//	                          off       with keyed: a default entry may be set to "off"
//	                          single    a slice that may be written as one element without the list
//	                          key       (with name "-") receives the key of a keyed slice
//	                          deferred  not decoded: the owner of the type handles it; it is described all the same
//	by:"..."                with deferred: elements of a keyed slice that share their key are written below this
//	                        field, by the value of the named one
//	doc:"..."               one or more sentences for people
//	default:"..."           the value when the key is absent, written as in the file
//	enum:"a|b"              the values that are allowed
//	format:"..."            the form of a string, see Format
//	min:"..." max:"..."     bounds of a number, a duration or a percentage, written as in the file; a list that
//	                        has a min may not be empty
//	example:"..."           shown in the reference
//
// A blank field (_) describes the struct itself: doc, shorthand:"key" (a value that is no mapping stands for
// {key: value}; "*" means every key), bare (what to say to a value that is no mapping) and oneof:"a b c" (exactly one of these keys is given; with "?" as first word, at most one).
package shape

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay/internal/config/unit"
)

// Field is one key of a mapping.
type Field struct {
	Index   int // in the Go struct
	Owner   reflect.Type
	Name    string
	Type    reflect.Type
	Doc     string
	Default string
	Example string
	Format  string
	Min     string
	Max     string
	By      string
	Enum    []string

	Required, Keyed, Off, Single, Deferred bool
}

// Struct is the description of a mapping.
type Struct struct {
	Doc       string
	Fields    []Field
	Shorthand string   // key that a bare value stands for; "*" for all; empty when none
	Bare      string   // what is said to a bare value; empty for the usual
	OneOf     []string // one of these is given
	Optional  bool     // of OneOf none may be given either
	KeyField  int      // index of the Go field that receives the key of a keyed slice, or -1
}

// Field returns the field with that name.
func (s Struct) Field(name string) (Field, bool) {
	i := slices.IndexFunc(s.Fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return s.Fields[i], true
}

// Of describes a struct type.
func Of(t reflect.Type) Struct {
	out := Struct{KeyField: -1}
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options := cut(sf.Tag.Get("yaml"))
		switch {
		case slices.Contains(options, "key"):
			out.KeyField = i
			continue
		case name == "-":
			continue
		case name == "":
			out.Doc += sf.Tag.Get("doc")
			out.Bare += sf.Tag.Get("bare")
			out.Shorthand += sf.Tag.Get("shorthand")
			choice, optional := strings.CutPrefix(sf.Tag.Get("oneof"), "?")
			out.OneOf = append(out.OneOf, strings.Fields(choice)...)
			out.Optional = out.Optional || optional
			continue
		}
		f := Field{Index: i, Owner: t, By: sf.Tag.Get("by"), Name: name, Type: sf.Type, Doc: sf.Tag.Get("doc"), Default: sf.Tag.Get("default"),
			Example: sf.Tag.Get("example"), Format: sf.Tag.Get("format"), Min: sf.Tag.Get("min"), Max: sf.Tag.Get("max"),
			Required: slices.Contains(options, "required"), Keyed: slices.Contains(options, "keyed"),
			Off: slices.Contains(options, "off"), Single: slices.Contains(options, "single"),
			Deferred: slices.Contains(options, "deferred")}
		if e := sf.Tag.Get("enum"); e != "" {
			f.Enum = strings.Split(e, "|")
		}
		out.Fields = append(out.Fields, f)
	}
	return out
}

func cut(tag string) (name string, options []string) {
	parts := strings.Split(tag, ",")
	return parts[0], parts[1:]
}

// Class is how a type is written in the file.
type Class int

// The classes.
const (
	String Class = iota
	Int
	Bool
	Duration
	Scalar // a type of package unit, read by UnmarshalText
	List
	Dict // a mapping with any keys and text values
	Keyed
	Object
	Optional // a pointer: absent or the class of its element
)

// ClassOf tells how a field, or an element of a list, is written.
func ClassOf(t reflect.Type, keyed bool) Class {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return Duration
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return Scalar
	}
	switch t.Kind() {
	case reflect.Pointer:
		return Optional
	case reflect.Struct:
		return Object
	case reflect.Map:
		return Dict
	case reflect.Slice:
		if keyed {
			return Keyed
		}
		return List
	case reflect.Bool:
		return Bool
	case reflect.Int:
		return Int
	default:
		return String
	}
}

// Describe says what is wanted of a value, for messages: "a duration such as 30s".
func Describe(t reflect.Type, keyed bool) string {
	switch ClassOf(t, keyed) {
	case String:
		return "a text"
	case Int:
		return "a whole number"
	case Bool:
		return "true or false"
	case Duration:
		return "a duration such as 30s"
	case Scalar:
		return describeScalar(t)
	case List:
		return "a list"
	case Dict, Keyed, Object:
		return "a mapping"
	case Optional:
		return Describe(t.Elem(), keyed)
	}
	return "another value"
}

func describeScalar(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[unit.Percent](), reflect.TypeFor[unit.Weight]():
		return "a percentage such as 5%"
	case reflect.TypeFor[unit.Factor]():
		return "a factor such as 1.5"
	case reflect.TypeFor[unit.Size]():
		return "a size such as 2GiB"
	case reflect.TypeFor[unit.Quantity]():
		return "a number with its unit such as 5% or 1s"
	case reflect.TypeFor[unit.StatusRange]():
		return "an HTTP status such as 200 or 200-299"
	}
	return "a text"
}
