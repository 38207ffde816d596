package health_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"regexp"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/icmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/health"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// serve answers each connection by handle until the test ends.
func serve(l net.Listener, handle func(net.Conn)) {
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
}

func TestTCP(t *testing.T) {
	l := listen(t)
	serve(l, func(c net.Conn) {
		line, err := bufio.NewReader(c).ReadString('\n')
		if err == nil && line == "PING\n" {
			fmt.Fprint(c, "+PONG\r\n")
		}
	})
	check := health.Check{Kind: health.KindTCP, Timeout: 100 * time.Millisecond}
	addr := l.Addr().String()
	expect(t, health.Probe(t.Context(), check, addr), true, false, "connected")
	check.TCP = &health.TCP{Send: "PING", Expect: regexp.MustCompile(`^\+PONG`)}
	expect(t, health.Probe(t.Context(), check, addr), true, false, "answered as expected")
	check.TCP = &health.TCP{Send: "PING", Expect: regexp.MustCompile("^nothing")}
	expect(t, health.Probe(t.Context(), check, addr), false, false, `the answer does not match "^nothing"`)
	check.TCP = &health.TCP{Expect: regexp.MustCompile("banner")}
	expect(t, health.Probe(t.Context(), check, addr), false, false, "no answer in 100ms")
	l.Close()
	check.TCP = nil
	expect(t, health.Probe(t.Context(), check, addr), false, false, "connection refused")
	expect(t, health.Probe(t.Context(), check, "169.254.1.1:80"), false, true, "refused: link-local")
	expect(t, health.Probe(t.Context(), check, "localhost"), false, true, "want host:port")
}

func TestTCPWithTLS(t *testing.T) {
	cert, ca := certificate(t, time.Now().Add(49*time.Hour))
	l := tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{cert}})
	serve(l, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	check := health.Check{Kind: health.KindTCP, TLS: &health.TLS{CAFile: ca}}
	r := health.Probe(t.Context(), check, l.Addr().String())
	expect(t, r, true, false, "connected")
	if left := time.Until(r.CertExpiry); left < 48*time.Hour || left > 50*time.Hour {
		t.Errorf("expiry in %s", left)
	}
	check.TLS.MinValidity = 30 * 24 * time.Hour
	expect(t, health.Probe(t.Context(), check, l.Addr().String()), false, false, "certificate expires in 2 days")
	check.TLS = &health.TLS{}
	expect(t, health.Probe(t.Context(), check, l.Addr().String()), false, false, "certificate is signed by an unknown authority")
}

