// Package body reads what the JSON of a health endpoint says: whether the service calls itself broken, which
// of its dependencies are, and which release answered. It knows the formats that frameworks write (health+json,
// Spring Actuator, MicroProfile, ASP.NET, NestJS Terminus, Go and Python libraries) and the flat maps that people
// write by hand. It never fails: what it does not understand it leaves unsaid. It judges nothing.
package body

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/belaydev/belay/internal/lib/jsonpath"
)

// Facts is what a body says.
type Facts struct {
	Down    bool     // the service calls itself broken as a whole
	Status  string   // its own word for it: "DOWN"
	Broken  []string // dependencies that it calls broken, sorted
	Release string   // the version that it reports
}

const (
	maxBroken = 20
	maxText   = 100
	maxDepth  = 8
)

// Read returns the facts of a body; none for a body that is not a JSON object.
func Read(b []byte) Facts {
	doc, err := jsonpath.Decode(b)
	if err != nil {
		return Facts{}
	}
	top, ok := doc.(map[string]any)
	if !ok {
		return Facts{}
	}
	r := &reader{broken: map[string]bool{}}
	f := Facts{Release: release(top)}
	if s, ok := statusOf(top); ok {
		f.Status, f.Down = shorten(s.text), s.bad
	}
	r.topLevel(top)
	for name := range r.broken {
		f.Broken = append(f.Broken, name)
	}
	slices.Sort(f.Broken)
	f.Broken = f.Broken[:min(len(f.Broken), maxBroken)]
	return f
}

type reader struct{ broken map[string]bool }

// topLevel looks for containers of dependencies; what is left is read as a hand-written flat map.
func (r *reader) topLevel(top map[string]any) {
	for key, value := range top {
		switch word := fold(key); {
		case slices.Contains(containers(), word):
			r.container("", value, 0)
		case word == "failures" || word == "failed" || word == "errors":
			r.failures(value)
		case slices.Contains(notDependencies(), word):
		default:
			r.flat(key, value)
		}
	}
}

func (r *reader) flat(key string, value any) {
	switch v := value.(type) {
	case string:
		if bad(v) {
			r.add(key)
		}
	case bool:
		// A false may mean anything ("debug": false); only of a name that is a dependency it means down.
		if !v && slices.Contains(wellKnown(), fold(key)) {
			r.add(key)
		}
	case map[string]any:
		if _, ok := statusOf(v); ok {
			r.entry(key, v, 0)
		}
	}
}

// container reads a map of name to dependency, or a list of dependencies that carry their names. It tells
// whether one of them is broken.
func (r *reader) container(prefix string, value any, depth int) (found bool) {
	switch v := value.(type) {
	case map[string]any:
		for name, one := range v {
			found = r.entry(join(prefix, name), one, depth) || found
		}
	case []any:
		for _, one := range v {
			object, ok := one.(map[string]any)
			if !ok {
				continue
			}
			if name := nameOf(object); name != "" {
				found = r.entry(join(prefix, name), object, depth) || found
			}
		}
	}
	return found
}

// entry reads one dependency and tells whether it is broken. Nested ones are named in its place, because they
// say more.
func (r *reader) entry(name string, value any, depth int) (found bool) {
	if depth > maxDepth {
		return false
	}
	switch v := value.(type) {
	case string:
		found = bad(v)
	case bool:
		found = !v
	case []any: // health+json: one element per node of the dependency
		for _, one := range v {
			found = r.entry(name, one, depth+1) || found
		}
		return found
	case map[string]any:
		for _, key := range []string{"components", "checks", "entries", "dependencies"} {
			if nested, ok := lookup(v, key); ok {
				found = r.container(name, nested, depth+1) || found
			}
		}
		if found {
			return true
		}
		s, ok := statusOf(v)
		found = ok && s.bad
	}
	if found {
		r.add(name)
	}
	return found
}

// failures reads the container in which some libraries list only what is broken.
func (r *reader) failures(value any) {
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			r.add(name)
		}
	case []any:
		for _, one := range v {
			if s, ok := one.(string); ok {
				r.add(s)
			} else if object, ok := one.(map[string]any); ok {
				r.add(nameOf(object))
			}
		}
	}
}

func (r *reader) add(name string) {
	if name = shorten(name); name != "" {
		r.broken[name] = true
	}
}

