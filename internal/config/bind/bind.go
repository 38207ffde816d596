// Package bind puts a YAML tree into configuration structs, guided by the description of package shape: it fills
// defaults, refuses unknown and repeated keys, wrong types and wrong units, and remembers where each value was
// written. Binding a second tree into the same struct changes only what that tree gives, which is how an
// environment overrides a service. It knows nothing of what the settings mean.
package bind

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/belaydev/belay/internal/config/problem"
	"github.com/belaydev/belay/internal/config/shape"
	"github.com/belaydev/belay/internal/config/yamldoc"
)

// Place is where a value was written.
type Place struct {
	Path         string // as written in the file, overrides included
	Line, Column int
}

// Places maps the path of a value inside the struct to where it was written.
type Places map[string]Place

// Has tells whether the value at path was written, rather than left to its default.
func (p Places) Has(path string) bool { _, ok := p[path]; return ok }

// Find returns the place of path, or of the nearest value around it that was written. The path of the answer is
// always that of the value that was asked for.
func (p Places) Find(path string) Place {
	rest := ""
	for at := path; ; {
		if place, ok := p[at]; ok {
			place.Path = strings.TrimPrefix(place.Path+rest, ".")
			return place
		}
		i := strings.LastIndexAny(at, ".[")
		if i < 0 {
			root := p[""]
			root.Path = Join(root.Path, path)
			return root
		}
		rest = at[i:] + rest
		at = at[:i]
	}
}

// Join appends a key to a path.
func Join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

// Binder binds trees into one struct.
type Binder struct {
	File     string
	Problems *problem.List
	Places   Places
	// Ignore, when set, names keys of the outermost mapping that are passed over.
	Ignore func(key string) bool

	layers int // trees bound so far
}

// MaxEntries is the most that one list or mapping may hold.
const MaxEntries = 2000

// at is a position in the struct (rel) and in the file (show).
type at struct{ rel, show string }

func (a at) key(k string) at { return at{Join(a.rel, k), Join(a.show, k)} }
func (a at) item(i int) at {
	s := fmt.Sprintf("[%d]", i)
	return at{a.rel + s, a.show + s}
}

// Into binds n into the struct that v points to. show is the path of n in the file. The struct should hold its
// defaults already, see shape.SetDefaults.
func (b *Binder) Into(n *yamldoc.Node, v any, show string) {
	b.layers++
	b.value(n, reflect.ValueOf(v).Elem(), shape.Field{}, at{"", show})
}

func (b *Binder) add(n *yamldoc.Node, a at, message, hint string) {
	if n.Kind.Scalar() && strings.Contains(n.Value, "${") {
		hint = "belay does not replace ${...} in its configuration; write the value, or {env: NAME} for a secret"
	}
	b.Problems.Add(problem.Problem{File: b.File, Line: n.Line, Column: n.Column, Path: a.show, Message: message, Hint: hint})
}

func (b *Binder) value(n *yamldoc.Node, v reflect.Value, f shape.Field, a at) {
	b.Places[a.rel] = Place{Path: a.show, Line: n.Line, Column: n.Column}
	if n.Kind == yamldoc.Null {
		b.add(n, a, "has no value", fmt.Sprintf("give it %s, or remove the key", shape.Describe(v.Type(), f.Keyed)))
		return
	}
	if size := max(len(n.Items), len(n.Entries)); size > MaxEntries {
		b.add(n, a, fmt.Sprintf("%d entries are too many; the most is %d", size, MaxEntries), "")
		return
	}
	switch shape.ClassOf(v.Type(), f.Keyed) {
	case shape.Optional:
		if v.IsNil() {
			p := reflect.New(v.Type().Elem())
			if shape.ClassOf(p.Elem().Type(), false) == shape.Object {
				shape.SetDefaults(p.Elem())
			}
			v.Set(p)
		}
		b.value(n, v.Elem(), f, a)
	case shape.Object:
		b.object(n, v, a)
	case shape.Keyed:
		b.keyed(n, v, f, a)
	case shape.List:
		b.list(n, v, f, a)
	case shape.Dict:
		b.dict(n, v, f, a)
	default:
		b.scalar(n, v, f, a)
	}
}

