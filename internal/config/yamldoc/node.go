// Package yamldoc reads one YAML document into a plain tree with positions. It is the only place that parses
// YAML text: it bounds size, depth and alias expansion, resolves aliases and merge keys, and turns the parser's
// complaints into problems. It knows nothing of what the document means.
package yamldoc

// Kind is the form of a node.
type Kind int

// The kinds.
const (
	Null Kind = iota
	Bool
	Number
	Text
	Sequence
	Mapping
)

// String returns the kind as a person would say it.
func (k Kind) String() string {
	switch k {
	case Null:
		return "nothing"
	case Bool:
		return "true or false"
	case Number:
		return "a number"
	case Text:
		return "a text"
	case Sequence:
		return "a list"
	case Mapping:
		return "a mapping"
	}
	return "something else"
}

// Scalar tells whether the kind is a single value.
func (k Kind) Scalar() bool { return k != Sequence && k != Mapping }

// Node is one value of a document.
type Node struct {
	Kind    Kind
	Value   string  // the text of a scalar as it was written, without quotes
	Items   []*Node // of a sequence
	Entries []Entry // of a mapping, in the order of the file; keys may repeat
	Line    int     // from 1
	Column  int     // from 1
}

// Entry is one key of a mapping.
type Entry struct {
	Key          string
	Line, Column int // of the key
	Value        *Node
	Merged       bool // came in through a merge key, so an explicit key wins over it
}

// Get returns the value of key, or nil.
func (n *Node) Get(key string) *Node {
	for _, e := range n.Entries {
		if e.Key == key {
			return e.Value
		}
	}
	return nil
}

// Without returns a copy of the mapping n without key.
func (n *Node) Without(key string) *Node {
	c := *n
	c.Entries = nil
	for _, e := range n.Entries {
		if e.Key != key {
			c.Entries = append(c.Entries, e)
		}
	}
	return &c
}

// Wrap returns a mapping with the single key, standing where n stands, whose value is n.
func Wrap(key string, n *Node) *Node {
	return &Node{Kind: Mapping, Line: n.Line, Column: n.Column,
		Entries: []Entry{{Key: key, Line: n.Line, Column: n.Column, Value: n}}}
}
