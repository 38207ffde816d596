package health

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/outbound"
)

// Kind says how a check asks.
type Kind string

// The kinds.
const (
	KindHTTP    Kind = "http"    // the target is host:port or a URL
	KindTCP     Kind = "tcp"     // the target is host:port
	KindGRPC    Kind = "grpc"    // the target is host:port of a server with grpc.health.v1
	KindDNS     Kind = "dns"     // the target is a DNS server
	KindICMP    Kind = "icmp"    // the target is a host
	KindCommand Kind = "command" // the target reaches the command as BELAY_TARGET
)

// Check is one question that is put to a target. The part for its kind may be nil: then defaults hold, except
// for dns and command, which cannot ask without.
type Check struct {
	Name    string
	Kind    Kind
	HTTP    *HTTP
	TCP     *TCP
	GRPC    *GRPC
	DNS     *DNS
	Command *Command
	TLS     *TLS // of http with an https target; turns TLS on for tcp and grpc

	Interval time.Duration // between probes; default 2s
	Timeout  time.Duration // of one probe; default 2s
	Rise     int           // passes in a row until healthy; default 3
	Fall     int           // failures in a row until unhealthy; default 3

	AllowLinkLocal bool // probe link-local and cloud metadata addresses too
}

// HTTP is what an http check asks and wants to hear.
type HTTP struct {
	Path            string // replaces the path of the target; empty keeps it
	Method          string // default GET
	Headers         map[string]belay.Secret
	Status          []StatusRange // default 200 to 299
	Body            *regexp.Regexp
	JSON            []JSONEqual
	FollowRedirects bool // by default a redirect is an answer with its own status, so no success
	StatusOnly      bool // believe the status even when the body of a 200 says "down"
}

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct{ From, To int }

// JSONEqual wants the value at Path of a JSON body to be Want, compared as text.
type JSONEqual struct{ Path, Want string }

// TCP is what a tcp check sends and wants to hear; without it a connection is enough.
type TCP struct {
	Send   string         // a line to send
	Expect *regexp.Regexp // a line of the answer must match
}

// GRPC names the service that a grpc check asks for; "" is the server as a whole.
type GRPC struct{ Service string }

// DNS is the question of a dns check.
type DNS struct {
	Server string // asked instead of the target, when set
	Name   string
	Type   string // default A
	// Answer is a regular expression that one answer must match as a whole, without the dot that ends a name
	// and the quotes around a text; of "10 mail.shop." the last word is enough. Empty wants any answer.
	Answer string
}

// Command is a program that exits with 0 when the target is well.
type Command struct {
	Argv []string
	Env  map[string]string
	Dir  string
}

// TLS is how a connection is secured and checked.
type TLS struct {
	ServerName         string // default the target's host
	CAFile             string // PEM; default the system's authorities
	InsecureSkipVerify bool
	MinValidity        time.Duration // a certificate that ends sooner fails the check
}

// Result is the answer to one probe.
type Result struct {
	OK bool
	// Blind says that the probe could not be made from here at all: a missing permission or program, a refused
	// address, a setting that cannot be used. It counts neither for the target nor against it.
	Blind      bool
	Detail     string // for people: "HTTP 503, database is down"
	Latency    time.Duration
	Broken     []string  // dependencies that the body calls broken
	Release    string    // version that the body reports
	CertExpiry time.Time // earliest end of a certificate; zero without TLS
}

func (c Check) withDefaults() Check {
	c.Interval = cmp.Or(c.Interval, 2*time.Second)
	c.Timeout = cmp.Or(c.Timeout, 2*time.Second)
	c.Rise = max(cmp.Or(c.Rise, 3), 1)
	c.Fall = max(cmp.Or(c.Fall, 3), 1)
	return c
}

func (c Check) guard() outbound.Guard { return outbound.Guard{AllowLinkLocal: c.AllowLinkLocal} }

// tlsConfig returns the configuration for a connection to host.
func (c Check) tlsConfig(host string) (*tls.Config, error) {
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if c.TLS == nil {
		return config, nil
	}
	config.ServerName = cmp.Or(c.TLS.ServerName, host)
	config.InsecureSkipVerify = c.TLS.InsecureSkipVerify
	if c.TLS.CAFile != "" {
		pem, err := os.ReadFile(c.TLS.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read certificate authorities: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read certificate authorities: %s holds no PEM certificate", c.TLS.CAFile)
		}
	}
	return config, nil
}

// checkExpiry fails a passed result whose certificate ends too soon.
func (c Check) checkExpiry(r Result, now time.Time) Result {
	if !r.OK || c.TLS == nil || c.TLS.MinValidity <= 0 || r.CertExpiry.IsZero() {
		return r
	}
	if left := r.CertExpiry.Sub(now); left < c.TLS.MinValidity {
		r.OK = false
		r.Detail = "certificate expires in " + days(left)
		if left <= 0 {
			r.Detail = "certificate expired " + days(-left) + " ago"
		}
	}
	return r
}

func days(d time.Duration) string {
	// Half an hour of slack, so that 3 days less a few seconds are 3 days.
	switch n := int((d + 30*time.Minute) / (24 * time.Hour)); {
	case n > 1:
		return fmt.Sprintf("%d days", n)
	case n == 1:
		return "1 day"
	}
	return belay.Duration(d.Round(time.Minute)).String()
}
