package kit_test

import (
	"testing"

	"github.com/quorumlock/quorumlock/test/internal/testbed"
)

func TestMain(m *testing.M) { testbed.Main(m) }
