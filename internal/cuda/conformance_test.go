package cuda

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/hone-ml/hone/internal/backend/backendtest"
)

// openSimulator is a simulated card that is closed, with all its memory given back, when the test ends.
func openSimulator(t testing.TB) *Backend {
	t.Helper()
	b, err := OpenSim()
	return closing(t, b, err)
}

// openCard is the card that HONE_TEST_DEVICE names ("cuda:0").
func openCard(t testing.TB) *Backend {
	t.Helper()
	number, ok := strings.CutPrefix(os.Getenv("HONE_TEST_DEVICE"), "cuda:")
	i, err := strconv.Atoi(number)
	if !ok || err != nil {
		t.Skip("HONE_TEST_DEVICE names no card (cuda:0)")
	}
	b, err := Open(i)
	return closing(t, b, err)
}

func closing(t testing.TB, b *Backend, err error) *Backend {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := b.InUse(); n != 0 {
			t.Errorf("%d bytes are still in use", n)
		}
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

func TestConformance(t *testing.T) { backendtest.Run(t, openSimulator(t)) }

func TestConformanceOnTheCard(t *testing.T) { backendtest.Run(t, openCard(t)) }
