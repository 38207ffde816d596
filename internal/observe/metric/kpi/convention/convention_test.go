package convention

import "testing"

func TestKnownNamesAreOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Known() {
		if seen[f.Name] || f.Unit <= 0 {
			t.Errorf("%s: twice, or without a unit", f.Name)
		}
		seen[f.Name] = true
	}
}

func TestProbed(t *testing.T) {
	for route, want := range map[string]bool{
		"/metrics": true, "metrics": true, "/healthz": true, "/health/": true, "/-/ready": true, "/actuator/health": true, "/v1/health": true, "/PING": true, "^/metrics$": true,
		"/": false, "": false, "/cart": false, "/health-insurance": false, "/metrics-explorer": false, "/live/stream": false, "/status": false,
	} {
		if Probed(route) != want {
			t.Errorf("Probed(%q) = %v", route, !want)
		}
	}
}

func TestLabels(t *testing.T) {
	for _, c := range []struct {
		labels  map[string]string
		status  string
		coded   bool
		stratum string
	}{
		{map[string]string{"code": "503", "handler": "/a", "method": "get"}, "503", true, "GET /a"},
		{map[string]string{"status": "UNKNOWN", "outcome": "UNKNOWN"}, "UNKNOWN", true, ""},
		{map[string]string{"outcome": "SERVER_ERROR", "uri": "/b"}, "500", true, "/b"},
		{map[string]string{"outcome": "CLIENT_ERROR", "http_request_method": "POST"}, "200", true, "POST"},
		{map[string]string{"le": "1"}, "", false, ""},
	} {
		status, coded := Status(c.labels)
		if got := Stratum(Route(c.labels)); status != c.status || coded != c.coded || got != c.stratum {
			t.Errorf("%v: got %q, %v, %q", c.labels, status, coded, got)
		}
	}
}
