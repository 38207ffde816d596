package unit

import (
	"fmt"
	"strconv"
	"strings"
)

// Factor is how many times one thing is another: 1.5.
type Factor float64

// FactorPattern matches the factors that are accepted.
const FactorPattern = `^[0-9]{1,15}(\.[0-9]{1,15})?x?$`

// UnmarshalText reads "1.5" or "1.5x".
func (f *Factor) UnmarshalText(b []byte) error {
	text := strings.TrimSuffix(string(b), "x")
	if !isNumber(text) {
		return fmt.Errorf("%q is not a factor; write for example 1.5", b)
	}
	v, err := strconv.ParseFloat(text, 64)
	*f = Factor(v)
	return err
}

// MarshalText writes "1.5".
func (f Factor) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// String returns "1.5".
func (f Factor) String() string { return strconv.FormatFloat(float64(f), 'f', -1, 64) }
