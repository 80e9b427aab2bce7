package spec

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// leastPort: a sidecar has no right to the ports below.
const leastPort = 1024

// CheckMetricsListen tells what is wrong with an address that metrics are to be served at: HOST:PORT, HOST an IP address,
// "localhost", or nothing for all of the machine's.
func CheckMetricsListen(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", address)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
		return fmt.Errorf("%q is no IP address of a machine", host)
	}
	if n, err := strconv.Atoi(port); err != nil || n < leastPort || n > 65535 {
		return errors.New("port " + strconv.Quote(port) + " is not one of " + strconv.Itoa(leastPort) + " to 65535")
	}
	return nil
}

// onLoopback tells whether only the machine itself reaches the address.
func onLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

func (c *checker) metricsListen(s Sidecar) {
	const attribute = "metrics_listen"
	address := s.MetricsListen
	if address == "" {
		return
	}
	if err := CheckMetricsListen(address); err != nil {
		c.wrong(attribute, err.Error(), `Write an address and a port, such as "127.0.0.1:9641"`)
		return
	}
	if onLoopback(address) {
		return
	}
	advice := `Let a firewall keep all but your Prometheus out, or write "127.0.0.1:..." and let something on this machine read them`
	if s.AWS != nil {
		advice = "The security group that is made for it lets nothing in: add a rule of your own that lets your Prometheus in and nobody else, or name groups by aws.security_group_ids"
	}
	c.problems = append(c.problems, Problem{Attribute: attribute, Warning: true, Advice: advice,
		Summary: fmt.Sprintf("metrics at %s are for everybody who reaches that port: names, sizes and states of farms, without a password", address)})
}
