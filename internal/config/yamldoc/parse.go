package yamldoc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/belaydev/belay/internal/config/problem"
)

// Limits on what is read, so that a small file cannot grow into a big tree.
const (
	MaxBytes = 1 << 20 // of the file
	maxDepth = 64      // of nesting
	maxAlias = 10_000  // nodes that aliases may add to those written in the file
)

// Parse reads the single document of src. The root is nil when the text cannot be read at all; what is wrong is
// added to problems.
func Parse(file string, src []byte, problems *problem.List) *Node {
	if len(src) > MaxBytes {
		problems.Add(problem.Problem{File: file, Message: fmt.Sprintf("the file has %d bytes, the limit is %d", len(src), MaxBytes)})
		return nil
	}
	p := &parser{file: file, problems: problems, open: map[*yaml.Node]bool{}, merged: map[*Node]map[string]int{}}
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		p.empty()
		return nil
	} else if err != nil {
		p.syntax(err)
		return nil
	}
	var second yaml.Node
	if err := dec.Decode(&second); err == nil {
		p.add(&second, "a second document begins here", "belay reads one document per file; remove the line ---")
		return nil
	} else if !errors.Is(err, io.EOF) {
		p.syntax(err)
		return nil
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		p.empty()
		return nil
	}
	root := p.node(doc.Content[0], 0)
	if p.stopped {
		return nil
	}
	return root
}

type parser struct {
	file     string
	problems *problem.List
	open     map[*yaml.Node]bool      // aliases being expanded
	merged   map[*Node]map[string]int // keys of the mappings that have a merge key
	aliased  int                      // nodes made inside aliases
	stopped  bool                     // a limit was reached and said: the tree is of no use
}

func (p *parser) add(n *yaml.Node, message, hint string) {
	p.problems.Add(problem.Problem{File: p.file, Line: n.Line, Column: n.Column, Message: message, Hint: hint})
}

func (p *parser) empty() {
	p.problems.Add(problem.Problem{File: p.file, Message: "the file is empty",
		Hint: `the least that is useful is a service, for example "services: {shop: {targets: [127.0.0.1:8000]}}"`})
}

func (p *parser) node(n *yaml.Node, depth int) *Node {
	out := &Node{Line: n.Line, Column: n.Column}
	if p.stopped {
		return out
	}
	if depth > maxDepth {
		p.stopped = true
		p.add(n, fmt.Sprintf("nested deeper than %d levels", maxDepth), "")
		return out
	}
	if len(p.open) > 0 {
		if p.aliased++; p.aliased > maxAlias {
			p.stopped = true
			p.add(n, fmt.Sprintf("aliases expand to more than %d values", maxAlias), "write the values out, or use environments")
			return out
		}
	}
	switch n.Kind {
	case yaml.AliasNode:
		return p.alias(n, depth)
	case yaml.ScalarNode:
		p.scalar(n, out)
	case yaml.SequenceNode:
		out.Kind = Sequence
		for _, c := range n.Content {
			out.Items = append(out.Items, p.node(c, depth+1))
		}
	case yaml.MappingNode:
		out.Kind = Mapping
		for i := 0; i+1 < len(n.Content); i += 2 {
			p.entry(n.Content[i], n.Content[i+1], out, depth)
		}
	case yaml.DocumentNode:
	}
	if t := n.ShortTag(); strings.HasPrefix(n.Tag, "!") && !known(t) {
		p.add(n, fmt.Sprintf("the tag %s is not supported", t), "remove it")
	}
	return out
}

func known(tag string) bool {
	switch tag {
	case "!!null", "!!bool", "!!int", "!!float", "!!str", "!!timestamp", "!!seq", "!!map", "!!merge":
		return true
	}
	return false
}

func (p *parser) scalar(n *yaml.Node, out *Node) {
	out.Value = n.Value
	switch n.ShortTag() {
	case "!!null":
		out.Kind = Null
	case "!!bool":
		out.Kind = Bool
	case "!!int", "!!float":
		out.Kind = Number
	default:
		out.Kind = Text
	}
}

func (p *parser) alias(n *yaml.Node, depth int) *Node {
	if p.open[n.Alias] {
		p.stopped = true
		p.add(n, fmt.Sprintf("the alias *%s stands inside the value that it repeats", n.Value), "write the value out")
		return &Node{Line: n.Line, Column: n.Column}
	}
	p.open[n.Alias] = true
	defer delete(p.open, n.Alias)
	return p.node(n.Alias, depth+1)
}

func (p *parser) entry(key, value *yaml.Node, out *Node, depth int) {
	if key.ShortTag() == "!!merge" {
		p.merge(key, p.node(value, depth+1), out)
		return
	}
	if key.Kind == yaml.AliasNode {
		key = key.Alias
	}
	if key.Kind != yaml.ScalarNode {
		p.add(key, "a key must be a plain word", "")
		return
	}
	e := Entry{Key: key.Value, Line: key.Line, Column: key.Column, Value: p.node(value, depth+1)}
	if index := p.merged[out]; index != nil {
		if i, ok := index[e.Key]; ok && out.Entries[i].Merged {
			out.Entries[i] = e
			return
		}
		index[e.Key] = len(out.Entries)
	}
	out.Entries = append(out.Entries, e)
}

// merge adds the entries of from that out does not have, as YAML's "<<" does.
func (p *parser) merge(key *yaml.Node, from, out *Node) {
	index := p.merged[out]
	if index == nil {
		index = map[string]int{}
		for i, e := range out.Entries {
			index[e.Key] = i
		}
		p.merged[out] = index
	}
	sources := []*Node{from}
	if from.Kind == Sequence {
		sources = from.Items
	}
	for _, s := range sources {
		if s.Kind != Mapping {
			p.add(key, "<< can only merge a mapping", "give it an alias of a mapping, as in <<: *defaults")
			continue
		}
		for _, e := range s.Entries {
			if _, have := index[e.Key]; !have {
				e.Merged = true
				index[e.Key] = len(out.Entries)
				out.Entries = append(out.Entries, e)
			}
		}
	}
}

// syntax turns an error of the YAML parser, "yaml: line 3: did not find ...", into a problem.
func (p *parser) syntax(err error) {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line, column := 1, 1 // the parser leaves the first line out
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
	}
	hint := ""
	switch {
	case strings.Contains(msg, "cannot start any token"):
		hint = "indent with spaces, not tabs, and quote values that begin with % @ or `"
	case strings.Contains(msg, "mapping values are not allowed"):
		hint = "check the indentation, and quote a value that contains a colon followed by a space"
	case strings.Contains(msg, "did not find expected"):
		hint = "check the indentation and that every bracket and quote is closed"
	}
	p.problems.Add(problem.Problem{File: p.file, Line: line, Column: column, Message: "not valid YAML: " + msg, Hint: hint})
}
