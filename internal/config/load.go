package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config/bind"
	"github.com/belaydev/belay/internal/config/problem"
	"github.com/belaydev/belay/internal/config/shape"
	"github.com/belaydev/belay/internal/config/yamldoc"
)

// Problem is one mistake in a file.
type Problem = problem.Problem

// Problems is every mistake of a file, as an error.
type Problems = problem.List //nolint:errname // it is the list that people read, and an error only besides

// Env looks up an environment variable, as os.LookupEnv does.
type Env func(name string) (value string, ok bool)

// QueryCheck says what is wrong with the query of a signal, or nil: whoever evaluates queries knows.
type QueryCheck func(query string) error

// Load reads and checks the file at path. Every mistake of the file is in the error, a *Problems. When env is
// nil, secrets are not read: their Value stays empty and a missing one is no problem.
func Load(path string, env func(string) (string, bool), queries ...QueryCheck) (*Config, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, belay.Errorf(belay.CodeNotFound, "there is no configuration file %s", path).
			WithNext("name another with --config, or begin with examples/minimal/belay.yaml")
	} else if err != nil {
		return nil, belay.Errorf(belay.CodeInvalid, "read configuration: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > yamldoc.MaxBytes {
		return nil, belay.Errorf(belay.CodeInvalid, "read configuration %s: want a file of at most %d bytes", path, yamldoc.MaxBytes)
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, belay.Errorf(belay.CodeInvalid, "read configuration: %w", err)
	}
	return Parse(path, src, env, queries...)
}

// Parse reads and checks src as if it stood in the file of that name. See Load.
func Parse(name string, src []byte, env func(string) (string, bool), queries ...QueryCheck) (*Config, error) {
	return parse(name, src, &reader{env: env, queries: queries})
}

// ParsePolicy reads how a service is judged: from a whole configuration, or from a file that holds the keys of one
// service alone, which is then the only service of the answer. Signals that are in measured need no query.
func ParsePolicy(name string, src []byte, measured []string, queries ...QueryCheck) (*Config, error) {
	return parse(name, src, &reader{measured: measured, bare: true, queries: queries})
}

