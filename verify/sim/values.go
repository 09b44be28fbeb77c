package main

import "slices"

// The values that a call has asked for its lock with, one for each attempt.

// maxAttempts is more than a call makes in the longest schedule.
const maxAttempts = 10_000

// attempt notes the value of an attempt. One that was sent before may be sent again, to a
// server that did not know its script, when the next one is under way.
func (s *session) attempt(value string) {
	if slices.Contains(s.values, value) {
		return
	}
	if s.values = append(s.values, value); len(s.values) == maxAttempts {
		s.client.world.violated(progress, "%v (call %d) has asked %d times", s.client, s.Call, maxAttempts)
	}
}

// value is that of the attempt that was granted, or else of the last.
func (s *session) value() string {
	if s.granted != "" {
		return s.granted
	}
	return s.values[len(s.values)-1]
}

// finds notes which attempt was granted: the one that most servers carry, and the last of
// these. A node whose abilities were learned late may receive an earlier attempt afterwards,
// and then its release. Readers share a key, so an attempt that is rolled back may be on more
// servers than the last one, which then is on a majority.
func (s *session) finds(servers []*server) {
	most := 0
	for _, value := range s.values {
		n := 0
		for _, server := range servers {
			if server.hasAll(s.names, value) {
				n++
			}
		}
		if n >= min(most, s.client.world.majority()) {
			s.granted, most = value, n
		}
	}
}
