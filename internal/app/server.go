package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/belaydev/belay"
)

// server is the HTTP listener of the API.
type server struct {
	http   *http.Server
	ln     net.Listener
	failed chan error
	wg     sync.WaitGroup
	cancel context.CancelFunc
}

// listen takes the address before anything else is started, so that a second server fails early.
func listen(ctx context.Context, address string) (net.Listener, error) {
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

// newServer serves h on ln from now on. Streams end when stop is called.
func newServer(ln net.Listener, h http.Handler, log *slog.Logger, failed chan error) *server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{ln: ln, failed: failed, cancel: cancel, http: &http.Server{
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

// stop lets requests end, cuts streams and waits.
func (s *server) stop(ctx context.Context) error {
	s.cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.wg.Wait()
	return err
}

// health answers /health: one entry for each thing that belay itself depends on.
func (a *App) Health(ctx context.Context) belay.ServerHealth {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	h := belay.ServerHealth{Status: "healthy", Timestamp: a.now().UTC().Truncate(time.Millisecond), Version: a.opts.Version, Checks: map[string]belay.HealthEntry{}}
	check := func(name string, err error) {
		if err != nil {
			h.Status = "unhealthy"
			h.Checks[name] = belay.HealthEntry{Status: "unhealthy", Detail: err.Error()}
			return
		}
		h.Checks[name] = belay.HealthEntry{Status: "healthy"}
	}
	check("store", a.store.Health(ctx))
	check("metrics", a.reader.Ready(ctx))
	check("data_folder", writable(a.data))
	for name, p := range a.proxies() {
		_, err := p.Slots(ctx)
		check("proxy "+name, err)
	}
	if err := a.lastReload(); err != nil {
		h.Checks["configuration"] = belay.HealthEntry{Status: "healthy", Detail: "the newest file was refused and the one before is in use: " + err.Error()}
	} else {
		h.Checks["configuration"] = belay.HealthEntry{Status: "healthy"}
	}
	return h
}

func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Ready says whether the server takes part: started and not stopping.
func (a *App) Ready(context.Context) error {
	if !a.ready.Load() {
		return errors.New("starting or stopping")
	}
	return nil
}
