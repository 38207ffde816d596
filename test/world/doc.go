// Package world is what the whole-product tests are written in: one belay with its folder, its processes and its
// users, an application that can be good or bad, a Prometheus that belay does not run, a receiver of webhooks. It
// uses the built binary as a user would and knows nothing of its inside. Everything but this file is behind the
// build tag "story".
package world
