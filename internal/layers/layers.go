// Package layers holds the import policy of the repository, as a test. It reads the source files itself: a test that
// asks a child process is served from the cache after a rule has been broken.
package layers
