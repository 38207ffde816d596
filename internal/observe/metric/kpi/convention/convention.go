// Package convention knows the names by which applications tell of their requests: which metrics count them or
// time them, and in which labels status, route and method stand. It only knows names; what is counted is
// package kpi's business.
package convention

import (
	"slices"
	"strings"
)

// Family is a metric that is known to mean something.
type Family struct {
	Name string
	Kind Kind
	Rank int     // the lowest rank that an instance has is used
	Unit float64 // seconds in one of its units, for durations
}

// Kind says what a metric means.
type Kind int

// The kinds.
const (
	Counter   Kind = iota // requests
	Histogram             // response times, and requests by their count
	CPU                   // seconds
	Memory                // bytes, a gauge
	Up                    // whether the scrape succeeded
	Start                 // of the process, in seconds
)

// Known lists what is known, best first: an instance that has several is counted by the first alone.
func Known() []Family {
	var out []Family
	add := func(k Kind, unit float64, names ...string) {
		for _, n := range names {
			out = append(out, Family{Name: n, Kind: k, Rank: len(out), Unit: unit})
		}
	}
	add(Counter, 1,
		"http_requests_total",                                     // client libraries' examples, Prometheus FastAPI instrumentator, Go
		"flask_http_request_total",                                // prometheus_flask_exporter
		"http_server_requests_total",                              // Ruby's Rack collector
		"starlette_requests_total",                                // starlette_exporter
		"fastapi_responses_total",                                 // fastapi-observability
		"gin_requests_total",                                      // go-gin-prometheus
		"echo_requests_total",                                     // echo-prometheus
		"rails_requests_total",                                    // yabeda
		"django_http_responses_total_by_status_view_method_total", // django-prometheus
		"traefik_service_requests_total",
	)
	add(Histogram, 1,
		"http_server_request_duration_seconds", // OpenTelemetry
		"http_server_requests_seconds",         // Micrometer, Spring Boot
		"http_request_duration_seconds",
		"flask_http_request_duration_seconds",
		"starlette_request_duration_seconds",
		"fastapi_requests_duration_seconds",
		"gin_request_duration_seconds",
		"echo_request_duration_seconds",
		"rails_request_duration_seconds",
		"django_http_requests_latency_seconds_by_view_method",
		"caddy_http_request_duration_seconds",
		"traefik_service_request_duration_seconds",
	)
	add(Histogram, 0.001, "http_server_duration_milliseconds", "http_request_duration_milliseconds") // OpenTelemetry before 1.23
	return out
}

func statusLabels() []string {
	return []string{"status", "code", "status_code", "http_status", "http_response_status_code", "http_status_code", "response_code"}
}

// StatusLabels are the labels that Status looks at.
func StatusLabels() []string { return append(statusLabels(), "outcome") }

// RouteLabels are the labels that may hold the route, the first of them that is there does.
func RouteLabels() []string {
	return []string{"http_route", "route", "path_template", "url_rule", "uri", "path", "handler", "endpoint", "view", "url", "http_target"}
}

// ProbedPattern is a regular expression of the routes that Probed tells of.
func ProbedPattern() string {
	return "(?i)[/^$]*(actuator/.*|.*/healthz?|" + strings.Join(probed(), "|") + ")[/^$]*"
}

func probed() []string {
	return []string{"metrics", "health", "healthz", "healthcheck", "health_check", "health-check", "ready", "readyz", "readiness",
		"live", "livez", "liveness", "ping", "-/healthy", "-/ready", "health/live", "health/ready", "prometheus_metrics"}
}

// Status returns the status of the requests that a series counts.
func Status(l map[string]string) (string, bool) {
	for _, name := range statusLabels() {
		// Micrometer writes UNKNOWN, others leave it empty: no outcome is not a good one, but not a bad one either.
		if v := l[name]; v != "" {
			return v, true
		}
	}
	switch l["outcome"] {
	case "SERVER_ERROR":
		return "500", true
	case "SUCCESS", "CLIENT_ERROR", "REDIRECTION", "INFORMATIONAL":
		return "200", true
	}
	return "", false
}

// Route returns the route and the method of the requests that a series counts.
func Route(l map[string]string) (route, method string) {
	for _, name := range RouteLabels() {
		if v := l[name]; v != "" {
			route = v
			break
		}
	}
	for _, name := range []string{"method", "http_request_method", "http_method", "verb"} {
		if v := l[name]; v != "" {
			method = strings.ToUpper(v)
			break
		}
	}
	return route, method
}

// Stratum names the requests that a series counts: "GET /cart".
func Stratum(route, method string) string { return strings.TrimSpace(method + " " + route) }

// Probed tells whether a route is asked by machines that watch, not by users.
func Probed(route string) bool {
	r := strings.ToLower(strings.Trim(route, "/^$"))
	if strings.HasPrefix(r, "actuator/") || strings.HasSuffix(r, "/healthz") || strings.HasSuffix(r, "/health") {
		return true
	}
	return slices.Contains(probed(), r)
}
