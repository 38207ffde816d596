//go:build !linux

package health_test

func dropCapabilities() error { return nil }
