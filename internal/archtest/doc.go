// Package archtest holds the architecture of the module as a test: who may import whom, where each embedded
// engine may be used, what pure packages may not touch, and how big a file, a function and a package may grow.
// It has no code of its own.
package archtest
