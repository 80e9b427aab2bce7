package simulated

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/platform/platformtest"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/sqlite"
)

func openStore(t *testing.T) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "farmhand.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestContract(t *testing.T) {
	s := openStore(t)
	platformtest.Run(t, platformtest.Harness{
		Farm: "sim",
		Open: func(t *testing.T, farm string) platform.Platform {
			p, err := New(Options{
				Farm:  spec.Farm{Name: farm, Simulated: &spec.Simulated{BootTime: spec.Duration(time.Hour), Subnet: "10.99.0.0/24"}},
				Store: s, Log: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			return p
		},
		Address:      func(_ string, n int) string { return []string{"10.99.0.10", "10.99.0.11"}[n] },
		Image:        "anything:1",
		MissingImage: "registry.example/" + MissingImage + ":1",
		Kill: func(t *testing.T, farm string, m platform.Machine) {
			if err := Kill(t.Context(), s, farm, m.Instance); err != nil {
				t.Fatal(err)
			}
		},
	})
}
