package render

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/belaydev/belay/internal/config/shape"
	"github.com/belaydev/belay/internal/config/unit"
)

// dict is a JSON object; encoding/json writes its keys in order.
type dict = map[string]any

// Schema writes the JSON Schema (draft 2020-12) of the struct type t.
func Schema(t reflect.Type, id, title string) ([]byte, error) {
	s := &schema{defs: dict{}}
	root := s.object(t)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = id
	root["title"] = title
	root["patternProperties"] = dict{"^x-": true}
	root["$defs"] = s.defs
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	return append(b, '\n'), nil
}

type schema struct{ defs dict }

// ref returns a reference to the definition of struct t, made when it is met first.
func (s *schema) ref(t reflect.Type) dict {
	name := t.Name()
	if _, ok := s.defs[name]; !ok {
		s.defs[name] = nil // types may hold themselves
		s.defs[name] = s.orShort(t)
	}
	return dict{"$ref": "#/$defs/" + name}
}

// orShort allows the bare value that stands for a mapping, if there is one.
func (s *schema) orShort(t reflect.Type) dict {
	d := shape.Of(t)
	full := s.object(t)
	short := d.Shorthand
	if short == "" {
		return full
	}
	if short == "*" {
		short = d.Fields[0].Name
	}
	f, _ := d.Field(short)
	doc := full["description"]
	delete(full, "description")
	out := dict{"anyOf": []any{s.field(f, f.Type), full}}
	if doc != nil {
		out["description"] = doc
	}
	return out
}

func (s *schema) object(t reflect.Type) dict {
	d := shape.Of(t)
	properties := dict{}
	var required []string
	for _, f := range d.Fields {
		p := s.field(f, f.Type)
		p["description"] = f.Doc
		if def, ok := defaultOf(f); ok {
			p["default"] = def
		}
		if f.Example != "" {
			p["examples"] = []any{f.Example}
		}
		properties[f.Name] = p
		if f.Required {
			required = append(required, f.Name)
		}
	}
	out := dict{"type": "object", "additionalProperties": false, "properties": properties}
	if d.Doc != "" {
		out["description"] = d.Doc
	}
	if len(required) > 0 {
		out["required"] = required
	}
	if len(d.OneOf) > 0 {
		out["oneOf"] = choice(d)
	}
	return out
}

func choice(d shape.Struct) []any {
	var alternatives, all []any
	for _, name := range d.OneOf {
		alternatives = append(alternatives, dict{"required": []string{name}})
		all = append(all, dict{"required": []string{name}})
	}
	if d.Optional {
		alternatives = append(alternatives, dict{"not": dict{"anyOf": all}})
	}
	return alternatives
}

func (s *schema) field(f shape.Field, t reflect.Type) dict {
	switch shape.ClassOf(t, f.Keyed) {
	case shape.Optional:
		return s.field(f, t.Elem())
	case shape.Object:
		return s.ref(t)
	case shape.List:
		item := s.field(shape.Field{Enum: f.Enum, Format: f.Format}, t.Elem())
		list := dict{"type": "array", "items": item}
		if f.Min != "" {
			list["minItems"] = 1
		}
		if f.Single {
			return dict{"anyOf": []any{item, list}}
		}
		return list
	case shape.Keyed:
		return s.keyed(f, t)
	case shape.Dict:
		if f.Deferred {
			return dict{"type": "object", "minProperties": 1, "additionalProperties": dict{"anyOf": []any{s.ref(t.Elem()), dict{"type": "null"}}}}
		}
		out := dict{"type": "object", "additionalProperties": dict{"type": []string{"string", "number", "boolean"}}}
		if p := shape.Pattern(f.Format); p != "" {
			out["propertyNames"] = dict{"pattern": p}
		}
		return out
	default:
		return single(f, t)
	}
}

func (s *schema) keyed(f shape.Field, t reflect.Type) dict {
	entry := s.ref(t.Elem())
	out := dict{"type": "object", "additionalProperties": entry}
	if f.Off {
		off := dict{"anyOf": []any{dict{"enum": []any{"off", false}, "description": "takes it out"}, entry}}
		out["additionalProperties"] = off
		owner := reflect.New(f.Owner).Elem()
		shape.SetDefaults(owner)
		known, list := dict{}, owner.Field(f.Index)
		key := shape.Of(t.Elem()).KeyField
		for i := range list.Len() {
			known[list.Index(i).Field(key).String()] = off
		}
		out["properties"] = known // so that editors offer the built-in names
	}
	if p := shape.Pattern(f.Format); p != "" {
		out["propertyNames"] = dict{"pattern": p}
	}
	return out
}

func single(f shape.Field, t reflect.Type) dict {
	if len(f.Enum) > 0 {
		return dict{"type": "string", "enum": f.Enum}
	}
	switch shape.ClassOf(t, false) {
	case shape.Bool:
		return dict{"type": "boolean"}
	case shape.Int:
		out := dict{"type": "integer"}
		for key, bound := range map[string]string{"minimum": f.Min, "maximum": f.Max} {
			if n, err := strconv.Atoi(bound); err == nil {
				out[key] = n
			}
		}
		return out
	case shape.Duration:
		return dict{"anyOf": []any{dict{"type": "string", "pattern": unit.DurationPattern}, dict{"const": 0}}}
	case shape.Scalar:
		return scalar(t)
	default:
		if p := shape.Pattern(f.Format); p != "" {
			return dict{"type": "string", "pattern": p}
		}
		if f.Format != "" {
			return dict{"type": "string"}
		}
		return dict{"type": []string{"string", "number"}}
	}
}

func scalar(t reflect.Type) dict {
	switch t {
	case reflect.TypeFor[unit.Percent](), reflect.TypeFor[unit.Weight]():
		return dict{"anyOf": []any{dict{"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?%?$"},
			dict{"type": "number", "minimum": 0, "exclusiveMaximum": 1}}}
	case reflect.TypeFor[unit.Factor]():
		return dict{"anyOf": []any{dict{"type": "string", "pattern": unit.FactorPattern}, dict{"type": "number", "minimum": 0}}}
	case reflect.TypeFor[unit.Size]():
		return dict{"anyOf": []any{dict{"type": "string", "pattern": unit.SizePattern}, dict{"const": 0}}}
	case reflect.TypeFor[unit.StatusRange]():
		return dict{"anyOf": []any{dict{"type": "string", "pattern": unit.StatusPattern}, dict{"type": "integer", "minimum": 100, "maximum": 599}}}
	}
	return dict{"type": []string{"string", "number"}}
}

// defaultOf returns the default of a field as JSON.
func defaultOf(f shape.Field) (any, bool) {
	if f.Default == "" {
		return nil, false
	}
	switch shape.ClassOf(f.Type, false) {
	case shape.Bool:
		return f.Default == "true", true
	case shape.Int:
		n, err := strconv.Atoi(f.Default)
		return n, err == nil
	case shape.List:
		return strings.Split(f.Default, ","), true
	default:
		return f.Default, true
	}
}
