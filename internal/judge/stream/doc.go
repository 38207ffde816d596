// Package stream reads and writes evidence streams: what a watch saw, as JSON Lines, one reading of one instance a
// line. A stream can be judged without a server, kept, and shared; docs/streams.md describes it for people. The reader
// refuses whatever is not exactly right, with the number of the line and what would be right, so that nothing is ever
// judged by half. It judges nothing, opens no files and knows no clock.
package stream

import (
	"fmt"

	"github.com/belaydev/belay"
)

// Tick is one moment of a stream: what was seen, and what must be known of the judging besides.
type Tick struct {
	belay.Tick
	Require []string // signals without which nothing is called healthy from this moment on
}

// Bounds of what is read.
const (
	maxLine  = 1 << 20  // bytes
	maxLines = 100_000  // of one tick
	maxText  = 64 << 10 // bytes
	maxCount = 1e12     // events of one line
	maxValue = 1e100    // of a gauge, a bound or a sum
	maxTime  = 1e8      // seconds: three years
)

// Error says what is wrong with a stream, in which line, and what would be right.
type Error struct {
	Line    int // from 1
	Message string
	Hint    string // what would be right; may be empty
}

// Error returns the sentence with its line.
func (e *Error) Error() string {
	text := fmt.Sprintf("line %d: %s", e.Line, e.Message)
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

// bad makes an Error whose line the reader fills in.
func bad(hint, format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...), Hint: hint}
}
