//go:build !race

package main

const idleLocks = 10_000
