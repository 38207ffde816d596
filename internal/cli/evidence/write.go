package evidence

import (
	"bytes"
	"io"
	"os"

	"github.com/belaydev/belay"
)

// Lines counts what goes through it.
type Lines struct {
	To io.Writer
	N  int
}

// Write passes on.
func (l *Lines) Write(b []byte) (int, error) {
	n, err := l.To.Write(b)
	l.N += bytes.Count(b[:n], []byte("\n"))
	return n, err
}

// LaterFile is made when there is something to write: an error leaves an older file alone.
type LaterFile struct {
	Name string
	f    *os.File
}

// Write writes.
func (l *LaterFile) Write(b []byte) (int, error) {
	if l.f == nil {
		f, err := os.Create(l.Name)
		if err != nil {
			return 0, belay.Errorf(belay.CodeInvalid, "write the recording: %w", err).WithNext("name another file with --file")
		}
		l.f = f
	}
	return l.f.Write(b)
}

// Close ends the file, if there is one.
func (l *LaterFile) Close() error {
	if l.f == nil {
		return nil
	}
	return l.f.Close()
}