func parse(name string, src []byte, r *reader) (*Config, error) {
	dir, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("find the folder of %s: %w", name, err)
	}
	var problems Problems
	root := yamldoc.Parse(name, src, &problems)
	if root == nil {
		return nil, problems.Err()
	}
	c := &Config{Dir: dir}
	r.file, r.problems, r.config = name, &problems, c
	if r.bare && root.Get("services") == nil {
		root = yamldoc.Wrap("services", yamldoc.Wrap("policy", root))
	}
	r.read(root)
	for i := range problems {
		if p := &problems[i]; r.bare && root.Get("services").Get("policy") != nil {
			p.Path = strings.TrimPrefix(strings.TrimPrefix(p.Path, "services.policy"), ".")
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	c.places = map[belay.Ref]bind.Places{}
	for i, s := range c.Services {
		c.places[s.Ref()] = r.services[i]
	}
	return c, nil
}

// reader takes one file through binding, resolving and checking.
type reader struct {
	file     string
	env      Env
	problems *Problems
	config   *Config
	queries  []QueryCheck
	measured []string      // signals that need no query
	bare     bool          // the file may hold one service alone
	places   bind.Places   // of everything but services
	services []bind.Places // of config.Services, by index
}

func (r *reader) read(root *yamldoc.Node) {
	r.places = bind.Places{}
	top := root
	if root.Kind == yamldoc.Mapping {
		top = root.Without("services")
	}
	shape.SetDefaults(reflect.ValueOf(r.config).Elem())
	b := &bind.Binder{File: r.file, Problems: r.problems, Places: r.places,
		Ignore: func(key string) bool { return strings.HasPrefix(key, "x-") }}
	b.Into(top, r.config, "")
	for _, e := range root.Entries {
		if e.Key == "services" {
			r.readServices(e)
		}
	}
	r.resolve()
	r.check()
}

func (r *reader) readServices(e yamldoc.Entry) {
	if r.places.Has("services") {
		r.add(bind.Place{Path: "services", Line: e.Line, Column: e.Column}, "duplicate key",
			fmt.Sprintf("it is already given in line %d", r.places["services"].Line))
		return
	}
	r.places["services"] = bind.Place{Path: "services", Line: e.Value.Line, Column: e.Value.Column}
	if e.Value.Kind != yamldoc.Mapping {
		r.add(r.places["services"], "want a mapping of names to services, got "+e.Value.Kind.String(), `write for example "shop: {targets: [127.0.0.1:8000]}"`)
		return
	}
	if n := len(e.Value.Entries); n > bind.MaxEntries {
		r.add(r.places["services"], fmt.Sprintf("%d services are too many; the most is %d", n, bind.MaxEntries), "")
		return
	}
	lines := map[string]int{}
	for _, s := range e.Value.Entries {
		place := bind.Place{Path: bind.Join("services", s.Key), Line: s.Line, Column: s.Column}
		if first, again := lines[s.Key]; again {
			r.add(place, "duplicate key", fmt.Sprintf("it is already given in line %d", first))
			continue
		}
		lines[s.Key] = s.Line
		if err := shape.CheckFormat("name", s.Key); err != nil {
			r.addErr(place, err)
			continue
		}
		r.readService(s.Key, s.Value)
	}
}

// readService makes one Service per environment.
func (r *reader) readService(name string, n *yamldoc.Node) {
	show := bind.Join("services", name)
	environments := n.Get("environments")
	if environments == nil {
		r.bindService(name, "", layer{show, n})
		return
	}
	place := bind.Place{Path: bind.Join(show, "environments"), Line: environments.Line, Column: environments.Column}
	if environments.Kind != yamldoc.Mapping || len(environments.Entries) == 0 {
		r.add(place, "want a mapping of names to settings", `write for example "environments: {production: {}, staging: {rollback: {auto: false}}}"`)
		return
	}
	if e := n.Get("environment"); e != nil {
		r.add(bind.Place{Path: bind.Join(show, "environment"), Line: e.Line, Column: e.Column},
			"environment and environments exclude each other", "keep one of them")
	}
	seen := map[string]int{}
	for _, e := range environments.Entries {
		place := bind.Place{Path: bind.Join(place.Path, e.Key), Line: e.Line, Column: e.Column}
		if first, again := seen[e.Key]; again {
			r.add(place, "duplicate key", fmt.Sprintf("it is already given in line %d", first))
			continue
		}
		seen[e.Key] = e.Line
		if err := shape.CheckFormat("name", e.Key); err != nil {
			r.addErr(place, err)
			continue
		}
		for _, key := range []string{"environment", "environments"} {
			if c := e.Value.Get(key); c != nil {
				r.add(bind.Place{Path: bind.Join(place.Path, key), Line: c.Line, Column: c.Column}, key+" has no place inside environments", "remove it")
			}
		}
		r.bindService(name, e.Key, layer{show, n}, layer{place.Path, e.Value})
	}
}

// layer is a tree of settings and its path in the file.
type layer struct {
	show string
	node *yamldoc.Node
}

func (r *reader) bindService(name, environment string, layers ...layer) {
	s := Service{Name: name}
	places := bind.Places{}
	shape.SetDefaults(reflect.ValueOf(&s).Elem())
	b := &bind.Binder{File: r.file, Problems: r.problems, Places: places}
	for i, l := range layers {
		if i > 0 && l.node.Kind == yamldoc.Null {
			continue // an environment that changes nothing
		}
		b.Into(l.node, &s, l.show)
	}
	if environment != "" {
		s.Environment = environment
	}
	r.config.Services = append(r.config.Services, s)
	r.services = append(r.services, places)
}

func (r *reader) add(at bind.Place, message, hint string) {
	r.problems.Add(Problem{File: r.file, Line: at.Line, Column: at.Column, Path: at.Path, Message: message, Hint: hint})
}

func (r *reader) addErr(at bind.Place, err error) {
	message, hint, _ := strings.Cut(err.Error(), "; ")
	r.add(at, message, hint)
}
