// Package id makes identifiers that sort by the time of their making. It is not for secrets.
package id

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
	"time"
)

// alphabet is Crockford's base 32 in lower case: no i, l, o, u, so that an id can be read over the telephone.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// New returns prefix, a dash, ten characters of milliseconds since 1970 and eight of randomness (40 bits).
// Identifiers made in different milliseconds sort by time.
func New(prefix string, now time.Time) string {
	var b strings.Builder
	b.Grow(len(prefix) + 19)
	b.WriteString(prefix)
	b.WriteByte('-')
	write(&b, uint64(now.UnixMilli()), 10) //nolint:gosec // times before 1970 do not occur
	var r [8]byte
	_, _ = rand.Read(r[:]) // documented never to fail
	write(&b, binary.BigEndian.Uint64(r[:]), 8)
	return b.String()
}

func write(b *strings.Builder, v uint64, n int) {
	for i := n - 1; i >= 0; i-- {
		b.WriteByte(alphabet[v>>(5*i)&31])
	}
}
