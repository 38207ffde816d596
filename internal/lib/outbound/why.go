package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// Why says in a few words for people why a request failed: "connection refused", "no answer in 2s".
func Why(err error, timeout time.Duration) string {
	if err == nil {
		return ""
	}
	if s := whyCertificate(err); s != "" {
		return s
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "no such host: " + dns.Name
		}
		if !dns.IsTimeout {
			return fmt.Sprintf("cannot resolve %s: %s", dns.Name, dns.Err)
		}
		return fmt.Sprintf("cannot resolve %s: no answer in %s", dns.Name, timeout)
	}
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Sprintf("no answer in %s", timeout)
	}
	for _, known := range []struct {
		err  error
		text string
	}{
		{ErrRefused, ErrRefused.Error()},
		{syscall.ECONNREFUSED, "connection refused"},
		{syscall.ECONNRESET, "connection reset"},
		{syscall.EPIPE, "connection reset"},
		{syscall.EHOSTUNREACH, "no route to host"},
		{syscall.ENETUNREACH, "network unreachable"},
		{http.ErrSchemeMismatch, "it speaks plain HTTP on an https address"},
		{io.EOF, "connection closed without an answer"},
		{io.ErrUnexpectedEOF, "connection closed in the middle of the answer"},
		{context.Canceled, "stopped"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return strings.TrimPrefix(err.Error(), "net/http: ")
}

func whyCertificate(err error) string {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired && e.Cert != nil {
			return fmt.Sprintf("certificate is valid only from %s to %s", e.Cert.NotBefore.UTC().Format(time.RFC3339), e.Cert.NotAfter.UTC().Format(time.RFC3339))
		}
		return "certificate is not valid: " + e.Error()
	}
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return "certificate is not for " + e.Host
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "certificate is signed by an unknown authority"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "it does not speak TLS"
	}
	return ""
}
