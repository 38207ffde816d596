// Package render writes configuration structs for people and editors, guided by the description of package
// shape: as YAML with all defaults filled in, as a JSON Schema and as a reference page. It knows nothing of what
// the settings mean.
package render

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/belaydev/belay/internal/config/shape"
)

// commented is how deep comments are written: sections and the settings right below them.
const commented = 2

// YAML writes the struct v, with everything that is set and every default. Each text is written as show gives it,
// by the keys that lead to it.
func YAML(v any, show func(path []string, text string) string) ([]byte, error) {
	n, err := object(reflect.ValueOf(v), 0, "")
	if err != nil {
		return nil, err
	}
	rewrite(n, nil, show)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return b.Bytes(), enc.Close()
}

func rewrite(n *yaml.Node, path []string, show func(path []string, text string) string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			rewrite(n.Content[i+1], append(slices.Clone(path), n.Content[i].Value), show)
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			rewrite(c, path, show)
		}
	case yaml.ScalarNode:
		if n.Tag == "!!str" && len(path) > 0 {
			n.Value = show(path, n.Value)
		}
	case yaml.DocumentNode, yaml.AliasNode: // never made here
	}
}

// object writes a struct without the field that is named without.
func object(v reflect.Value, depth int, without string) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range shape.Of(v.Type()).Fields {
		if f.Deferred || f.Name == without || omit(f, v.Field(f.Index)) {
			continue
		}
		c, err := value(f, v, depth)
		if err != nil {
			return nil, err
		}
		key := text(f.Name)
		if depth < commented {
			key.HeadComment = first(f.Doc)
		}
		n.Content = append(n.Content, key, c)
	}
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n, nil
}

// omit leaves out what is not set and has no way to say so: an absent choice, a secret that is not named, a
// list that stands for a default of its own.
func omit(f shape.Field, v reflect.Value) bool {
	switch shape.ClassOf(f.Type, f.Keyed) {
	case shape.Optional:
		return v.IsNil()
	case shape.Object:
		return len(shape.Of(f.Type).OneOf) > 0 && v.IsZero()
	case shape.List, shape.Dict:
		return v.Len() == 0
	case shape.Keyed:
		return v.Len() == 0 && !f.Off
	case shape.String:
		return v.Len() == 0 && f.Default == ""
	case shape.Duration:
		return v.IsZero() && f.Default == "" && f.Min != ""
	case shape.Int, shape.Bool, shape.Scalar:
	}
	return false
}

func value(f shape.Field, owner reflect.Value, depth int) (*yaml.Node, error) {
	v := owner.Field(f.Index)
	if shape.ClassOf(f.Type, f.Keyed) == shape.Keyed {
		return keyed(f, owner, depth)
	}
	return plain(v, depth)
}

func plain(v reflect.Value, depth int) (*yaml.Node, error) {
	switch shape.ClassOf(v.Type(), false) {
	case shape.Optional:
		return plain(v.Elem(), depth)
	case shape.Object:
		return object(v, depth+1, "")
	case shape.List:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			c, err := plain(v.Index(i), commented)
			if err != nil {
				return nil, err
			}
			if c.Kind == yaml.ScalarNode {
				n.Style = yaml.FlowStyle
			}
			n.Content = append(n.Content, c)
		}
		return n, nil
	case shape.Dict:
		n := &yaml.Node{Kind: yaml.MappingNode}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			n.Content = append(n.Content, text(k.String()), text(v.MapIndex(k).String()))
		}
		return n, nil
	case shape.Bool, shape.Int:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: shape.ScalarText(v)}, nil
	default:
		return text(shape.ScalarText(v)), nil
	}
}

// keyed writes a keyed slice as a mapping. A default entry that is missing is written as off.
func keyed(f shape.Field, owner reflect.Value, depth int) (*yaml.Node, error) {
	v := owner.Field(f.Index)
	n := &yaml.Node{Kind: yaml.MappingNode}
	elem := shape.Of(v.Type().Elem())
	count := map[string]int{}
	for i := range v.Len() {
		count[v.Index(i).Field(elem.KeyField).String()]++
	}
	variants := map[string]*yaml.Node{}
	for i := range v.Len() {
		e := v.Index(i)
		key := e.Field(elem.KeyField).String()
		if count[key] > 1 {
			if err := variant(elem, e, n, variants); err != nil {
				return nil, err
			}
			continue
		}
		c, err := object(e, max(depth+1, commented), "")
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, text(key), c)
	}
	if f.Off {
		fresh := reflect.New(owner.Type()).Elem()
		shape.SetDefaults(fresh)
		defaults := fresh.Field(f.Index)
		for i := range defaults.Len() {
			if key := defaults.Index(i).Field(elem.KeyField).String(); count[key] == 0 {
				n.Content = append(n.Content, text(key), text("off"))
			}
		}
	}
	return n, nil
}

// variant writes one of several elements with the same key below the deferred field of their type.
func variant(s shape.Struct, e reflect.Value, parent *yaml.Node, variants map[string]*yaml.Node) error {
	key := e.Field(s.KeyField).String()
	i := slices.IndexFunc(s.Fields, func(f shape.Field) bool { return f.By != "" })
	if i < 0 {
		return fmt.Errorf("write configuration: two entries are named %q", key)
	}
	by, _ := s.Field(s.Fields[i].By)
	c, err := object(e, commented, by.Name)
	if err != nil {
		return err
	}
	if variants[key] == nil {
		variants[key] = &yaml.Node{Kind: yaml.MappingNode}
		parent.Content = append(parent.Content, text(key),
			&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text(s.Fields[i].Name), variants[key]}})
	}
	variants[key].Content = append(variants[key].Content, text(shape.ScalarText(e.Field(by.Index))), c)
	return nil
}

// text is a string scalar; the encoder quotes it where it would be read as something else.
func text(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

// first returns the first sentence of a doc.
func first(doc string) string {
	if i := strings.Index(doc, ". "); i >= 0 {
		return doc[:i+1]
	}
	return doc
}
