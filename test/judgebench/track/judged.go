package track

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/test/judgebench/rival"
)

// Judge is the judge under test among the rules.
const Judge = "belay"

// judged is the judge as a rule, and what it says besides.
type judged struct {
	judge   *judge.Judge
	healthy float64 // when it first called the release healthy; +Inf before
	by      string  // what decided
}

// judgeBy makes the judge under test, by the policy that edit leaves.
func judgeBy(edit func(rival.Facts, *judge.Policy)) rival.Entry {
	return rival.Entry{Name: Judge, What: "the judge under test", Past: true, Alpha: judge.DefaultPolicy().FalseRollbackRate, New: func(f rival.Facts) rival.Rule {
		p := judge.DefaultPolicy()
		p.Deadline = f.Length
		edit(f, &p)
		return &judged{judge: judge.New(p), healthy: math.Inf(1)}
	}}
}

// Observe passes on the tick, however often it comes.
func (r *judged) Observe(v *rival.View) bool {
	card := r.judge.Observe(*v.Tick)
	switch card.Verdict {
	case belay.VerdictRegressed:
		r.by = card.DecidedBy
		return true
	case belay.VerdictHealthy:
		r.healthy = math.Min(r.healthy, card.T)
	case belay.VerdictNone, belay.VerdictInsufficient, belay.VerdictBlind:
	}
	return false
}

// Override is a change of the policy: a field by name, for one signal or, where the watch has no such field, for all.
type Override struct{ signal, field, value string }

// ParseOverrides reads "margin=1.5,error_rate.dispersion=1".
func ParseOverrides(text string) ([]Override, error) {
	var all []Override
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil, fmt.Errorf("read override %q: want name=value", part)
		}
		o := Override{field: name, value: value}
		if signal, field, ok := strings.Cut(name, "."); ok {
			o.signal, o.field = signal, field
		}
		p := judge.DefaultPolicy()
		if err := o.apply(&p); err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// apply changes p.
func (o Override) apply(p *judge.Policy) error {
	if o.signal == "" {
		if found, err := assign(reflect.ValueOf(p).Elem(), o); found || err != nil {
			return err
		}
	}
	applied := false
	for i := range p.Signals {
		if o.signal != "" && o.signal != p.Signals[i].Name {
			continue
		}
		found, err := assign(reflect.ValueOf(&p.Signals[i]).Elem(), o)
		if err != nil {
			return err
		}
		applied = applied || found
	}
	if !applied {
		return fmt.Errorf("set %s: the policy has no such field", o.field)
	}
	return nil
}

// assign sets the field of that name, whatever its case and underscores. Fields are found by reflection so that the
// benchmark follows the policy as it grows.
func assign(v reflect.Value, o Override) (bool, error) {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	for i := range v.NumField() {
		if plain(v.Type().Field(i).Name) != plain(o.field) {
			continue
		}
		f := v.Field(i)
		if f.Kind() == reflect.Pointer {
			f.Set(reflect.New(f.Type().Elem()))
			f = f.Elem()
		}
		return true, set(f, o)
	}
	return false, nil
}

func set(f reflect.Value, o Override) error {
	var err error
	switch f.Kind() {
	case reflect.Float64:
		var x float64
		x, err = strconv.ParseFloat(o.value, 64)
		f.SetFloat(x)
	case reflect.Int:
		var x int64
		x, err = strconv.ParseInt(o.value, 10, 64)
		f.SetInt(x)
	case reflect.Bool:
		var x bool
		x, err = strconv.ParseBool(o.value)
		f.SetBool(x)
	case reflect.String:
		f.SetString(o.value)
	default:
		return fmt.Errorf("set %s: cannot be set from the command line", o.field)
	}
	if err != nil {
		return fmt.Errorf("set %s: %w", o.field, err)
	}
	return nil
}
