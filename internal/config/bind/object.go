package bind

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/belaydev/belay/internal/config/shape"
	"github.com/belaydev/belay/internal/config/yamldoc"
)

// Off is the value that takes a default entry out of a keyed list.
const Off = "off"

func (b *Binder) object(n *yamldoc.Node, v reflect.Value, a at) {
	s := shape.Of(v.Type())
	if n.Kind != yamldoc.Mapping {
		if n = b.longhand(n, s, a); n == nil {
			return
		}
	}
	b.choose(n, s, v, a)
	seen := map[string]yamldoc.Entry{}
	var meant []string // keys that unknown ones were probably meant to be
	for _, e := range n.Entries {
		if a.rel == "" && b.Ignore != nil && b.Ignore(e.Key) {
			continue
		}
		f, known := s.Field(e.Key)
		if !known {
			b.add(keyNode(e), a.key(e.Key), "unknown key", unknownHint(e.Key, s))
			meant = append(meant, Nearest(e.Key, names(s)))
			continue
		}
		if b.repeated(e, seen, a) || f.Deferred {
			continue
		}
		b.value(e.Value, v.Field(f.Index), f, a.key(e.Key))
	}
	b.complete(n, s, v, a, meant)
}

// choose clears the alternatives of a choice that n makes differently from the tree that was bound before.
func (b *Binder) choose(n *yamldoc.Node, s shape.Struct, v reflect.Value, a at) {
	chosen := false
	for _, name := range s.OneOf {
		chosen = chosen || n.Get(name) != nil
	}
	for _, name := range s.OneOf {
		if f, ok := s.Field(name); ok && chosen && n.Get(name) == nil {
			v.Field(f.Index).SetZero()
			b.forget(a.key(name).rel)
		}
	}
}

// forget drops the places of a value that was replaced.
func (b *Binder) forget(path string) {
	if b.layers < 2 {
		return // nothing was there before
	}
	for p := range b.Places {
		if p == path || strings.HasPrefix(p, path+".") || strings.HasPrefix(p, path+"[") {
			delete(b.Places, p)
		}
	}
}

// longhand writes a bare value as the mapping that it stands for.
func (b *Binder) longhand(n *yamldoc.Node, s shape.Struct, a at) *yamldoc.Node {
	if s.Bare != "" {
		message, hint, _ := strings.Cut(s.Bare, "; ")
		b.add(n, a, message, hint)
		return nil
	}
	switch s.Shorthand {
	case "":
		b.add(n, a, "want a mapping, got "+n.Kind.String(), "its keys are "+list(names(s)))
		return nil
	case "*":
		full := &yamldoc.Node{Kind: yamldoc.Mapping, Line: n.Line, Column: n.Column}
		for _, f := range s.Fields {
			full.Entries = append(full.Entries, yamldoc.Wrap(f.Name, n).Entries...)
		}
		return full
	}
	f, _ := s.Field(s.Shorthand)
	class := shape.ClassOf(f.Type, f.Keyed)
	if n.Kind == yamldoc.Sequence && class != shape.List {
		b.add(n, a, "want a mapping, got a list", "its keys are "+list(names(s)))
		return nil
	}
	return yamldoc.Wrap(s.Shorthand, n)
}

// complete checks that what must be given is given. What an earlier tree gave counts too, and what was meant but
// misspelt was told already.
func (b *Binder) complete(n *yamldoc.Node, s shape.Struct, v reflect.Value, a at, meant []string) {
	for _, f := range s.Fields {
		if f.Required && !b.Places.Has(Join(a.rel, f.Name)) && !slices.Contains(meant, f.Name) {
			b.add(n, a, fmt.Sprintf("%s is missing", f.Name), missingHint(f))
		}
	}
	var given []string
	told := s.Optional || len(s.OneOf) == 0
	for _, name := range s.OneOf {
		if f, ok := s.Field(name); ok && !v.Field(f.Index).IsZero() {
			given = append(given, name)
		}
		// A key that is written but has no value could not be read, which is a problem of its own.
		told = told || slices.Contains(meant, name) || b.Places.Has(Join(a.rel, name))
	}
	switch {
	case len(given) == 0 && !told:
		b.add(n, a, "one of "+list(s.OneOf)+" is missing", "")
	case len(given) > 1:
		b.add(n, a, fmt.Sprintf("%s exclude each other", strings.Join(given, " and ")), "keep one of them")
	}
}

func missingHint(f shape.Field) string {
	if f.Example != "" {
		return fmt.Sprintf("write for example %s: %s", f.Name, f.Example)
	}
	return ""
}

// keyed binds a mapping into a slice: an entry that the slice has already is changed, another is added in the
// order of the file.
func (b *Binder) keyed(n *yamldoc.Node, v reflect.Value, f shape.Field, a at) {
	if n.Kind != yamldoc.Mapping {
		b.add(n, a, "want a mapping, got "+n.Kind.String(), "write one entry per line, as in \"name: ...\"")
		return
	}
	seen := map[string]yamldoc.Entry{}
	for _, e := range n.Entries {
		if b.repeated(e, seen, a) {
			continue
		}
		here := a.key(e.Key)
		if err := shape.CheckFormat(f.Format, e.Key); err != nil {
			message, hint, _ := strings.Cut(err.Error(), "; ")
			b.add(keyNode(e), here, message, hint)
			continue
		}
		if f.Off && e.Value.Kind.Scalar() && (e.Value.Value == Off || e.Value.Value == "false") {
			b.Places[here.rel] = Place{Path: here.show, Line: e.Value.Line, Column: e.Value.Column}
			remove(v, e.Key)
			continue
		}
		b.value(e.Value, element(v, e.Key, f), shape.Field{}, here)
	}
}

// element returns the element of the keyed slice v with that key, added with its defaults when it is new.
func element(v reflect.Value, key string, f shape.Field) reflect.Value {
	if i := index(v, key); i >= 0 {
		return v.Index(i)
	}
	e := reflect.New(v.Type().Elem()).Elem()
	shape.SetDefaults(e)
	e.Field(shape.Of(e.Type()).KeyField).SetString(key)
	if f.Off { // an entry that was off comes back with the defaults that it had
		owner := reflect.New(f.Owner).Elem()
		shape.SetDefaults(owner)
		if i := index(owner.Field(f.Index), key); i >= 0 {
			e = owner.Field(f.Index).Index(i)
		}
	}
	v.Set(reflect.Append(v, e))
	return v.Index(v.Len() - 1)
}

func index(v reflect.Value, key string) int {
	field := shape.Of(v.Type().Elem()).KeyField
	for i := range v.Len() {
		if v.Index(i).Field(field).String() == key {
			return i
		}
	}
	return -1
}

func remove(v reflect.Value, key string) {
	i := index(v, key)
	if i < 0 {
		return
	}
	v.Set(reflect.AppendSlice(v.Slice(0, i), v.Slice(i+1, v.Len())))
	if v.Len() == 0 {
		v.SetZero()
	}
}

func names(s shape.Struct) []string {
	out := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		out[i] = f.Name
	}
	return out
}
