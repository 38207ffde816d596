// Command shop is a small web shop: what the demonstration deploys. It knows nothing of belay. It serves a few
// pages, Prometheus metrics by the usual names and a health page. What is wrong with a release comes from the
// environment, as configuration does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type shop struct {
	version       string
	checkoutFails float64       // share of checkouts that end in an error
	checkoutDelay time.Duration // on top of the usual time
	requests      *prometheus.CounterVec
	duration      *prometheus.HistogramVec
}

func main() {
	addr := flag.String("addr", "127.0.0.1:9001", "address to serve on")
	version := flag.String("version", "dev", "version to report")
	flag.Parse()
	fails, _ := strconv.ParseFloat(os.Getenv("SHOP_CHECKOUT_FAILS"), 64)
	delay, _ := time.ParseDuration(os.Getenv("SHOP_CHECKOUT_DELAY"))
	reg := prometheus.NewRegistry()
	s := &shop{
		version: *version, checkoutFails: fails, checkoutDelay: delay,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total",
			Help: "Requests by route, method and status."}, []string{"route", "method", "status", "version"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "http_request_duration_seconds",
			Help: "Time to serve a request.", Buckets: prometheus.DefBuckets}, []string{"route", "method", "version"}),
	}
	reg.MustRegister(s.requests, s.duration, prometheus.NewGoCollector(), prometheus.NewProcessCollector(prometheus.ProcessCollectorOpts{})) //nolint:staticcheck // the plain process collector is enough here
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.route("/", 4*time.Millisecond, nil))
	mux.Handle("GET /products/{id}", s.route("/products/:id", 6*time.Millisecond, nil))
	mux.Handle("POST /checkout", s.route("/checkout", 12*time.Millisecond, s.checkout))
	mux.HandleFunc("GET /healthz", s.health)
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	srv := &http.Server{Addr: *addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = srv.Shutdown(context.Background())
	}()
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// checkout is where a bad release goes wrong.
func (s *shop) checkout() (status int) {
	time.Sleep(s.checkoutDelay)
	if rand.Float64() < s.checkoutFails { //nolint:gosec // not for secrets
		return http.StatusInternalServerError
	}
	return http.StatusCreated
}

// route serves one route: it takes the usual time, does the work and counts.
func (s *shop) route(name string, usual time.Duration, work func() int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		time.Sleep(usual/2 + time.Duration(rand.Int64N(int64(usual)))) //nolint:gosec // not for secrets
		status := http.StatusOK
		if work != nil {
			status = work()
		}
		w.Header().Set("X-Shop-Version", s.version)
		w.WriteHeader(status)
		fmt.Fprintf(w, "%s %s by shop %s\n", r.Method, r.URL.Path, s.version)
		s.requests.WithLabelValues(name, r.Method, strconv.Itoa(status), s.version).Inc()
		s.duration.WithLabelValues(name, r.Method, s.version).Observe(time.Since(begin).Seconds())
	})
}

func (s *shop) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "ok", "version": s.version, "dependencies": map[string]string{"payments": "ok"}})
}
