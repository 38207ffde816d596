package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belaydev/belay/internal/proxy/count"
)

// HeaderError is the response header that tells why the proxy itself answered.
const HeaderError = "X-Belay-Error"

// HeaderSlot is the response header that names the slot, if that is switched on.
const HeaderSlot = "X-Belay-Slot"

var errDrained = errors.New("drain time is over")

// forwarder is the handler of the data plane.
type forwarder struct {
	proxy *Proxy
	h1    *http.Transport
	h2c   *http.Transport
	rp    *httputil.ReverseProxy
}

// exchangeKey finds the exchange in the context of an outgoing request.
type exchangeKey struct{}

func newForwarder(p *Proxy) *forwarder {
	f := &forwarder{proxy: p}
	timeout := p.opt.ResponseTimeout
	switch {
	case timeout == 0:
		timeout = DefaultResponseTimeout
	case timeout < 0:
		timeout = 0
	}
	dialer := &net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}
	f.h1 = &http.Transport{
		DialContext:           dialer.DialContext,
		MaxIdleConnsPerHost:   512, // the default of 2 would make a connection per request under load
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   5 * time.Second,
		ExpectContinueTimeout: time.Second,
		ResponseHeaderTimeout: timeout,
		DisableCompression:    true, // responses pass as they are
	}
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	f.h2c = &http.Transport{DialContext: dialer.DialContext, Protocols: &h2c, DisableCompression: true, IdleConnTimeout: 30 * time.Second}
	f.rp = &httputil.ReverseProxy{
		Rewrite:      rewrite,
		Transport:    f,
		BufferPool:   &buffers{},
		ErrorHandler: answerError,
		ErrorLog:     log.New(logWriter{p.log}, "", 0),
	}
	return f
}

func (f *forwarder) close() {
	f.h1.CloseIdleConnections()
	f.h2c.CloseIdleConnections()
}

// ServeHTTP passes one request on and counts how it ended.
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		refuse(w, http.StatusMethodNotAllowed, "connect", "this proxy does not open tunnels")
		return
	}
	route := f.proxy.acquire()
	if route == nil {
		f.proxy.unrouted.Add(1)
		refuse(w, http.StatusServiceUnavailable, "no_slot", "no slot of this proxy has weight")
		return
	}
	x := &exchange{ResponseWriter: w, route: route, began: time.Now(), slotHeader: f.proxy.opt.SlotHeader}
	ctx, end := context.WithCancelCause(context.WithValue(r.Context(), exchangeKey{}, x))
	route.backend.enter(x, end)
	defer func() {
		// Runs during the panic too with which httputil breaks a connection off.
		x.count(ctx, r)
		route.backend.leave(x)
		end(nil)
	}()
	r2 := r.WithContext(ctx)
	if r2.ContentLength != 0 {
		r2.Body = &upload{ReadCloser: r.Body, x: x}
	}
	f.rp.ServeHTTP(x, r2)
	x.whole = true
}

// RoundTrip chooses the transport. Only gRPC needs HTTP/2 towards the release; everything else that came by
// HTTP/2 goes by HTTP/1.1, which every application server speaks.
func (f *forwarder) RoundTrip(r *http.Request) (*http.Response, error) {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	if x.route.backend.h2c || (x.overHTTP2 && x.grpc && x.route.backend.scheme == "http") {
		return f.h2c.RoundTrip(r)
	}
	return f.h1.RoundTrip(r)
}

// rewrite directs a request to its backend. httputil has removed hop-by-hop and all forwarding headers by then:
// what a client claims about others is not passed on.
func rewrite(pr *httputil.ProxyRequest) {
	x, _ := pr.In.Context().Value(exchangeKey{}).(*exchange)
	x.overHTTP2 = pr.In.ProtoMajor == 2
	x.grpc = strings.HasPrefix(pr.In.Header.Get("Content-Type"), "application/grpc")
	pr.Out.URL.Scheme = x.route.backend.scheme
	pr.Out.URL.Host = x.route.backend.host
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery // as the client wrote it, not as Go would
	pr.Out.Host = pr.In.Host
	pr.Out.Header.Del("X-Real-Ip")
	pr.Out.Header.Del("X-Forwarded-Port")
	pr.SetXForwarded()
	if _, ok := pr.Out.Header["User-Agent"]; !ok {
		pr.Out.Header["User-Agent"] = nil // net/http would add its own
	}
}

