package figure

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/belaydev/belay/internal/judge/picture"
)

// BreakAt finds the column at which a line is broken, and the one at which it goes on: between the words that
// still fit and the next, or in the middle of a word that is longer than half the room. "5 %" and "9 s" are one word.
func BreakAt(line string, room int) (head, after int) {
	plain := []rune(ansi.Strip(line))
	for i, width, word := 0, 0, 0; i < len(plain) && width <= room; {
		if plain[i] != ' ' {
			width += ansi.StringWidth(string(plain[i]))
			i++
			continue
		}
		gap := i
		for gap < len(plain) && plain[gap] == ' ' {
			gap++
		}
		next, _, _ := strings.Cut(string(plain[gap:]), " ")
		if width > 0 && (gap-i > 1 || !picture.Together(string(plain[word:i]), next)) {
			head, after = width, width+gap-i
		}
		width, i, word = width+gap-i, gap, gap
	}
	if head < room/2 {
		return room, room
	}
	return head, after
}

// SameLead takes the first word from after when before begins with it too: "weights a=0 → a=100".
func SameLead(before, after string) string {
	lead, rest, ok := strings.Cut(after, " ")
	if ok && strings.HasPrefix(before, lead+" ") && rest != "" {
		return rest
	}
	return after
}

// Shares lists the slots of a proxy with their traffic.
func Shares(weights map[string]int) string {
	var parts []string
	for _, slot := range slices.Sorted(maps.Keys(weights)) {
		parts = append(parts, fmt.Sprintf("%s %d %%", slot, weights[slot]))
	}
	return strings.Join(parts, ", ")
}
