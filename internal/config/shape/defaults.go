package shape

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/belaydev/belay/internal/config/unit"
)

// Defaulter is implemented by a struct whose defaults cannot be said in tags.
type Defaulter interface{ Defaults() }

// SetDefaults fills the struct v, which must be addressable, with the defaults of its tags.
func SetDefaults(v reflect.Value) {
	s := Of(v.Type())
	for _, f := range s.Fields {
		if f.Deferred {
			continue
		}
		field := v.Field(f.Index)
		if ClassOf(f.Type, f.Keyed) == Object {
			SetDefaults(field)
			continue
		}
		if f.Default == "" {
			continue
		}
		if err := setText(field, f.Default); err != nil {
			// A default that does not parse is a defect in the tags, found by the first test that runs.
			panic(fmt.Sprintf("default of %s.%s: %v", v.Type(), f.Name, err))
		}
	}
	if d, ok := v.Addr().Interface().(Defaulter); ok {
		d.Defaults()
	}
}

func setText(v reflect.Value, s string) error {
	if ClassOf(v.Type(), false) == List {
		for part := range strings.SplitSeq(s, ",") {
			e := reflect.New(v.Type().Elem()).Elem()
			if err := SetScalar(e, strings.TrimSpace(part)); err != nil {
				return err
			}
			v.Set(reflect.Append(v, e))
		}
		return nil
	}
	return SetScalar(v, s)
}

// SetScalar reads the text of a single value into v. Its error says what would be right.
func SetScalar(v reflect.Value, s string) error {
	switch ClassOf(v.Type(), false) {
	case String:
		v.SetString(s)
	case Int:
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", s)
		}
		v.SetInt(n)
	case Bool:
		if s != "true" && s != "false" {
			return fmt.Errorf("want true or false, got %q", s)
		}
		v.SetBool(s == "true")
	case Duration:
		d, err := unit.ParseDuration(s)
		if err != nil {
			return err
		}
		v.SetInt(int64(d))
	case Scalar:
		return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s))
	case Optional:
		p := reflect.New(v.Type().Elem())
		if err := SetScalar(p.Elem(), s); err != nil {
			return err
		}
		v.Set(p)
	case List, Dict, Keyed, Object:
		return fmt.Errorf("want %s, got %q", Describe(v.Type(), false), s)
	}
	return nil
}

// ScalarText writes the single value v as SetScalar reads it.
func ScalarText(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return unit.FormatDuration(x)
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err != nil {
			return ""
		}
		return string(b)
	}
	return fmt.Sprint(v.Interface())
}

// CheckBounds tells whether the single value v lies within the min and max of f.
func CheckBounds(f Field, v reflect.Value) error {
	for _, bound := range []struct {
		text string
		sign float64
		word string
	}{{f.Min, 1, "least"}, {f.Max, -1, "most"}} {
		if bound.text == "" {
			continue
		}
		limit := reflect.New(v.Type()).Elem()
		if err := SetScalar(limit, bound.text); err != nil {
			panic(fmt.Sprintf("bound of %s: %v", f.Name, err))
		}
		if (number(v)-number(limit))*bound.sign < 0 {
			return fmt.Errorf("%s is out of range; the %s is %s", ScalarText(v), bound.word, ScalarText(limit))
		}
	}
	return nil
}

func number(v reflect.Value) float64 {
	switch {
	case v.CanInt():
		return float64(v.Int())
	case v.CanFloat():
		return v.Float()
	}
	return 0
}
