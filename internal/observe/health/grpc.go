package health

import (
	"cmp"
	"context"
	"net"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/belaydev/belay/internal/lib/outbound"
)

func (c Check) probeGRPC(ctx context.Context, target string) Result {
	g := cmp.Or(c.GRPC, &GRPC{})
	host, port, err := outbound.HostPort(target)
	if err != nil || port == "" {
		return blind("read address %q: want host:port", target)
	}
	creds := insecure.NewCredentials()
	if c.TLS != nil {
		config, err := c.tlsConfig(host)
		if err != nil {
			return blind("%v", err)
		}
		creds = credentials.NewTLS(config)
	}
	dial := &dialLog{guard: c.guard()}
	conn, err := grpc.NewClient("passthrough:///"+net.JoinHostPort(host, port),
		grpc.WithTransportCredentials(creds), grpc.WithContextDialer(dial.dial), grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithUserAgent("belay-health"))
	if err != nil {
		return blind("%v", err)
	}
	defer func() { _ = conn.Close() }()
	var from peer.Peer
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: g.Service},
		grpc.Peer(&from), grpc.MaxCallRecvMsgSize(64<<10))
	if err != nil {
		return c.whyGRPC(g, err, dial.failure())
	}
	r := Result{OK: answer.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING, Detail: answer.GetStatus().String()}
	if info, ok := from.AuthInfo.(credentials.TLSInfo); ok {
		r.CertExpiry = outbound.Expiry(&info.State)
	}
	return r
}

func (c Check) whyGRPC(g *GRPC, err, dialErr error) Result {
	s := status.Convert(err)
	switch s.Code() {
	case codes.NotFound:
		return failed("the server does not know the service %q", g.Service)
	case codes.Unimplemented:
		return failed("the server does not offer grpc.health.v1")
	case codes.DeadlineExceeded:
		return failed("no answer in %s", c.Timeout)
	case codes.Canceled:
		return blind("stopped")
	default:
	}
	if dialErr != nil {
		return c.cannotReach(dialErr)
	}
	message := s.Message()
	if _, why, ok := strings.Cut(message, "authentication handshake failed: "); ok {
		return failed("TLS: %s", strings.Trim(why, `"`))
	}
	return failed("%s: %s", s.Code(), message)
}

// dialLog keeps why the connection failed: grpc passes it on as text only.
type dialLog struct {
	guard outbound.Guard
	mu    sync.Mutex
	err   error
}

func (d *dialLog) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := d.guard.Dialer().DialContext(ctx, "tcp", address)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
	return conn, err
}

func (d *dialLog) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}
