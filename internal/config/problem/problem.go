// Package problem is the list of everything that is wrong with a configuration file, each entry with its place
// and a sentence for the person who must mend it. It knows nothing of what a configuration contains.
package problem

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/belaydev/belay"
)

// Problem is one mistake in a file.
type Problem struct {
	File    string // as the user named it
	Line    int    // from 1; 0 when the problem is with the file as a whole
	Column  int    // from 1, in characters
	Path    string // "services.shop.watch.deadline"; empty when no key is meant
	Message string // what is wrong
	Hint    string // what would be right; may be empty
}

// String returns "file:line:column: path: message; hint".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// List is every problem of a file, in the order of the file. It is an error when it is not empty.
type List []Problem //nolint:errname // it is the list that people read, and an error only besides

// maxProblems is how many are worth reading; each one costs a comparison with all before it.
const maxProblems = 200

// Add appends a problem unless there are many already or the same was already said: a mistake in the settings that environments share is
// found once per environment.
func (l *List) Add(p Problem) {
	if len(*l) >= maxProblems {
		return
	}
	for _, q := range *l {
		if q.Line == p.Line && q.Column == p.Column && q.Message == p.Message {
			return
		}
	}
	*l = append(*l, p)
}

// Err sorts the list by place and returns it, or nil when it is empty.
func (l *List) Err() error {
	if len(*l) == 0 {
		return nil
	}
	slices.SortStableFunc(*l, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return l
}

// Error returns one problem a line.
func (l *List) Error() string {
	lines := make([]string, len(*l))
	for i, p := range *l {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the list the code "invalid", which decides the exit code and the HTTP status.
func (l *List) Unwrap() error {
	return &belay.Error{Code: belay.CodeInvalid, Message: l.Error()}
}
