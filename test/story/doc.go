// Package story holds the whole-product tests: the built binary, on real applications and servers, as a user
// runs it. They are behind the build tag "story" and run by "make test".
package story