type status struct {
	text string
	bad  bool
}

// statusOf finds the field in which an object tells its state.
func statusOf(object map[string]any) (status, bool) {
	for _, key := range []string{"status", "state", "health", "result", "outcome", "overall", "healthy", "passed", "success", "ok", "up", "available", "alive", "connected"} {
		value, found := lookup(object, key)
		if !found {
			continue
		}
		switch v := value.(type) {
		case string:
			return status{v, bad(v)}, true
		case bool:
			return status{key + "=" + jsonpath.Text(v), !v}, true
		case map[string]any: // Spring nests {"status":{"code":"DOWN"}}
			if code, ok := v["code"].(string); ok {
				return status{code, bad(code)}, true
			}
		}
	}
	return status{}, false
}

// bad tells whether a word says broken. Warnings and unknown words do not.
func bad(word string) bool {
	word = strings.ToLower(strings.TrimSpace(word))
	if slices.Contains([]string{
		"down", "fail", "failed", "failing", "failure", "error", "err", "unhealthy", "critical", "ko", "not ok", "notok", "nok",
		"out_of_service", "out of service", "unavailable", "service unavailable", "offline", "disconnected", "not connected",
		"unreachable", "not_serving", "broken", "dead", "timeout", "timed out", "refused", "connection refused", "red", "bad", "false",
	}, word) {
		return true
	}
	// "error: could not connect to server", "unavailable: timeout"
	for _, prefix := range []string{"error:", "unavailable:", "down:", "failed:", "fail:", "unhealthy:", "error (", "error -"} {
		if strings.HasPrefix(word, prefix) {
			return true
		}
	}
	return false
}

func release(top map[string]any) string {
	// releaseId before version: in health+json the latter is the public version of the interface.
	for _, path := range [][]string{
		{"releaseid"}, {"release"}, {"version"}, {"appversion"}, {"serviceversion"}, {"buildversion"},
		{"build", "version"}, {"app", "version"}, {"info", "version"}, {"info", "app", "version"}, {"info", "build", "version"}, {"service", "version"},
	} {
		var value any = top
		for _, key := range path {
			object, ok := value.(map[string]any)
			if !ok {
				value = nil
				break
			}
			value, _ = lookup(object, key)
		}
		switch value.(type) {
		case nil, bool, map[string]any, []any:
		default:
			if s := strings.TrimSpace(jsonpath.Text(value)); s != "" {
				return shorten(s)
			}
		}
	}
	return ""
}

func nameOf(object map[string]any) string {
	for _, key := range []string{"name", "key", "component", "componentid", "checker", "check", "service", "dependency", "id"} {
		if v, ok := lookup(object, key); ok {
			if s, ok := v.(string); ok && s != "" {
				return s
			}
		}
	}
	return ""
}

// lookup finds a key whatever its case and separators: releaseId, release_id, ReleaseID. Of several it takes
// the first by spelling, so that the answer does not depend on the order of a map.
func lookup(object map[string]any, word string) (any, bool) {
	if v, ok := object[word]; ok {
		return v, true
	}
	best := ""
	for key := range object {
		if fold(key) == word && (best == "" || key < best) {
			best = key
		}
	}
	return object[best], best != ""
}

func fold(key string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(key))
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "/" + name
}

// shorten keeps a foreign text printable and small.
func shorten(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "..."
	}
	return strings.TrimSpace(s)
}

func containers() []string {
	return []string{"checks", "components", "entries", "results", "dependencies", "details", "services", "subsystems", "error", "probes"}
}

// notDependencies are fields about the service itself.
func notDependencies() []string {
	return []string{
		"status", "state", "health", "result", "outcome", "overall", "healthy", "passed", "success", "ok", "up", "available", "alive", "connected",
		"message", "msg", "description", "output", "notes", "note", "reason", "mode", "environment", "env", "level", "color", "info",
		"version", "release", "releaseid", "serviceid", "links", "name", "app", "build",
	}
}

func wellKnown() []string {
	return []string{
		"db", "database", "sql", "postgres", "postgresql", "mysql", "mariadb", "sqlite", "oracle", "mongo", "mongodb", "redis", "cache", "memcached",
		"queue", "broker", "rabbit", "rabbitmq", "kafka", "nats", "celery", "elasticsearch", "opensearch", "search", "storage", "disk", "s3", "smtp", "mail",
	}
}
