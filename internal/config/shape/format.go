package shape

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/belaydev/belay/internal/lib/jsonpath"
)

// Patterns of the formats that are regular expressions; the JSON Schema uses the same.
const (
	namePattern   = `^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`
	signalPattern = `^[a-z_][a-z0-9_]{0,62}$`
	labelPattern  = `^[A-Za-z_][A-Za-z0-9_]{0,127}$`
	methodPattern = `^[A-Z]{3,10}$`
)

// Pattern returns the regular expression of a format, or "" when the format is no regular expression.
func Pattern(format string) string {
	switch format {
	case "name":
		return namePattern
	case "signal":
		return signalPattern
	case "label":
		return labelPattern
	case "method":
		return methodPattern
	}
	return ""
}

// CheckFormat tells whether s has the named format: name, signal, label, jsonpath, method, url, path-or-url,
// path, target, address, backend, listen,
// admin, regexp, file, word. The error says what would be right.
func CheckFormat(format, s string) error {
	if p := Pattern(format); p != "" {
		if !regexp.MustCompile(p).MatchString(s) {
			return fmt.Errorf("%q is not %s", s, wanted(format))
		}
		return nil
	}
	switch format {
	case "url":
		return checkURL(s)
	case "path-or-url":
		if strings.HasPrefix(s, "/") {
			return checkPath(s)
		}
		return checkURL(s)
	case "path":
		return checkPath(s)
	case "target":
		if strings.Contains(s, "://") {
			return checkURL(s)
		}
		return checkAddress(s, false)
	case "address":
		return checkAddress(s, false)
	case "backend":
		if scheme, rest, ok := strings.Cut(s, "://"); ok && (scheme == "http" || scheme == "https" || scheme == "h2c") {
			s = rest
		}
		return checkAddress(s, false)
	case "listen":
		return checkAddress(s, true)
	case "admin":
		if path, ok := strings.CutPrefix(s, "unix:"); ok && strings.HasPrefix(path, "/") {
			return nil
		} else if ok {
			return fmt.Errorf("%q is not the path of a socket; write for example unix:/run/belay/edge.sock", s)
		}
		return checkAddress(s, true)
	case "jsonpath":
		if _, err := jsonpath.Parse(s); err != nil {
			return fmt.Errorf("%w; write for example .status or .checks[0].name", err)
		}
	case "regexp":
		if _, err := regexp.Compile(s); err != nil {
			return fmt.Errorf("not a regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	case "word":
		if s == "" || strings.ContainsAny(s, " \t\n\x00") {
			return fmt.Errorf("%q is not a name without spaces", s)
		}
	case "file":
		if s == "" || strings.ContainsRune(s, 0) {
			return fmt.Errorf("%q is not a file name", s)
		}
	case "":
	default:
		panic("unknown format " + format)
	}
	return nil
}

func wanted(format string) string {
	switch format {
	case "name":
		return "a name; use up to 63 letters, digits, '-', '_' and '.', such as shop-api"
	case "signal":
		return "a signal's name; use lower-case letters, digits and '_', such as orders_per_minute"
	case "label":
		return "a label or variable name; use letters, digits and '_'"
	case "method":
		return "an HTTP method; write for example GET or POST"
	}
	return "a " + format
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil && strings.Contains(s, "@") {
		return fmt.Errorf("not a URL; write for example http://127.0.0.1:8000/path") // s may hold a password
	}
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.Opaque != "" {
		return fmt.Errorf("%q is not a URL; write for example http://127.0.0.1:8000/path", s)
	}
	if u.User != nil {
		return fmt.Errorf("the URL holds a user name or password, which would be shown in logs; use a header or a token instead")
	}
	if port := u.Port(); port != "" {
		return checkPort(s, port, false)
	}
	return nil
}

func checkPath(s string) error {
	if u, err := url.Parse(s); err != nil || u.Host != "" || !strings.HasPrefix(s, "/") {
		return fmt.Errorf("%q is not a path; write for example /healthz", s)
	}
	return nil
}

func checkAddress(s string, listen bool) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil || (host == "" && !listen) || strings.ContainsAny(host, "/ \t@?#${}") {
		return fmt.Errorf("%q is not an address; write host:port, for example 127.0.0.1:8000", s)
	}
	return checkPort(s, port, listen)
}

func checkPort(s, port string, listen bool) error {
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 || (n == 0 && !listen) {
		return fmt.Errorf("%q has no valid port; ports are 1 to 65535", s)
	}
	return nil
}
