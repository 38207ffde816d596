package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/config/shape"
)

func schema(t testing.TB) map[string]any {
	t.Helper()
	b, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchemaKnowsEveryKey walks the types beside the schema: every key is there with its description.
func TestSchemaKnowsEveryKey(t *testing.T) {
	s := schema(t)
	if got := s["$schema"]; got != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema is %v", got)
	}
	defs, _ := s["$defs"].(map[string]any)
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type, map[string]any)
	walk = func(typ reflect.Type, node map[string]any) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if shape.ClassOf(typ, false) != shape.Object || seen[typ] {
			return
		}
		seen[typ] = true
		if node == nil {
			node, _ = defs[typ.Name()].(map[string]any)
		}
		properties := find(node, "properties")
		for _, f := range shape.Of(typ).Fields {
			p, _ := properties[f.Name].(map[string]any)
			if p == nil || p["description"] == "" || f.Doc == "" {
				t.Errorf("%s.%s has no property or no description in the schema", typ.Name(), f.Name)
			}
			if f.Default != "" && p["default"] == nil {
				t.Errorf("%s.%s has no default in the schema", typ.Name(), f.Name)
			}
			walk(f.Type, nil)
		}
	}
	walk(reflect.TypeFor[config.Config](), s)
	if len(seen) < 20 {
		t.Errorf("only %d types were seen", len(seen))
	}
}

// find returns the properties of an object schema or of the object among its alternatives.
func find(node map[string]any, key string) map[string]any {
	if p, ok := node[key].(map[string]any); ok {
		return p
	}
	alternatives, _ := node["anyOf"].([]any)
	for _, a := range alternatives {
		m, _ := a.(map[string]any)
		if p := find(m, key); p != nil && m["type"] == "object" {
			return p
		}
	}
	return nil
}

func TestSchemaAcceptsGoodFiles(t *testing.T) {
	s := schema(t)
	for _, file := range goodFiles(t) {
		c, err := config.Load(file, env)
		if err != nil {
			t.Fatal(err)
		}
		shown, err := c.YAML()
		if err != nil {
			t.Fatal(err)
		}
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string][]byte{file: src, file + " as shown": shown} {
			if err := validate(s, s, load(t, text), ""); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

// TestSchemaRefuses names the mistakes that an editor shows too.
func TestSchemaRefuses(t *testing.T) {
	s := schema(t)
	for _, name := range []string{"unknown-key", "unknown-section", "duration-without-unit", "duration-wrong-unit", "size-wrong-unit",
		"step-two-drivers", "step-no-driver", "health-two-kinds", "secret-literal", "secret-both", "webhook-event", "webhook-without-url",
		"on-timeout", "steps-plain", "signal-name", "bool-as-text", "rise-zero", "command-and-steps", "signal-direction", "environment-empty"} {
		src, err := os.ReadFile(filepath.Join("testdata/bad", name+".bad.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if validate(s, s, load(t, src), "") == nil {
			t.Errorf("the schema accepts %s", name)
		}
	}
}

func load(t testing.TB, text []byte) any {
	t.Helper()
	var v any
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// validate checks v against the part of JSON Schema that ours uses, and refuses any other keyword.
func validate(root, s map[string]any, v any, path string) error {
	for keyword, arg := range s {
		if err := keywordHolds(root, s, keyword, arg, v, path); err != nil {
			return err
		}
	}
	return nil
}

func keywordHolds(root, s map[string]any, keyword string, arg, v any, path string) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s: %s", path, keyword, fmt.Sprintf(format, args...))
	}
	switch keyword {
	case "$schema", "$id", "$defs", "title", "description", "default", "examples", "properties", "patternProperties":
	case "$ref":
		target, _ := root["$defs"].(map[string]any)[strings.TrimPrefix(arg.(string), "#/$defs/")].(map[string]any)
		if target == nil {
			return bad("no definition %v", arg)
		}
		return validate(root, target, v, path)
	case "type":
		if !slices.ContainsFunc(list(arg), func(t any) bool { return typeOf(v, t) }) {
			return bad("%v is not %v", v, arg)
		}
	case "enum":
		if !slices.Contains(list(arg), v) {
			return bad("%v is not in %v", v, arg)
		}
	case "const":
		if fmt.Sprint(v) != fmt.Sprint(arg) {
			return bad("%v is not %v", v, arg)
		}
	case "pattern":
		if text, ok := v.(string); ok && !regexp.MustCompile(arg.(string)).MatchString(text) {
			return bad("%q does not match %v", text, arg)
		}
	case "minimum", "maximum", "exclusiveMaximum":
		n, ok := number(v)
		limit := arg.(float64)
		if ok && (keyword == "minimum" && n < limit || keyword == "maximum" && n > limit || keyword == "exclusiveMaximum" && n >= limit) {
			return bad("%v against %v", n, limit)
		}
	case "minItems":
		if items, ok := v.([]any); ok && len(items) < int(arg.(float64)) {
			return bad("%d items", len(items))
		}
	case "minProperties":
		if m, ok := v.(map[string]any); ok && len(m) < int(arg.(float64)) {
			return bad("%d keys", len(m))
		}
	case "items":
		items, _ := v.([]any)
		for i, item := range items {
			if err := validate(root, arg.(map[string]any), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case "required":
		m, isMap := v.(map[string]any)
		for _, key := range list(arg) {
			if _, ok := m[key.(string)]; isMap && !ok {
				return bad("no %v", key)
			}
		}
	case "propertyNames":
		m, _ := v.(map[string]any)
		for key := range m {
			if err := validate(root, arg.(map[string]any), key, path+"."+key); err != nil {
				return err
			}
		}
	case "additionalProperties":
		return propertiesHold(root, s, v, path)
	case "anyOf", "oneOf":
		matches := 0
		var first error
		for _, a := range list(arg) {
			if err := validate(root, a.(map[string]any), v, path); err == nil {
				matches++
			} else if first == nil || len(err.Error()) > len(first.Error()) {
				first = err
			}
		}
		if matches == 0 || keyword == "oneOf" && matches > 1 {
			return bad("%d match: %v", matches, first)
		}
	case "not":
		if validate(root, arg.(map[string]any), v, path) == nil {
			return bad("matches")
		}
	default:
		return bad("unknown keyword")
	}
	return nil
}

func propertiesHold(root, s map[string]any, v any, path string) error {
	m, _ := v.(map[string]any)
	properties, _ := s["properties"].(map[string]any)
	patterns, _ := s["patternProperties"].(map[string]any)
	for key, value := range m {
		if p, ok := properties[key].(map[string]any); ok {
			if err := validate(root, p, value, path+"."+key); err != nil {
				return err
			}
			continue
		}
		passed := false
		for p := range patterns {
			passed = passed || regexp.MustCompile(p).MatchString(key)
		}
		more, _ := s["additionalProperties"].(map[string]any)
		if passed {
			continue
		}
		if more == nil {
			return fmt.Errorf("%s: unknown key %s", path, key)
		}
		if err := validate(root, more, value, path+"."+key); err != nil {
			return err
		}
	}
	return nil
}

func list(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	return []any{v}
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

func typeOf(v, want any) bool {
	_, isNumber := number(v)
	switch want {
	case "object":
		_, ok := v.(map[string]any)
		return ok
	case "array":
		_, ok := v.([]any)
		return ok
	case "string":
		_, ok := v.(string)
		return ok
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "integer":
		_, ok := v.(int)
		return ok
	case "number":
		return isNumber
	case "null":
		return v == nil
	}
	return false
}
