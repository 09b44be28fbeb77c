// Package fleet_test runs services with this library and services with redsync on the same
// masters: each excludes the other, and a service can switch from one to the other.
package fleet_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
