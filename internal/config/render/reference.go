package render

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/belaydev/belay/internal/config/shape"
)

// Reference writes every key of the struct type t as Markdown, one table per section.
func Reference(t reflect.Type) []byte {
	r := &reference{seen: map[reflect.Type]string{}}
	r.section("", t)
	return []byte(strings.TrimSuffix(r.b.String(), "\n"))
}

type reference struct {
	b    strings.Builder
	seen map[reflect.Type]string // section that describes the type
}

// below is a section that follows the one that mentions it.
type below struct {
	path string
	t    reflect.Type
}

func (r *reference) section(path string, t reflect.Type) {
	s := shape.Of(t)
	r.seen[t] = path
	if path != "" {
		fmt.Fprintf(&r.b, "## `%s`\n\n", path)
	}
	if s.Doc != "" {
		r.b.WriteString(s.Doc + "\n\n")
	}
	switch {
	case s.Shorthand == "*":
		r.b.WriteString("A bare value stands for all of these keys.\n\n")
	case s.Shorthand != "":
		fmt.Fprintf(&r.b, "A bare value stands for `%s`.\n\n", s.Shorthand)
	}
	if len(s.OneOf) > 0 {
		most := "Exactly"
		if s.Optional {
			most = "At most"
		}
		fmt.Fprintf(&r.b, "%s one of `%s` is given.\n\n", most, strings.Join(s.OneOf, "`, `"))
	}
	r.b.WriteString("| Key | Value | Default | Meaning |\n| --- | --- | --- | --- |\n")
	var nested []below
	for _, f := range s.Fields {
		inner := r.row(path, f)
		if inner.t != nil {
			nested = append(nested, inner)
		}
	}
	r.b.WriteString("\n")
	for _, n := range nested {
		if _, done := r.seen[n.t]; !done {
			r.section(n.path, n.t)
		}
	}
}

func (r *reference) row(path string, f shape.Field) below {
	value, t, suffix := describe(f)
	doc := f.Doc
	if len(f.Enum) > 0 {
		doc += " One of `" + strings.Join(f.Enum, "`, `") + "`."
	}
	for _, bound := range []struct{ word, text string }{{"least", f.Min}, {"most", f.Max}} {
		if c := shape.ClassOf(f.Type, f.Keyed); bound.text != "" && c != shape.List {
			doc += fmt.Sprintf(" The %s is `%s`.", bound.word, bound.text)
		}
	}
	if f.Example != "" {
		doc += fmt.Sprintf(" For example `%s`.", f.Example)
	}
	def := ""
	switch {
	case f.Default != "":
		def = "`" + f.Default + "`"
	case f.Required:
		def = "required"
	}
	inner := below{}
	if t != nil {
		inner = below{strings.TrimPrefix(path+"."+f.Name+suffix, "."), t}
		if at, done := r.seen[t]; done {
			doc += fmt.Sprintf(" Its keys are those of `%s`.", at)
		}
	}
	fmt.Fprintf(&r.b, "| `%s` | %s | %s | %s |\n", f.Name, value, def, strings.ReplaceAll(doc, "|", `\|`))
	return inner
}

// describe says what a field holds; t is the struct that is described in a section of its own, if any.
func describe(f shape.Field) (value string, t reflect.Type, suffix string) {
	switch shape.ClassOf(f.Type, f.Keyed) {
	case shape.Optional:
		if shape.ClassOf(f.Type.Elem(), false) == shape.Object {
			return "mapping", f.Type.Elem(), ""
		}
		return trim(shape.Describe(f.Type, false)), nil, ""
	case shape.Object:
		return "mapping", f.Type, ""
	case shape.Keyed:
		return "mapping by name", f.Type.Elem(), ".NAME"
	case shape.Dict:
		if f.Deferred {
			return "mapping by name", f.Type.Elem(), ".NAME"
		}
		return "mapping of texts", nil, ""
	case shape.List:
		value = "list"
		if f.Single {
			value = "one or a list"
		}
		if shape.ClassOf(f.Type.Elem(), false) == shape.Object {
			return value, f.Type.Elem(), "[]"
		}
		return value + " of texts", nil, ""
	default:
		return trim(shape.Describe(f.Type, false)), nil, ""
	}
}

// trim makes "duration" of "a duration such as 30s".
func trim(s string) string {
	s, _, _ = strings.Cut(s, " such as ")
	return strings.TrimPrefix(strings.TrimPrefix(s, "a "), "an ")
}
