package platform

import (
	"errors"
	"strings"
	"testing"
)

func TestParseSubnet(t *testing.T) {
	for _, good := range []string{"10.99.0.0/24", "192.168.7.16/28", "172.16.0.0/16"} {
		if p, err := ParseSubnet(good); err != nil || p.String() != good {
			t.Errorf("%s gives %s, %v", good, p, err)
		}
	}
	for bad, says := range map[string]string{
		"":             "10.99.0.0/24",
		"10.99.0.0":    "10.99.0.0/24",
		"10.99.0.7/24": "write 10.99.0.0/24",
		"fd00::/64":    "not IPv4",
		"10.99.0.0/30": "has 4 addresses",
		"10.0.0.0/8":   "/16",
	} {
		if _, err := ParseSubnet(bad); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q gives %v, want an ErrInvalid that says %q", bad, err, says)
		}
	}
}
