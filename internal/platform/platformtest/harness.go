package platformtest

import (
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// Harness is what the suite needs of an implementation.
type Harness struct {
	// Farm starts the names of the farms that the suite makes; unique on the engine.
	Farm string
	// Open makes a platform value for the farm, not yet opened: each call is like another process. The harness sees
	// to it that farms have subnets that do not overlap. Closing and cleaning up is the suite's.
	Open func(t *testing.T, farm string) platform.Platform
	// Address is a fixed address for the n-th machine of a farm, from 0; "" where the platform chooses.
	Address func(farm string, n int) string
	// Image is one to launch from, and MissingImage one that does not exist.
	Image, MissingImage string
	// Kill ends a machine as a crash would, behind the platform's back.
	Kill func(t *testing.T, farm string, m platform.Machine)

	// Silent is set where nobody tells the platform of a death: it is seen when machines are next listed.
	Silent bool

	// Inspect returns everything that the platform tells of a machine to whoever may list it; nil where there is
	// nothing but List.
	Inspect func(t *testing.T, m platform.Machine) string
	// WriteFile and ReadFile act within a running machine; nil where machines have no files.
	WriteFile func(t *testing.T, m platform.Machine, path, content string)
	ReadFile  func(t *testing.T, m platform.Machine, path string) string
	// Files lists the names in a folder of a running machine; nil where there are none.
	Files func(t *testing.T, m platform.Machine, dir string) []string
	// NoSnapshots says why the platform's snapshots cannot be tried here; "" where they can, or it takes none.
	NoSnapshots string
	// FileMode returns the octal permissions of a file within a running machine ("600"); nil where there are none.
	FileMode func(t *testing.T, m platform.Machine, path string) string
}

// patience is how long the suite asks again for something that a real engine does in a second.
const patience = 60 * time.Second

// eventually asks until ok says so, and fails with what the last answer was.
func eventually(t *testing.T, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		done, last := ok()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s; last seen: %s", what, patience, last)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
