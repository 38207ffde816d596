// Package front is the HTTP listener of the API: taken early, stopped in order. What is served is for package api.
package front

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/belaydev/belay"
)

// Server is the HTTP listener of the API.
type Server struct {
	http   *http.Server
	ln     net.Listener
	failed chan error
	wg     sync.WaitGroup
	cancel context.CancelFunc
}

// Listen takes the address before anything else is started, so that a second server fails early.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		e := belay.Errorf(belay.CodeUnavailable, "listen on %s: %w", address, err)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, e.WithNext("another process has that address; change server.listen or stop it")
		}
		return nil, e
	}
	return ln, nil
}

// New serves h on ln from now on. Streams end when Stop is called.
func New(ln net.Listener, h http.Handler, log *slog.Logger, failed chan error) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{ln: ln, failed: failed, cancel: cancel, http: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}}
	s.wg.Go(func() {
		if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			select {
			case failed <- fmt.Errorf("serve the API: %w", err):
			default:
			}
		}
	})
	return s
}

// drainTimeout is how long requests under way may take to end at a stop; a client that reads nothing must not
// use up the time of all that is stopped after it.
const drainTimeout = 3 * time.Second

// Stop lets requests end, cuts streams and waits.
func (s *Server) Stop(ctx context.Context) error {
	s.cancel()
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	s.wg.Wait()
	return err
}