func (b *Binder) scalar(n *yamldoc.Node, v reflect.Value, f shape.Field, a at) {
	class := shape.ClassOf(v.Type(), false)
	wrong := !n.Kind.Scalar() || (class == shape.Bool) != (n.Kind == yamldoc.Bool) ||
		(class == shape.Int && n.Kind != yamldoc.Number)
	if wrong {
		got := n.Kind.String()
		if n.Kind.Scalar() {
			got = fmt.Sprintf("%q", n.Value)
		}
		b.add(n, a, fmt.Sprintf("want %s, got %s", shape.Describe(v.Type(), false), got), "")
		return
	}
	if len(f.Enum) > 0 && !slices.Contains(f.Enum, n.Value) {
		b.add(n, a, fmt.Sprintf("%q is not one of %s", n.Value, strings.Join(f.Enum, ", ")), suggest(n.Value, f.Enum))
		return
	}
	if err := shape.SetScalar(v, n.Value); err != nil {
		message, hint, _ := strings.Cut(err.Error(), "; ")
		b.add(n, a, message, hint)
		return
	}
	if class == shape.String && (n.Value != "" || f.Required || f.Default != "") {
		if err := shape.CheckFormat(f.Format, n.Value); err != nil {
			message, hint, _ := strings.Cut(err.Error(), "; ")
			b.add(n, a, message, hint)
		}
	}
	if err := shape.CheckBounds(f, v); err != nil {
		message, hint, _ := strings.Cut(err.Error(), "; ")
		b.add(n, a, message, hint)
	}
}

func (b *Binder) list(n *yamldoc.Node, v reflect.Value, f shape.Field, a at) {
	items := n.Items
	if n.Kind != yamldoc.Sequence {
		if !f.Single {
			b.add(n, a, "want a list, got "+n.Kind.String(), "write it as [a, b] or as lines that begin with \"- \"")
			return
		}
		items = []*yamldoc.Node{n}
	}
	if f.Min != "" && len(items) == 0 {
		b.add(n, a, "the list is empty", "")
		return
	}
	here := b.Places[a.rel]
	b.forget(a.rel)
	b.Places[a.rel] = here
	v.SetZero()
	for i, item := range items {
		e := reflect.New(v.Type().Elem()).Elem()
		if shape.ClassOf(e.Type(), false) == shape.Object {
			shape.SetDefaults(e)
		}
		b.value(item, e, shape.Field{Enum: f.Enum, Format: f.Format}, a.item(i))
		v.Set(reflect.Append(v, e))
	}
}

func (b *Binder) dict(n *yamldoc.Node, v reflect.Value, f shape.Field, a at) {
	if n.Kind != yamldoc.Mapping {
		b.add(n, a, "want a mapping of names to texts, got "+n.Kind.String(), "")
		return
	}
	seen := map[string]yamldoc.Entry{}
	for _, e := range n.Entries {
		if b.repeated(e, seen, a) {
			continue
		}
		if f.Format != "" {
			if err := shape.CheckFormat(f.Format, e.Key); err != nil {
				message, hint, _ := strings.Cut(err.Error(), "; ")
				b.add(keyNode(e), a.key(e.Key), message, hint)
				continue
			}
		}
		b.Places[a.key(e.Key).rel] = Place{Path: a.key(e.Key).show, Line: e.Value.Line, Column: e.Value.Column}
		if !e.Value.Kind.Scalar() || e.Value.Kind == yamldoc.Null {
			b.add(e.Value, a.key(e.Key), "want a text, got "+e.Value.Kind.String(), "")
			continue
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(reflect.ValueOf(e.Key), reflect.ValueOf(e.Value.Value))
	}
}

func keyNode(e yamldoc.Entry) *yamldoc.Node {
	return &yamldoc.Node{Kind: yamldoc.Text, Value: e.Key, Line: e.Line, Column: e.Column}
}

func (b *Binder) repeated(e yamldoc.Entry, seen map[string]yamldoc.Entry, a at) bool {
	first, again := seen[e.Key]
	if again {
		b.add(keyNode(e), a.key(e.Key), "duplicate key", fmt.Sprintf("it is already given in line %d", first.Line))
		return true
	}
	seen[e.Key] = e
	return false
}