func grpcServer(t *testing.T, register bool, opts ...grpc.ServerOption) (string, *grpchealth.Server) {
	t.Helper()
	l := listen(t)
	srv, h := grpc.NewServer(opts...), grpchealth.NewServer()
	if register {
		grpc_health_v1.RegisterHealthServer(srv, h)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	t.Cleanup(func() { srv.Stop(); <-done })
	return l.Addr().String(), h
}

func TestGRPC(t *testing.T) {
	addr, h := grpcServer(t, true)
	h.SetServingStatus("shop.Cart", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	check := health.Check{Kind: health.KindGRPC}
	expect(t, health.Probe(t.Context(), check, addr), true, false, "SERVING")
	check.GRPC = &health.GRPC{Service: "shop.Cart"}
	expect(t, health.Probe(t.Context(), check, addr), false, false, "NOT_SERVING")
	check.GRPC = &health.GRPC{Service: "shop.Nothing"}
	expect(t, health.Probe(t.Context(), check, addr), false, false, `the server does not know the service "shop.Nothing"`)
	bare, _ := grpcServer(t, false)
	expect(t, health.Probe(t.Context(), check, bare), false, false, "does not offer grpc.health.v1")
	expect(t, health.Probe(t.Context(), check, "169.254.169.254:80"), false, true, "refused: link-local")
}

func TestGRPCThatDoesNotAnswer(t *testing.T) {
	l := listen(t)
	serve(l, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	check := health.Check{Kind: health.KindGRPC, Timeout: 50 * time.Millisecond}
	expect(t, health.Probe(t.Context(), check, l.Addr().String()), false, false, "no answer in 50ms")
	l.Close()
	expect(t, health.Probe(t.Context(), check, l.Addr().String()), false, false, "connection refused")
}

func TestGRPCWithTLS(t *testing.T) {
	cert, ca := certificate(t, time.Now().Add(49*time.Hour))
	addr, _ := grpcServer(t, true, grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	check := health.Check{Kind: health.KindGRPC, TLS: &health.TLS{CAFile: ca}}
	r := health.Probe(t.Context(), check, addr)
	expect(t, r, true, false, "SERVING")
	if r.CertExpiry.IsZero() {
		t.Error("no expiry")
	}
	check.TLS = &health.TLS{}
	expect(t, health.Probe(t.Context(), check, addr), false, false, "unknown authority")
}

func TestDNS(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ready, done := make(chan struct{}), make(chan struct{})
	srv := &dns.Server{PacketConn: pc, NotifyStartedFunc: func() { close(ready) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		for _, line := range []string{"shop.test. 60 IN A 10.0.0.1", "shop.test. 60 IN A 10.0.0.2", "shop.test. 60 IN MX 10 mail.shop.test.", `shop.test. 60 IN TXT "v=spf1 -all"`} {
			rr, err := dns.NewRR(line)
			if err == nil && q.Question[0].Name == "shop.test." && rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		if q.Question[0].Name != "shop.test." {
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m)
	})}
	go func() {
		defer close(done)
		_ = srv.ActivateAndServe()
	}()
	<-ready
	addr := pc.LocalAddr().String()
	for _, c := range []struct {
		dns    health.DNS
		ok     bool
		detail string
	}{
		{health.DNS{Name: "shop.test"}, true, "A shop.test is 10.0.0.1, 10.0.0.2"},
		{health.DNS{Name: "shop.test", Answer: "10.0.0.2"}, true, "10.0.0.2"},
		{health.DNS{Name: "shop.test", Answer: "10.0.0.3"}, false, "A shop.test is 10.0.0.1, 10.0.0.2, want 10.0.0.3"},
		{health.DNS{Name: "shop.test", Answer: "0.0.0.2"}, false, "want 0.0.0.2"},
		{health.DNS{Name: "shop.test", Answer: `10\.0\.0\..*`}, true, "10.0.0.2"},
		{health.DNS{Name: "shop.test", Type: "mx", Answer: "mail.shop.test"}, true, "MX"},
		{health.DNS{Name: "shop.test", Type: "TXT", Answer: "v=spf1 -all"}, true, "TXT"},
		{health.DNS{Name: "shop.test", Type: "AAAA"}, false, "no answer for AAAA shop.test"},
		{health.DNS{Name: "other.test"}, false, "NXDOMAIN for A other.test"},
	} {
		r := health.Probe(t.Context(), health.Check{Kind: health.KindDNS, DNS: &c.dns}, addr)
		expect(t, r, c.ok, false, c.detail)
		c.dns.Server = addr
		expect(t, health.Probe(t.Context(), health.Check{Kind: health.KindDNS, DNS: &c.dns}, "ignored.invalid"), c.ok, false, c.detail)
	}
	expect(t, health.Probe(t.Context(), health.Check{Kind: health.KindDNS, DNS: &health.DNS{Name: "x", Type: "NONSENSE"}}, addr), false, true, `unknown DNS record type "NONSENSE"`)
	expect(t, health.Probe(t.Context(), health.Check{Kind: health.KindDNS, DNS: &health.DNS{Name: "x", Answer: "("}}, addr), false, true, "no regular expression")
	expect(t, health.Probe(t.Context(), health.Check{Kind: health.KindDNS}, addr), false, true, "no name to ask for")
	if err := srv.Shutdown(); err != nil {
		t.Fatal(err)
	}
	<-done
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	check := health.Check{Kind: health.KindDNS, DNS: &health.DNS{Name: "shop.test"}, Timeout: 50 * time.Millisecond}
	expect(t, health.Probe(t.Context(), check, silent.LocalAddr().String()), false, false, "no answer in 50ms")
}

// mayPing tells whether the calling thread may open a ping socket, in the order in which the check tries.
func mayPing() bool {
	for _, network := range []string{"udp4", "ip4:icmp"} {
		if c, err := icmp.ListenPacket(network, "0.0.0.0"); err == nil {
			c.Close()
			return true
		}
	}
	return false
}

func TestICMP(t *testing.T) {
	check := health.Check{Kind: health.KindICMP, Timeout: time.Second}
	hold := func(who string) {
		r := health.Probe(t.Context(), check, "127.0.0.1")
		if mayPing() {
			expect(t, r, true, false, "echo received")
		} else {
			expect(t, r, false, true, "this process may not send pings: give it the capability CAP_NET_RAW")
		}
		t.Logf("%s: %s", who, r.Detail)
	}
	hold("as the test runs")
	// The same on a thread that gave its capabilities away. It is never unlocked, so that it dies with them.
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := dropCapabilities(); err != nil {
			t.Errorf("drop capabilities: %v", err)
			return
		}
		hold("without capabilities")
	}()
	<-done
	expect(t, health.Probe(t.Context(), check, "169.254.169.254"), false, true, "refused: link-local")
}

func TestCommand(t *testing.T) {
	t.Setenv("BELAY_TOKEN", "do-not-tell")
	run := func(timeout time.Duration, script string) health.Result {
		return health.Probe(t.Context(), health.Check{
			Name: "script", Kind: health.KindCommand, Timeout: timeout,
			Command: &health.Command{Argv: []string{"/bin/sh", "-c", script}, Env: map[string]string{"LIMIT": "5"}},
		}, "10.0.0.1:80; rm -rf /")
	}
	expect(t, run(5*time.Second, `test "$BELAY_TARGET" = "10.0.0.1:80; rm -rf /" && test "$LIMIT" = 5 && test "$BELAY_CHECK" = script && test -z "$BELAY_TOKEN"`), true, false, "exit 0")
	expect(t, run(5*time.Second, `echo first; echo "disk full" >&2; exit 3`), false, false, "exit 3: disk full")
	expect(t, run(5*time.Second, `kill -9 $$`), false, false, "ended by a signal")
	expect(t, run(5*time.Second, `i=0; while [ $i -lt 2000 ]; do echo 0123456789; i=$((i+1)); done; echo end`), true, false, "exit 0: end")
	expect(t, health.Probe(t.Context(), health.Check{Kind: health.KindCommand, Command: &health.Command{Argv: []string{"/does/not/exist"}}}, ""), false, true, "the command cannot be run")
	expect(t, health.Probe(t.Context(), health.Check{Kind: health.KindCommand}, ""), false, true, "no command")
}

// A command that hangs, and what it started, are gone when the probe returns: the pipe that both hold ends.
func TestCommandIsKilledWithItsChildren(t *testing.T) {
	for name, script := range map[string]string{
		"hangs":                  `sleep 600 >&2 & sleep 600`,
		"leaves a child behind":  `sleep 600 & exit 0`,
		"ignores the terminator": `trap "" TERM INT HUP; sleep 600`,
	} {
		dir := t.TempDir()
		fifo := dir + "/alive"
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		fd, err := syscall.Open(fifo, syscall.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.SetNonblock(fd, false); err != nil {
			t.Fatal(err)
		}
		r := health.Probe(t.Context(), health.Check{
			Kind: health.KindCommand, Timeout: 150 * time.Millisecond,
			Command: &health.Command{Argv: []string{"/bin/sh", "-c", "exec 3>" + fifo + "; " + script}},
		}, "x")
		if want := name == "leaves a child behind"; r.OK != want {
			t.Errorf("%s: %+v", name, r)
		}
		// Blocks for as long as a process holds the writing end.
		n, err := syscall.Read(fd, make([]byte, 1))
		if n != 0 || err != nil {
			t.Errorf("%s: read %d, %v", name, n, err)
		}
		syscall.Close(fd)
	}
}

func TestProbeAll(t *testing.T) {
	srv := shop(t)
	http := health.Check{Name: "web", Kind: health.KindHTTP, Fall: 9, Rise: 9}
	got := health.ProbeAll(t.Context(), []health.Assignment{
		{Check: http, Target: srv.URL + "/healthz", Arm: belay.ArmBaseline},
		{Check: http, Target: srv.URL + "/broken"},
		{Check: http, Target: "http://169.254.169.254"},
	})
	want := []belay.HealthState{belay.HealthHealthy, belay.HealthUnhealthy, belay.HealthUnknown}
	for i, s := range got {
		if s.State != want[i] || s.Check != "web" || s.At.IsZero() || s.Detail == "" {
			t.Errorf("%d: %+v, want %s", i, s, want[i])
		}
	}
	if got[0].Arm != belay.ArmBaseline || got[0].Release != "1.4.2" || len(got[1].Broken) != 2 {
		t.Errorf("facts are missing: %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := health.ProbeAll(ctx, []health.Assignment{{Check: http, Target: srv.URL}}); got[0].State != belay.HealthUnknown {
		t.Errorf("known without an answer: %+v", got[0])
	}
}
