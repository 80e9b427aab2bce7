package dynamodb_test

import (
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb/dynalitetest"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/storetest"
)

func TestContract(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Run("dynamodb", func(t *testing.T) { contract(t, func(s *dynalitetest.Server) string { return s.URL }) })
}

// TestContractWithoutTransactions is for emulators that have none.
func TestContractWithoutTransactions(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Run("dynalite", func(t *testing.T) { contract(t, func(s *dynalitetest.Server) string { return s.Plain }) })
}

func contract(t *testing.T, endpoint func(*dynalitetest.Server) string) {
	server := dynalitetest.Start(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, endpoint(server), dynamodb.Options{Table: newTable()})
	}, storetest.Peer(func(t *testing.T, s store.Store) store.Store {
		return open(t, endpoint(server), dynamodb.Options{Table: s.(*dynamodb.Store).Table(), Mode: dynamodb.Trusting})
	}))
}

var tables atomic.Int32

// newTable is a name that no other test takes.
func newTable() string { return fmt.Sprintf("farmhand-%d", tables.Add(1)) }

// open opens a store that closes with the test.
func open(t testing.TB, endpoint string, o dynamodb.Options) *dynamodb.Store {
	t.Helper()
	o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	s, err := dynamodb.Open(t.Context(), dynalitetest.Config(t, endpoint), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
