package bind

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belaydev/belay/internal/config/shape"
)

func unknownHint(key string, s shape.Struct) string {
	known := names(s)
	if hint := suggest(key, known); hint != "" {
		return hint
	}
	return "the keys here are " + list(known)
}

// suggest returns `did you mean "x"?` for the known word nearest to got, or "" when none is near.
func suggest(got string, known []string) string {
	if best := Nearest(got, known); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}

// Nearest returns the word of known that got was probably meant to be, or "".
func Nearest(got string, known []string) string {
	norm := strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(got))
	best, least := "", max(1, len(norm)/3)+1
	for _, k := range known {
		if d := distance(norm, k); d < least {
			best, least = k, d
		}
	}
	if best != "" || len(norm) < 4 {
		return best
	}
	for _, k := range known {
		if strings.HasPrefix(k, norm) || strings.HasSuffix(k, norm) || strings.HasPrefix(norm, k) || strings.HasSuffix(norm, k) {
			return k
		}
	}
	return ""
}

// distance is the least number of inserted, removed, replaced or swapped neighbouring letters that turns a into
// b (optimal string alignment).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

func list(words []string) string {
	sorted := slices.Sorted(slices.Values(words))
	if len(sorted) > 1 {
		last := len(sorted) - 1
		return strings.Join(sorted[:last], ", ") + " and " + sorted[last]
	}
	return strings.Join(sorted, "")
}
