package rig

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Conn asks one address again and again on one connection. It does as little as possible, so that on a small
// machine what is measured is the server and not the client. It understands answers with a Content-Length only.
type Conn struct {
	addr string
	ask  []byte
	c    net.Conn
	r    *bufio.Reader
}

// NewConn makes one to the URL of a host. It connects when it is first used.
func NewConn(url string) *Conn {
	addr := strings.TrimPrefix(url, "http://")
	return &Conn{addr: addr, ask: []byte("GET / HTTP/1.1\r\nHost: " + addr + "\r\nAccept: */*\r\n\r\n")}
}

// Get sends a request and reads the whole answer; anything but a 200 is an error.
func (c *Conn) Get() error {
	err := c.get()
	if err != nil {
		c.Close()
	}
	return err
}

func (c *Conn) get() error {
	if c.c == nil {
		conn, err := net.DialTimeout("tcp", c.addr, 5*time.Second)
		if err != nil {
			return err
		}
		c.c, c.r = conn, bufio.NewReader(conn)
	}
	if err := c.c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := c.c.Write(c.ask); err != nil {
		return err
	}
	status, err := c.line()
	if err != nil {
		return err
	}
	length, hangsUp := -1, false
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); {
		case strings.EqualFold(name, "Content-Length"):
			if length, err = strconv.Atoi(value); err != nil {
				return err
			}
		case strings.EqualFold(name, "Connection") && strings.EqualFold(value, "close"):
			hangsUp = true
		}
	}
	if length < 0 {
		return errors.New("an answer without Content-Length")
	}
	if _, err := c.r.Discard(length); err != nil {
		return err
	}
	if hangsUp {
		c.Close()
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200") {
		return fmt.Errorf("the answer is %s", status)
	}
	return nil
}

func (c *Conn) line() (string, error) {
	b, err := c.r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return "", err
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// Close lets go of the connection.
func (c *Conn) Close() {
	if c.c != nil {
		c.c.Close()
		c.c, c.r = nil, nil
	}
}

// Closed is what closed loops measured.
type Closed struct {
	PerSecond float64
	Latency   []float64 // seconds, of every answer
	Failed    int
}

// Loop lets n connections ask one request after the other for a while.
func Loop(url string, n int, d time.Duration) Closed {
	var mu sync.Mutex
	var all Closed
	var wg sync.WaitGroup
	began := time.Now()
	for range n {
		wg.Go(func() {
			c := NewConn(url)
			defer c.Close()
			var took []float64
			failed := 0
			for at := time.Now(); at.Sub(began) < d; {
				err := c.Get()
				now := time.Now()
				if err != nil {
					failed++
				} else {
					took = append(took, now.Sub(at).Seconds())
				}
				at = now
			}
			mu.Lock()
			defer mu.Unlock()
			all.Latency = append(all.Latency, took...)
			all.Failed += failed
		})
	}
	wg.Wait()
	all.PerSecond = float64(len(all.Latency)) / time.Since(began).Seconds()
	return all
}
