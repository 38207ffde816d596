package http

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/belaydev/belay"
)

// facts are what a rollback knows, by the words that stand for them.
type facts []string // word, value, word, value ...

func replacer(a belay.Action) facts {
	return facts{
		"{version}", a.To.Version, "{slot}", a.ToSlot,
		"{to_version}", a.To.Version, "{to_commit}", a.To.Commit, "{to_digest}", a.To.Digest, "{to_slot}", a.ToSlot,
		"{from_version}", a.From.Version, "{from_commit}", a.From.Commit, "{from_digest}", a.From.Digest, "{from_slot}", a.FromSlot,
		"{service}", a.Service, "{environment}", a.Environment, "{rollback}", a.Rollback, "{step_key}", a.Key,
	}
}

func (f facts) replace(text string, escape func(string) string) string {
	pairs := make([]string, len(f))
	for i := 0; i < len(f); i += 2 {
		pairs[i], pairs[i+1] = f[i], escape(f[i+1])
	}
	return strings.NewReplacer(pairs...).Replace(text) // one pass: a value that looks like a word is not replaced
}

func (f facts) plain(text string) string {
	return f.replace(text, func(s string) string { return s })
}

// url escapes so that a value stays within its place, in the path as well as in the query.
func (f facts) url(text string) string {
	return f.replace(text, func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") })
}

// body escapes a value for a JSON string when the body is JSON, else for a form.
func (f facts) body(text string) string {
	if looksJSON(text) {
		return f.replace(text, func(s string) string {
			b, err := json.Marshal(s)
			if err != nil { // a string always marshals
				return ""
			}
			return string(b[1 : len(b)-1])
		})
	}
	if strings.Contains(text, "=") && !strings.ContainsAny(text, "\n<") {
		return f.replace(text, url.QueryEscape)
	}
	return f.plain(text)
}

// looksJSON tells a JSON object or list from text that begins with one of the words.
func looksJSON(text string) bool {
	text = strings.TrimSpace(text)
	rest, ok := strings.CutPrefix(text, "{")
	rest = strings.TrimSpace(rest)
	return strings.HasPrefix(text, "[") || ok && (strings.HasPrefix(rest, `"`) || strings.HasPrefix(rest, "}"))
}
