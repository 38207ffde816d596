// Package mask recognizes secrets that stand in a configuration in the clear, in headers, variables and URLs, and
// hides them where it is shown. It knows names, not values: it is no scanner, and what it does not recognize is shown.
package mask

import (
	"net/url"
	"slices"
	"strings"
)

// Hidden is written in the place of a value that is not shown.
const Hidden = "***"

// Holds tells whether a header or variable of this name holds a secret, as far as a name can tell.
func Holds(name string) bool {
	return contains(name, "authorization", "cookie", "token", "secret", "password", "passwd",
		"api-key", "api_key", "apikey", "auth-key", "auth_key", "access-key", "access_key")
}

// May tells whether it may hold one. It is right too often rather than too seldom: for showing, not for refusing.
func May(name string) bool { return Holds(name) || contains(name, "key", "api") }

func contains(name string, words ...string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(name, w) })
}

// Open returns where headers and URLs (by path) hold secrets in the clear, in order.
func Open(headers, urls map[string]string) (paths []string) {
	for name := range headers {
		if Holds(name) {
			paths = append(paths, "headers."+name)
		}
	}
	for path, text := range urls {
		if URL(text, Holds) != text {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// URL hides the values of those query parameters whose names secret tells of. The rest stays as it is written; a
// text that is no URL stays whole. User names and passwords are not looked for: such URLs are refused.
func URL(text string, secret func(name string) bool) string {
	front, fragment, fragmented := strings.Cut(text, "#")
	front, query, asked := strings.Cut(front, "?")
	if !asked || !strings.Contains(front, "://") && !strings.HasPrefix(front, "/") {
		return text
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		pairs[i] = parameter(pair, secret)
	}
	text = front + "?" + strings.Join(pairs, "&")
	if fragmented {
		text += "#" + fragment
	}
	return text
}

func parameter(pair string, secret func(name string) bool) string {
	name, value, assigned := strings.Cut(pair, "=")
	plain, err := url.QueryUnescape(name)
	switch {
	case pair == "" || err == nil && !secret(plain):
		return pair
	case !assigned:
		return Hidden // a key without a value is the value
	case value == "":
		return pair
	}
	return name + "=" + Hidden
}

// Setting hides what a setting at path holds: a header, a variable of an environment, a URL. The whole query of a
// webhook is hidden, because it is what lets one post there.
func Setting(path []string, text string) string {
	key, section := path[len(path)-1], ""
	if len(path) > 1 {
		section = path[len(path)-2]
	}
	switch {
	case (section == "headers" || section == "env") && May(key):
		return Hidden
	case slices.Contains(path, "webhooks"):
		return URL(text, func(string) bool { return true })
	case slices.Contains([]string{"url", "http", "path", "address", "external_url"}, key):
		return URL(text, May)
	}
	return text
}
