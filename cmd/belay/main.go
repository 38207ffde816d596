// Command belay watches deployments, takes them back when they go wrong and proves that they came back.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/belaydev/belay/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, cli.Environment{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv,
	})
	stop()
	os.Exit(code)
}
