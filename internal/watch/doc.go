// Package watch conducts deployments: one goroutine for each active one observes it, asks the judge, decides by
// package state, and has the decision carried out. A decision is on record before it is acted upon, so that a
// conductor that dies at any moment is followed by one that goes on. What a deployment's next state is, is not
// decided here, and nothing here knows how to scrape, deploy, move traffic or roll back: see the interfaces.
package watch
