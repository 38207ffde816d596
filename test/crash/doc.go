// Package crash holds the tests that kill -9 the controller and the proxy: at every moment of a rollback that makes a
// difference, at random ones, and while users are served. They are behind the build tag "story" and run by "make test".
package crash
