package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// ListenMetrics opens the address that a sidecar serves metrics at. Its error is for the person who chose it.
func ListenMetrics(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("metrics cannot be served at %s: another process listens there (ss -ltnp shows which); choose another port, or serve none", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("metrics cannot be served at %s: this machine has no such address; choose 127.0.0.1 or one that it has (ip address shows them)", address)
	case err != nil:
		return nil, fmt.Errorf("metrics cannot be served at %s: %w; choose another address, or serve none", address, err)
	}
	return l, nil
}

// checkMetrics tries the address that a sidecar is to serve metrics at, while the one that runs still works. It says nothing of a
// port that this one is about to let go.
func checkMetrics(ctx context.Context, address string, running Status) error {
	if address == "" || portOf(address) == portOf(running.Metrics) {
		return nil
	}
	l, err := ListenMetrics(ctx, address)
	if err != nil {
		return fmt.Errorf("metrics_listen: %w. Sidecar %s goes on as it is", err, running.Version)
	}
	return l.Close()
}

// portOf is "" of what is no address.
func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
