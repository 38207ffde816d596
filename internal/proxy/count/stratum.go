package count

import (
	"strings"
	"sync"
	"sync/atomic"
)

// maxStrata bounds the strata told apart; the rest is counted as "other", which has the last index.
const maxStrata = 50

// Other is the stratum of everything beyond the bound.
const Other = "other"

const maxSegment = 40

// strata numbers the strata of a proxy. All slots share it: the same requests are in the same stratum on both
// sides of a comparison.
type strata struct {
	known atomic.Pointer[map[stratum]int] // replaced as a whole, never written to
	mu    sync.Mutex                      // held to replace it
}

type stratum struct{ method, path string }

func (s *strata) index(method, path string, r Result) int {
	k := stratum{Method(method), Path(path)}
	if m := s.known.Load(); m != nil {
		if i, ok := (*m)[k]; ok {
			return i
		}
		if len(*m) >= maxStrata {
			return maxStrata
		}
	}
	if r.Outcome == Answered && r.Status/100 == 4 {
		// Scanners ask for paths that do not exist: they must not use up the strata.
		return maxStrata
	}
	return s.add(k)
}

func (s *strata) add(k stratum) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[stratum]int{}
	if m := s.known.Load(); m != nil {
		if i, ok := (*m)[k]; ok {
			return i
		}
		if len(*m) >= maxStrata {
			return maxStrata
		}
		for k, i := range *m {
			next[k] = i
		}
	}
	i := len(next)
	// The path is a part of the request's: kept alone, it would keep the whole request line in memory.
	next[stratum{k.method, strings.Clone(k.path)}] = i
	s.known.Store(&next)
	return i
}

func (s *strata) names() [maxStrata + 1]string {
	var out [maxStrata + 1]string
	out[maxStrata] = Other
	if m := s.known.Load(); m != nil {
		for k, i := range *m {
			out[i] = k.method + " " + k.path
		}
	}
	return out
}

// Method returns the method if it is a usual one, else "OTHER": a client chooses it freely.
func Method(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return m
	}
	return "OTHER"
}

// Path returns the first segment of a path with identifiers collapsed: "/orders/17" is "/orders", "/17" is "/#".
// Segments that say nothing alone, as "api" and "v1", are kept together with the next one.
func Path(p string) string {
	end := 0
	for range 3 {
		start := end + 1 // after the slash
		if start >= len(p) || p[end] != '/' {
			break
		}
		n := strings.IndexByte(p[start:], '/')
		if n < 0 {
			n = len(p) - start
		}
		end = start + n
		if !prefix(p[start:end]) {
			break
		}
	}
	if end <= 1 {
		return "/"
	}
	return collapse(p[:end])
}

// prefix tells whether a segment is one that whole APIs stand below.
func prefix(s string) bool {
	if s == "api" || s == "rest" {
		return true
	}
	return len(s) >= 2 && len(s) <= 3 && s[0] == 'v' && digits(s[1:])
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// collapse replaces what looks like an identifier in the last segment by "#". It allocates only if it must.
func collapse(p string) string {
	cut := strings.LastIndexByte(p, '/') + 1
	last := p[cut:]
	if len(last) > maxSegment || digits(last) || hexID(last) {
		return p[:cut] + "#"
	}
	run, long := 0, false
	for i := range len(last) {
		if last[i] <= ' ' || last[i] > '~' {
			return p[:cut] + "#" // a label must be text, and a client chooses these bytes
		}
		if last[i] < '0' || last[i] > '9' {
			run = 0
			continue
		}
		if run++; run == 3 {
			long = true
		}
	}
	if long {
		return p[:cut] + collapseDigits(last)
	}
	return p
}

func collapseDigits(s string) string {
	var b strings.Builder
	in := false
	for i := range len(s) {
		d := s[i] >= '0' && s[i] <= '9'
		switch {
		case !d:
			b.WriteByte(s[i])
		case !in:
			b.WriteByte('#')
		}
		in = d
	}
	return b.String()
}

// hexID tells whether a segment is a UUID or a hash: hexadecimal digits and dashes, long, with a digit.
func hexID(s string) bool {
	if len(s) < 12 {
		return false
	}
	digit := false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digit = true
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F', c == '-':
		default:
			return false
		}
	}
	return digit
}
