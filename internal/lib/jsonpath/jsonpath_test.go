package jsonpath_test

import (
	"testing"

	"github.com/belaydev/belay/internal/lib/jsonpath"
)

const doc = `{"version":"1.4.2","build":{"number":17,"ok":true},"checks":[{"db:up":1.50},null],"":{"x":"y"}}`

func TestGet(t *testing.T) {
	for path, want := range map[string]string{
		".version":             "1.4.2",
		"version":              "1.4.2",
		"$.build.number":       "17",
		"build.ok":             "true",
		"$.checks[0]['db:up']": "1.50",
		`checks[0]["db:up"]`:   "1.50",
		".checks[1]":           "null",
		".build":               `{"number":17,"ok":true}`,
		"['']['x']":            "y",
		"$.nothing":            "absent",
		".checks[2]":           "absent",
		".version.x":           "absent",
		".build[0]":            "absent",
	} {
		p, err := jsonpath.Parse(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		d, err := jsonpath.Decode([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		got := "absent"
		if v, ok := p.Get(d); ok {
			got = jsonpath.Text(v)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	for _, whole := range []string{"", "$", "."} {
		p, err := jsonpath.Parse(whole)
		if err != nil {
			t.Errorf("%q: %v", whole, err)
		}
		if v, ok := p.Get("x"); !ok || v != "x" {
			t.Errorf("%q: got %v, %v; want the document", whole, v, ok)
		}
	}
}

func TestBadPathsAndDocuments(t *testing.T) {
	for _, path := range []string{"a..b", ".a.", "a[", "a[x]", "a[-1]", "a['b]", "a[0]c", "$a"} {
		if p, err := jsonpath.Parse(path); err == nil {
			t.Errorf("%q was read as %v", path, p)
		}
	}
	for _, b := range []string{"", "{", "{} {}", "nonsense"} {
		if v, err := jsonpath.Decode([]byte(b)); err == nil {
			t.Errorf("%q was read as %v", b, v)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{".a.b", "$.a[0]['b']", "[", "a[0", "..", `["x"]`} {
		f.Add(s)
	}
	d, err := jsonpath.Decode([]byte(doc))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := jsonpath.Parse(s)
		if err != nil {
			return
		}
		if v, ok := p.Get(d); ok {
			_ = jsonpath.Text(v)
		}
		if p.String() != s {
			t.Errorf("%q became %q", s, p.String())
		}
	})
}
