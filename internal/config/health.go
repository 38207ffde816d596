package config

import (
	"time"

	"github.com/belaydev/belay/internal/config/unit"
)

// HealthCheck is one check with its schedule. Exactly one of the kinds is set.
type HealthCheck struct {
	_ struct{} `shorthand:"http" oneof:"http tcp grpc dns icmp command"`

	Name     string        `yaml:"name" format:"name" doc:"Name in the evidence; the kind of the check, numbered, when not given."`
	HTTP     *HTTPCheck    `yaml:"http" doc:"Asks over HTTP."`
	TCP      *TCPCheck     `yaml:"tcp" doc:"Opens a TCP connection."`
	GRPC     *GRPCCheck    `yaml:"grpc" doc:"Asks the gRPC health service."`
	DNS      *DNSCheck     `yaml:"dns" doc:"Asks a name server."`
	ICMP     *ICMPCheck    `yaml:"icmp" doc:"Pings a host."`
	Command  *CommandCheck `yaml:"command" doc:"Runs a program; exit code 0 is healthy."`
	Interval time.Duration `yaml:"interval" default:"2s" min:"100ms" doc:"How often it is made."`
	Timeout  time.Duration `yaml:"timeout" default:"2s" min:"10ms" doc:"How long it may take."`
	Rise     int           `yaml:"rise" default:"3" min:"1" max:"1000" doc:"Passes in a row that make it healthy."`
	Fall     int           `yaml:"fall" default:"3" min:"1" max:"1000" doc:"Failures in a row that make it unhealthy."`

	AllowLinkLocal bool `yaml:"allow_link_local" default:"false" doc:"Whether it may lead to a link-local or cloud metadata address."`
}

// Kind returns the name of the kind that is set.
func (h HealthCheck) Kind() string {
	switch {
	case h.HTTP != nil:
		return "http"
	case h.TCP != nil:
		return "tcp"
	case h.GRPC != nil:
		return "grpc"
	case h.DNS != nil:
		return "dns"
	case h.ICMP != nil:
		return "icmp"
	case h.Command != nil:
		return "command"
	}
	return ""
}

// HTTPCheck asks over HTTP. Of URL and Path one is set.
type HTTPCheck struct {
	_ struct{} `shorthand:"url" oneof:"url path"`

	URL             string             `yaml:"url" format:"path-or-url" example:"http://127.0.0.1:8000/healthz" doc:"What is requested. A value that begins with / is taken as path."`
	Path            string             `yaml:"path" format:"path" example:"/healthz" doc:"Path that each target is asked for."`
	Method          string             `yaml:"method" default:"GET" format:"method" doc:"HTTP method."`
	Headers         map[string]string  `yaml:"headers" doc:"Headers of the request."`
	Status          []unit.StatusRange `yaml:"status,single" default:"200-299" min:"1" doc:"Status codes that are healthy."`
	Body            string             `yaml:"body" default:"" format:"regexp" doc:"Regular expression that the body must match."`
	JSON            []JSONCheck        `yaml:"json,single" doc:"Values that the JSON body must hold."`
	TLSExpiry       time.Duration      `yaml:"tls_expiry" default:"0" example:"14d" doc:"How long the certificate must still be valid; 0 asks nothing."`
	FollowRedirects bool               `yaml:"follow_redirects" default:"false" doc:"Whether redirects are followed; else a redirect is the answer."`
	SkipTLSVerify   bool               `yaml:"skip_tls_verify" default:"false" doc:"Whether a certificate that cannot be verified is accepted."`
}

// JSONCheck is one value of a JSON body.
type JSONCheck struct {
	Path   string `yaml:"path,required" format:"jsonpath" example:".status" doc:"Path to the value."`
	Equals string `yaml:"equals,required" example:"ok" doc:"What it must be, as text."`
}

// TCPCheck opens a connection.
type TCPCheck struct {
	_ struct{} `shorthand:"address"`

	Address string `yaml:"address,required" format:"address" example:"127.0.0.1:5432" doc:"host:port to connect to."`
}

// GRPCCheck asks the gRPC health service.
type GRPCCheck struct {
	_ struct{} `shorthand:"address"`

	Address string `yaml:"address,required" format:"address" example:"127.0.0.1:9090" doc:"host:port of the server."`
	Service string `yaml:"service" default:"" doc:"Name of the gRPC service to ask for; empty is the server as a whole."`
	TLS     bool   `yaml:"tls" default:"false" doc:"Whether the connection is encrypted."`
}

// DNSCheck asks a name server.
type DNSCheck struct {
	Server string `yaml:"server,required" format:"address" example:"127.0.0.1:53" doc:"host:port of the name server."`
	Name   string `yaml:"name,required" format:"word" example:"shop.example.com" doc:"Name to look up."`
	Type   string `yaml:"type" default:"A" enum:"A|AAAA|CNAME|MX|NS|SOA|SRV|TXT|PTR" doc:"Type of the record."`
	Expect string `yaml:"expect" default:"" format:"regexp" doc:"Regular expression that an answer must match; when empty any answer is healthy."`
}

// ICMPCheck pings a host.
type ICMPCheck struct {
	_ struct{} `shorthand:"host"`

	Host string `yaml:"host,required" format:"word" example:"10.0.0.1" doc:"Host name or address."`
}

// CommandCheck runs a program.
type CommandCheck struct {
	_ struct{} `shorthand:"command"`

	Command Command `yaml:"command,single,required" min:"1" example:"[./check.sh]" doc:"Program and arguments, without a shell. It runs in the folder of this file."`
}
