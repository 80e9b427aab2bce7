package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns"
	"github.com/farmhand/terraform-provider-farmhand/internal/dns/embedded"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/gateway"
)

// nameserver publishes a farm's names. It is handed what is declared and who serves after every tick.
type nameserver struct {
	server *embedded.Server
	zone   string
}

func (n *nameserver) publish(t state.Topology, declared []spec.DNSRecord) {
	n.server.Publish(dns.Plan(t, declared))
}

// serve opens the farm's gateway and nameserver on its network, on the ports that they had before if those are
// free: instances that are up know no others. It returns what closes them.
func (k *keeper) serve(ctx context.Context, farm spec.Farm) (stop func(), err error) {
	former, _, err := store.GetJSON[state.Runtime](ctx, k.store, state.RuntimeKey(k.farm))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("reading where the farm listened before: %w", err)
	}
	if k.network.ListenHost == "" {
		return k.serveNothing(ctx, farm)
	}
	web, err := listenTCP(k.network.ListenHost, portOf(former.Gateway))
	if err != nil {
		return nil, fmt.Errorf("opening the gateway of farm %s on %s: %w", k.farm, k.network.ListenHost, err)
	}
	names, err := embedded.Listen(k.network.ListenHost, portOf(former.Nameserver), embedded.Options{Zone: farm.Zone, Log: k.log})
	if err != nil {
		_ = web.Close()
		return nil, fmt.Errorf("opening the nameserver of farm %s on %s: %w", k.farm, k.network.ListenHost, err)
	}
	k.runtime = state.Runtime{
		Gateway:    net.JoinHostPort(k.network.AdvertiseHost, strconv.Itoa(portOf(web.Addr().String()))),
		Nameserver: net.JoinHostPort(k.network.AdvertiseHost, strconv.Itoa(names.Port())),
		Sidecar:    k.opts.Holder,
		OpenedAt:   k.opts.Now(),
	}
	serveCtx, cancel := context.WithCancel(ctx)
	var served sync.WaitGroup
	stop = func() {
		cancel()
		_ = web.Close()
		served.Wait()
		k.names = nil
	}
	k.names = &nameserver{server: names, zone: farm.Zone}
	// What was served before is served again until the first tick knows better.
	if t, _, err := store.GetJSON[state.Topology](ctx, k.store, state.TopologyKey(k.farm)); err == nil {
		if records, err := store.ListJSON[spec.DNSRecord](ctx, k.store, state.DNSPrefix(k.farm)); err == nil {
			var declared []spec.DNSRecord
			for _, r := range records {
				declared = append(declared, r.Value)
			}
			k.names.publish(t, declared)
		}
	}
	// Agents' reports are guarded by their own tokens and not by our lease; the store below the guard serves them.
	handler := gateway.NewServer(k.opts.Store, k.opts.Blobs, k.farm, gateway.Options{Log: k.log, Backups: k.backupsOf, RestoreSource: k.restoreSourceOf})
	served.Go(func() {
		if err := handler.Serve(serveCtx, web); err != nil && serveCtx.Err() == nil {
			k.log.Error("the gateway stopped", "error", err)
		}
	})
	served.Go(func() {
		if err := names.Serve(serveCtx); err != nil && serveCtx.Err() == nil {
			k.log.Error("the nameserver stopped", "error", err)
		}
	})
	if former.Gateway != "" && former.Gateway != k.runtime.Gateway {
		k.eventOnce(ctx, state.Event{Kind: "sidecar", Level: "warning",
			Reason: fmt.Sprintf("the gateway moved from %s to %s since the former address is taken; instances from before cannot report and will be replaced", former.Gateway, k.runtime.Gateway)})
	}
	if _, err := store.PutJSON(ctx, k.store, state.RuntimeKey(k.farm), k.runtime); err != nil {
		stop()
		return nil, fmt.Errorf("writing where the farm listens: %w", err)
	}
	k.log.Info("farm opened", "gateway", k.runtime.Gateway, "nameserver", k.runtime.Nameserver, slog.String("platform", farm.Platform()))
	return stop, nil
}

// serveNothing is serve on a platform whose machines open the store themselves: nobody listens. What is written says that the
// farm is kept.
func (k *keeper) serveNothing(ctx context.Context, farm spec.Farm) (stop func(), err error) {
	k.runtime = state.Runtime{Sidecar: k.opts.Holder, OpenedAt: k.opts.Now()}
	if _, err := store.PutJSON(ctx, k.store, state.RuntimeKey(k.farm), k.runtime); err != nil {
		return nil, fmt.Errorf("writing who keeps the farm: %w", err)
	}
	k.log.Info("farm opened", slog.String("platform", farm.Platform()))
	return func() {}, nil
}

// listenTCP listens on the port, or on any if that is taken or 0.
func listenTCP(host string, port int) (net.Listener, error) {
	if port != 0 {
		if l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", net.JoinHostPort(host, "0"))
}

func portOf(hostport string) int {
	_, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}
