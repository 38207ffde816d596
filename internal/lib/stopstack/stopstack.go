// Package stopstack stops started things by name, the newest first, each within a common deadline.
package stopstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Stack holds the stops of what has been started. The zero value is ready; it may be used from several goroutines.
type Stack struct {
	mu    sync.Mutex
	stops []stop
}

type stop struct {
	name string
	fn   func(context.Context) error
}

// Push registers the stop of something that has just been started.
func (s *Stack) Push(name string, fn func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stops = append(s.stops, stop{name, fn})
}

// Stop runs every stop, the newest first, once; a stop that fails does not keep the others from running.
// The errors carry the names. A second call does nothing.
func (s *Stack) Stop(ctx context.Context, log *slog.Logger) error {
	s.mu.Lock()
	stops := s.stops
	s.stops = nil
	s.mu.Unlock()
	var errs []error
	for i := len(stops) - 1; i >= 0; i-- {
		began := time.Now()
		err := stops[i].fn(ctx)
		log.Debug("stopped", "part", stops[i].name, "duration", time.Since(began), "error", err)
		if err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", stops[i].name, err))
		}
	}
	return errors.Join(errs...)
}
