package storetest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	belay "github.com/belaydev/belay"
)

// epoch is a moment with nanoseconds, in a zone that is not UTC: stores must keep the one and drop the other.
func epoch() time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("test", 2*60*60))
}

func shop() belay.Ref { return belay.Ref{Service: "shop", Environment: "production"} }

// after is the moment n seconds after the epoch.
func after(n int) time.Time { return epoch().Add(time.Duration(n) * time.Second) }

func deployment(id string, n int) belay.Deployment {
	return belay.Deployment{
		ID: id, Ref: shop(), State: belay.StateWatching, Actor: "user:ann",
		Release: belay.Release{Version: "1.1", Digest: "sha256:new"}, Previous: belay.Release{Version: "1.0"},
		Weight: 50, CreatedAt: after(n),
	}
}

func rollback(id string, n int) belay.Rollback {
	return belay.Rollback{
		ID: id, State: belay.RollbackRunning, Actor: "belay", StartedAt: after(n),
		Plan: belay.Plan{ID: id, Ref: shop(), Trigger: "regressed", CreatedAt: after(n)},
	}
}

func event(id, deployment string, n int) belay.Event {
	return belay.Event{
		ID: id, Time: after(n), Ref: shop(), Deployment: deployment, Actor: "belay",
		Kind: belay.EventState, State: belay.StateWatching, Message: "event " + id,
	}
}

func events(from, to int, deployment string) []belay.Event {
	var out []belay.Event
	for i := from; i < to; i++ {
		out = append(out, event(fmt.Sprintf("e-%04d", i), deployment, i))
	}
	return out
}

// filled sets every field of v, and of all below it, to something that is not zero, so that a field which a store
// forgets is noticed the day it is added.
func filled[T any](v T) T {
	n := 0
	fill(reflect.ValueOf(&v).Elem(), &n, 0)
	return v
}

func fill(v reflect.Value, n *int, depth int) {
	*n++
	if depth > 6 {
		return
	}
	if t, ok := v.Addr().Interface().(*time.Time); ok {
		*t = after(*n)
		return
	}
	if raw, ok := v.Addr().Interface().(*json.RawMessage); ok {
		*raw = json.RawMessage(fmt.Sprintf(`{"n":%d}`, *n))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d <&> \u00e4", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n, depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n, depth+1)
		fill(v.Index(1), n, depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n, depth+1)
			}
		}
	default: // an interface or a map stays empty
	}
}

// same compares two records by what they say: times by the instant.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	g, w := inUTC(t, got), inUTC(t, want)
	if g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func inUTC(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	b, err = json.MarshalIndent(walk(tree), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func walk(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = walk(v[k])
		}
	case []any:
		for i := range v {
			v[i] = walk(v[i])
		}
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return at.UTC().Format(time.RFC3339Nano)
		}
	}
	return v
}

// ids lists what identifies a list's entries.
func ids[T any](list []T, id func(T) string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = id(v)
	}
	return out
}

func eventID(e belay.Event) string           { return e.ID }
func deploymentID(d belay.Deployment) string { return d.ID }
func rollbackID(r belay.Rollback) string     { return r.ID }

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, what string, err error, code belay.Code) {
	t.Helper()
	if belay.CodeOf(err) != code {
		t.Errorf("%s: error %v has code %q, want %q", what, err, belay.CodeOf(err), code)
	}
}
