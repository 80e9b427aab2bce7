package spec

import "testing"

func TestDNSRecordElsewhereValidate(t *testing.T) {
	route53 := func(d *DNSRecord) { d.Route53 = &Route53{HostedZoneID: "Z2FDTNDATAQYW2"} }
	rfc2136 := func(change func(*RFC2136)) func(*DNSRecord) {
		return func(d *DNSRecord) {
			d.RFC2136 = &RFC2136{Server: "10.0.0.2", Zone: "example.com", KeyName: "farm", SecretVersion: 1}
			change(d.RFC2136)
		}
	}
	webhook := func(change func(*Webhook)) func(*DNSRecord) {
		return func(d *DNSRecord) {
			d.Webhook = &Webhook{URL: "https://dns.example.net/?password={secret}&ip={address}", SecretVersion: 1}
			change(d.Webhook)
		}
	}
	for name, c := range map[string]struct {
		change func(*DNSRecord)
		want   []string
	}{
		"route 53":            {route53, nil},
		"no zone id":          {func(d *DNSRecord) { d.Route53 = &Route53{HostedZoneID: "example.com"} }, []string{"route53.hosted_zone_id: not the id of a hosted zone"}},
		"two places":          {func(d *DNSRecord) { route53(d); rfc2136(func(*RFC2136) {})(d) }, []string{"name: more than one"}},
		"no full name":        {func(d *DNSRecord) { route53(d); d.Name = "www" }, []string{"name: no full name"}},
		"rfc 2136":            {rfc2136(func(*RFC2136) {}), nil},
		"with a port":         {rfc2136(func(r *RFC2136) { r.Server = "ns1.example.com:5353" }), nil},
		"by ipv6":             {rfc2136(func(r *RFC2136) { r.Server = "[2001:db8::1]:53" }), nil},
		"by bare ipv6":        {rfc2136(func(r *RFC2136) { r.Server = "2001:db8::1" }), nil},
		"no server":           {rfc2136(func(r *RFC2136) { r.Server = "" }), []string{"rfc2136.server: not the address"}},
		"a server by url":     {rfc2136(func(r *RFC2136) { r.Server = "https://ns1.example.com" }), []string{"rfc2136.server: not the address"}},
		"no port":             {rfc2136(func(r *RFC2136) { r.Server = "ns1:dns" }), []string{"rfc2136.server: not the address"}},
		"outside of its zone": {rfc2136(func(r *RFC2136) { r.Zone = "ample.com" }), []string{"name: not within zone ample.com"}},
		"unsigned":            {rfc2136(func(r *RFC2136) { r.KeyName, r.SecretVersion = "", 0 }), []string{"warning: rfc2136.tsig_name: not signed"}},
		"a key and no secret": {rfc2136(func(r *RFC2136) { r.SecretVersion = 0 }), []string{"rfc2136.tsig_secret_wo: no secret"}},
		"a secret and no key": {rfc2136(func(r *RFC2136) { r.KeyName = "" }), []string{"rfc2136.tsig_name: no name of the key"}},
		"an old algorithm":    {rfc2136(func(r *RFC2136) { r.KeyAlgorithm = "hmac-md5" }), []string{"rfc2136.tsig_algorithm: hmac-sha256"}},
		"webhook":             {webhook(func(*Webhook) {}), nil},
		"json":                {webhook(func(w *Webhook) { w.Method, w.Body = "PUT", `{"ttl": {ttl}, "data": ["{addresses}"]}` }), nil},
		"no address":          {webhook(func(w *Webhook) { w.URL = "dns.example.net" }), []string{"webhook.url: not an address", "webhook.secret_wo: used nowhere", "webhook.url: nothing tells"}},
		"a password in it":    {webhook(func(w *Webhook) { w.URL = "https://me:pw@dns.example.net/{secret}/{address}" }), []string{"webhook.url: holds a password"}},
		"any host":            {webhook(func(w *Webhook) { w.URL = "https://{name}/{secret}/{address}" }), []string{"webhook.url: not an address"}},
		"by http":             {webhook(func(w *Webhook) { w.URL = "http://dns.example.net/{secret}/{address}" }), []string{"warning: webhook.url: readable on its way"}},
		"deleting":            {webhook(func(w *Webhook) { w.Method = "DELETE" }), []string{"webhook.method: no method"}},
		"what is no word":     {webhook(func(w *Webhook) { w.URL += "&host={hostname}" }), []string{"webhook.url: {hostname} is no placeholder"}},
		"in a header":         {webhook(func(w *Webhook) { w.Headers = map[string]string{"X": "{token}"} }), []string{"webhook.headers: {token} is no placeholder"}},
		"no secret":           {webhook(func(w *Webhook) { w.SecretVersion = 0 }), []string{"webhook.secret_wo: there is none"}},
		"a needless secret":   {webhook(func(w *Webhook) { w.URL = "https://dns.example.net/{address}" }), []string{"webhook.secret_wo: used nowhere"}},
		"nothing told":        {webhook(func(w *Webhook) { w.URL = "https://dns.example.net/{secret}" }), []string{"webhook.url: nothing tells"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := DNSRecord{Farm: "shop", Name: "www.example.com", Role: "web"}
			c.change(&d)
			d.SetDefaults()
			expect(t, d.Validate(), c.want...)
		})
	}
}
