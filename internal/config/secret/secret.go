// Package secret reads the files that configuration keeps secrets in. It never logs or keeps what it reads.
package secret

import (
	"fmt"
	"io"
	"os"
	"strings"
)

const maxSecret = 64 << 10 // bytes

// Read returns the content of the file at path without the line end after it. The error says what to do.
func Read(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w; the path starts at the folder of this file", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("read secret: %s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w; the path starts at the folder of this file", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	value := strings.TrimRight(string(b), "\r\n")
	if value == "" || len(b) > maxSecret {
		return "", fmt.Errorf("read secret: %s must hold between 1 and %d bytes", path, maxSecret)
	}
	return value, nil
}
