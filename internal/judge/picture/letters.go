package picture

import (
	"html"
	"slices"
	"strings"
)

func shortName(own, otherwise string) string { return cut(name(own, otherwise), 16) }

// shorten cuts a sentence that would fill the picture.
func shorten(text string) string { return cut(text, mostText) }

// escape makes text safe to stand in XML.
func escape(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0xfffe || r == 0xffff {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	return html.EscapeString(text)
}

// textWidth estimates how wide text is drawn, on the wide side of what the usual fonts do.
func textWidth(text string, size float64) float64 {
	n := 0.0
	for _, r := range text {
		switch {
		case strings.ContainsRune("iljt.,:;|!'()[] fI1", r):
			n += 0.38
		case strings.ContainsRune("mwMW%@", r):
			n += 0.95
		case r >= 'A' && r <= 'Z':
			n += 0.7
		case width(string(r)) == 2:
			n++
		default:
			n += 0.61
		}
	}
	return n * size
}

// Together tells whether two words that follow each other stay on one line: a number and its unit, both sides of odds.
func Together(before, after string) bool {
	if before == ":" || after == ":" || strings.HasPrefix(after, "%") {
		return true
	}
	number := before != "" && before[len(before)-1] >= '0' && before[len(before)-1] <= '9'
	return number && slices.Contains([]string{"ms", "s", "min", "h", "d", "B", "KiB", "MiB", "GiB", "/s"}, strings.TrimRight(after, ".,;:)"))
}

// wrap breaks text into lines that fit.
func wrap(text string, wide, size float64) []string {
	var out []string
	line := ""
	for _, word := range words(text) {
		if line != "" && textWidth(line+word, size) > wide {
			out, line = append(out, line), strings.TrimLeft(word, " ")
		} else {
			line += word
		}
		for textWidth(line, size) > wide {
			n := max(1, int(float64(len([]rune(line)))*wide/textWidth(line, size))-1)
			head := []rune(line)[:n]
			out, line = append(out, string(head)), string([]rune(line)[n:])
		}
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}
