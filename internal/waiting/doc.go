// Package waiting is what makes a caller wait for a lock, and what ends the wait.
package waiting
