package main

// A reader is a call that takes a lock with others. A downgraded lock is that of a reader, too.

// reading reports whether what a call holds is a reader's.
func (s *session) reading() bool {
	k := s.held.Load()
	return k != nil && k.Shared()
}

// excludes reports whether no two calls may hold their locks at one time.
func (s *session) excludes(other *session) bool {
	return s.overlaps(other) && !(s.reading() && other.reading())
}

// downgrade is one call of Downgrade by the holder.
func (s *session) downgrade() {
	if k := s.held.Load(); k != nil {
		s.prolong("downgraded", k.Downgrade)
	}
}