// answerError answers for a release that did not.
func answerError(w http.ResponseWriter, r *http.Request, err error) {
	x, ok := w.(*exchange)
	if !ok {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	var netErr net.Error
	var op *net.OpError
	switch {
	case errors.Is(context.Cause(r.Context()), errDrained):
		x.outcome = count.Cancelled
		refuse(w, http.StatusServiceUnavailable, "drained", "the release was taken out of service before it answered")
	case r.Context().Err() != nil || x.uploadBroke.Load():
		x.outcome = count.Cancelled
		w.WriteHeader(http.StatusBadGateway) // nobody reads it
	case errors.As(err, &op) && op.Op == "dial":
		x.outcome = count.Refused
		refuse(w, http.StatusBadGateway, "refused", "no connection to the release")
	case errors.As(err, &netErr) && netErr.Timeout():
		x.outcome = count.Timeout
		refuse(w, http.StatusGatewayTimeout, "timeout", "the release did not answer in time")
	default:
		x.outcome = count.Broken
		refuse(w, http.StatusBadGateway, "broken", "the release broke the connection off")
	}
	x.decided = true
}

func refuse(w http.ResponseWriter, status int, reason, text string) {
	text = "belay proxy: " + text + "\n"
	h := w.Header()
	h.Set(HeaderError, reason)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a client that is gone needs no answer
}

// exchange is one request and its response.
type exchange struct {
	http.ResponseWriter
	route      *route
	shard      *shard
	began      time.Time
	slotHeader bool
	overHTTP2  bool
	grpc       bool

	status      int
	first       time.Duration
	stream      bool
	whole       bool // the response ended as it should
	decided     bool // outcome is known already
	outcome     count.Outcome
	clientGone  bool
	uploadBroke atomic.Bool // set while the transport reads the request body
}

// WriteHeader notes the status and the time to the first byte.
func (x *exchange) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		x.status = status
		x.first = time.Since(x.began)
		h := x.Header()
		x.stream = status == http.StatusSwitchingProtocols || strings.HasPrefix(h.Get("Content-Type"), "text/event-stream")
		if x.slotHeader {
			h.Set(HeaderSlot, x.route.slot.Name)
		}
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write notes when the client is gone.
func (x *exchange) Write(b []byte) (int, error) {
	n, err := x.ResponseWriter.Write(b)
	if err != nil {
		x.clientGone = true
	}
	return n, err
}

// Unwrap lets http.ResponseController reach flushing.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// Hijack takes the connection over, for upgrades. httputil writes the response of an upgrade to the connection
// itself, so the status is noted here.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if x.status == 0 {
		x.status, x.first, x.stream = http.StatusSwitchingProtocols, time.Since(x.began), true
	}
	return http.NewResponseController(x.ResponseWriter).Hijack()
}

func (x *exchange) count(ctx context.Context, r *http.Request) {
	res := count.Result{Outcome: x.outcome, Status: x.status, First: x.first, Full: time.Since(x.began), Stream: x.stream}
	switch {
	case x.decided:
	case x.whole:
		if x.grpc {
			res.Status = grpcStatus(x.Header(), res.Status)
		}
	case x.clientGone || ctx.Err() != nil || x.uploadBroke.Load():
		// A stream ends by the client's going away: that is its normal end.
		if !x.stream {
			res.Outcome = count.Cancelled
		}
	default:
		res.Outcome = count.Broken
	}
	x.route.counts.Add(r.Method, r.URL.Path, res)
}

// grpcStatus returns 500 for a gRPC call that ended with a fault of the server, which HTTP calls 200.
func grpcStatus(h http.Header, status int) int {
	v := h.Get("Grpc-Status") // without a body, or announced
	if v == "" {
		v = h.Get(http.TrailerPrefix + "Grpc-Status")
	}
	switch v {
	case "2", "4", "8", "13", "14", "15": // unknown, deadline exceeded, exhausted, internal, unavailable, data loss
		return http.StatusInternalServerError
	}
	return status
}

// upload notes that a request body broke off on the client's side.
type upload struct {
	io.ReadCloser
	x *exchange
}

// Read reads on.
func (u *upload) Read(b []byte) (int, error) {
	n, err := u.ReadCloser.Read(b)
	// The transport closes the body when the response comes first: that is no fault of the client.
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, http.ErrBodyReadAfterClose) {
		u.x.uploadBroke.Store(true)
	}
	return n, err
}

// buffers is the pool that responses are copied with.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

// Get returns a buffer.
func (b *buffers) Get() []byte {
	if v, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return v[:]
	}
	return new([bufferSize]byte)[:]
}

// Put takes a buffer back.
func (b *buffers) Put(v []byte) { b.pool.Put((*[bufferSize]byte)(v)) }

// logWriter takes what httputil logs. It is a line per broken response, which the counters tell better.
type logWriter struct{ log *slog.Logger }

// Write logs a line.
func (l logWriter) Write(b []byte) (int, error) {
	l.log.Debug("response broke", "error", strings.TrimSpace(string(b)))
	return len(b), nil
}
