package redlock

import "os"

// What takes minutes runs with REDLOCK_LONG=1, as CONTRIBUTING.md says.
func long() bool { return os.Getenv("REDLOCK_LONG") != "" }
