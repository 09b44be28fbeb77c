package main

import (
	"runtime"
	"time"
)

// usage is what the process used up between two moments.
type usage struct {
	elapsed time.Duration
	cpu     time.Duration // user and system
	allocs  uint64        // objects
	bytes   uint64
}

// A reading is taken at one moment.
type reading struct {
	at     time.Time
	cpu    time.Duration
	allocs uint64
	bytes  uint64
}

func readUsage() reading {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return reading{at: time.Now(), cpu: cpuTime(), allocs: m.Mallocs, bytes: m.TotalAlloc}
}

func (r reading) since(before reading) usage {
	return usage{
		elapsed: r.at.Sub(before.at),
		cpu:     r.cpu - before.cpu,
		allocs:  r.allocs - before.allocs,
		bytes:   r.bytes - before.bytes,
	}
}
