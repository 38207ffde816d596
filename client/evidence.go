package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/belaydev/belay"
)

// Record writes the evidence stream of a deployment to out, which "belay judge" reads; docs/streams.md describes it. With
// follow it goes on until the deployment has ended. After an error, out has the
// beginning of it, whole lines or nothing.
func (c *Client) Record(ctx context.Context, id string, follow bool, out io.Writer) error {
	path := "/api/v1/deployments/" + url.PathEscape(id) + "/evidence"
	if follow {
		path += "?follow=true"
	}
	return c.raw(ctx, path, &lines{out: out})
}

// Card returns the decision card of a deployment, each signal with its trail.
func (c *Client) Card(ctx context.Context, id string) (belay.Card, error) {
	var card belay.Card
	err := c.call(ctx, http.MethodGet, "/api/v1/deployments/"+url.PathEscape(id)+"/card", nil, &card)
	return card, err
}

// CardSVG writes the decision card of a deployment as an SVG picture to out.
func (c *Client) CardSVG(ctx context.Context, id string, out io.Writer) error {
	return c.raw(ctx, "/api/v1/deployments/"+url.PathEscape(id)+"/card.svg", out)
}

// raw copies an answer that is no JSON value.
func (c *Client) raw(ctx context.Context, path string, out io.Writer) error {
	resp, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		return problem(c.base, resp, body)
	}
	from := &reading{Reader: resp.Body}
	if _, err := io.Copy(out, from); err != nil {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case from.err != nil:
			return belay.Errorf(belay.CodeUnavailable, "the connection to %s broke: %w", c.base, from.err)
		}
		return err
	}
	return nil
}

// lines passes on whole lines.
type lines struct {
	out  io.Writer
	rest []byte
}

// Write writes what is whole, and keeps the rest until it is.
func (l *lines) Write(b []byte) (int, error) {
	end := bytes.LastIndexByte(b, '\n') + 1
	if end > 0 {
		if _, err := l.out.Write(append(l.rest, b[:end]...)); err != nil {
			return 0, err
		}
		l.rest = nil
	}
	l.rest = append(l.rest, b[end:]...)
	return len(b), nil
}

// reading remembers why reading ended, so that it is told from an error of writing.
type reading struct {
	io.Reader
	err error
}

// Read reads.
func (r *reading) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}
