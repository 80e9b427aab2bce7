package spec

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Validate checks everything that the record's own declaration can show, after SetDefaults.
func (d DNSRecord) Validate() []Problem {
	var c checker
	c.label("farm", d.Farm, maxLabel)
	if len(d.Name) > maxName {
		c.wrong("name", fmt.Sprintf("%d characters are more than the %d of a DNS name", len(d.Name), maxName), "Shorten it")
	}
	for i, l := range strings.Split(d.Name, ".") {
		if l == "*" && i == 0 {
			continue
		}
		if !recordLabel.MatchString(l) || len(l) > maxLabel {
			c.wrong("name", fmt.Sprintf("%q is not a name within a zone", d.Name), "Use lower-case letters, digits and hyphens, labels parted by dots, and no dot at the end; the farm's own zone is left out")
			break
		}
	}
	d.validatePublisher(&c)
	c.label("role", d.Role, maxRoleName)
	switch d.PointsTo {
	case PointsToAll, PointsToPrimary, PointsToReplicas:
		if d.Index != 0 {
			c.wrong("index", fmt.Sprintf("index %d has no meaning with points_to %q", d.Index, d.PointsTo), `Leave it out, or set points_to = "index"`)
		}
	case PointsToIndex:
		if d.Index < 1 {
			c.wrong("index", fmt.Sprintf("%d is no index: they count from 1", d.Index), `Write which server is meant, as in index = 1`)
		}
	default:
		c.wrong("points_to", fmt.Sprintf("%q is nothing to point to", d.PointsTo), `Write "all", "primary", "replicas" or "index"`)
	}
	if d.TTL < Duration(time.Second) || d.TTL > maxTTL {
		c.wrong("ttl", fmt.Sprintf("%s is not between 1s and %s", d.TTL, maxTTL), "DNS counts whole seconds; leave it out for "+DefaultTTL.String())
	} else if d.TTL%Duration(time.Second) != 0 {
		c.wrong("ttl", fmt.Sprintf("%s is not a whole number of seconds", d.TTL), "DNS counts whole seconds")
	}
	return c.problems
}

// validatePublisher checks where the record is published, if that is not the farm's own zone.
func (d DNSRecord) validatePublisher(c *checker) {
	set := 0
	for _, is := range []bool{d.Route53 != nil, d.RFC2136 != nil, d.Webhook != nil} {
		if is {
			set++
		}
	}
	switch {
	case set == 0:
		return
	case set > 1:
		c.wrong("name", "route53, rfc2136 and webhook: more than one of them is set", "A record is published in one place: declare another record for another")
	case !strings.Contains(d.Name, "."):
		c.wrong("name", fmt.Sprintf("%q is no full name, and outside of the farm's zone it must be", d.Name), `Write it with its zone, as in "www.example.com"`)
	}
	switch {
	case d.Route53 != nil:
		if id := d.Route53.HostedZoneID; !hostedZoneID(id) {
			c.wrong("route53.hosted_zone_id", fmt.Sprintf("%q is not the id of a hosted zone", id), `Write it as aws_route53_zone.<name>.zone_id gives it, as in "Z2FDTNDATAQYW2"`)
		}
	case d.RFC2136 != nil:
		d.RFC2136.validate(c, d.Name)
	case d.Webhook != nil:
		d.Webhook.validate(c)
	}
}

// hostedZoneID: up to 32 capital letters and digits, as Route 53's API reference says.
func hostedZoneID(id string) bool {
	return id != "" && len(id) <= 32 && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// TSIGAlgorithms are those that a nameserver may be expected to know; hmac-md5 is not among them for its age.
var TSIGAlgorithms = []string{"hmac-sha256", "hmac-sha512", "hmac-sha384", "hmac-sha224", "hmac-sha1"}

func (r RFC2136) validate(c *checker, name string) {
	const at = "rfc2136."
	host, port, err := net.SplitHostPort(r.Server)
	if err != nil {
		host, port = r.Server, "53"
	}
	if n, err := strconv.Atoi(port); host == "" || strings.ContainsAny(host, "/ \t[]@") || strings.Count(host, ":") == 1 || err != nil || n < 1 || n > 65535 {
		c.wrong(at+"server", fmt.Sprintf("%q is not the address of a nameserver", r.Server), `Write host or host:port, as in "ns1.example.com" or "10.0.0.2:53"`)
	}
	c.zone(at+"zone", r.Zone)
	if r.Zone != "" && name != r.Zone && !strings.HasSuffix(name, "."+r.Zone) {
		c.wrong("name", fmt.Sprintf("%s is not within zone %s", name, r.Zone), "Write the full name, its zone at the end")
	}
	switch {
	case r.KeyName == "" && r.SecretVersion != 0:
		c.wrong(at+"tsig_name", "there is a secret and no name of the key", "Write the name that the nameserver knows the key by")
	case r.KeyName == "":
		c.warn(at+"tsig_name", "updates are not signed: the nameserver must take them by address alone, which is easily forged", "Make a key (tsig-keygen) and set tsig_name, tsig_secret_wo and tsig_secret_wo_version")
	case r.SecretVersion == 0:
		c.wrong(at+"tsig_secret_wo", "a key has a name and no secret", "Set tsig_secret_wo, and tsig_secret_wo_version = 1 with it")
	}
	if !slices.Contains(TSIGAlgorithms, r.KeyAlgorithm) {
		c.wrong(at+"tsig_algorithm", fmt.Sprintf("%q is no algorithm", r.KeyAlgorithm), "Write one of "+strings.Join(TSIGAlgorithms, ", "))
	}
}

// TSIGSecret tells what is wrong with a key's secret, without repeating it; "" if nothing is.
func TSIGSecret(secret string) string {
	if b, err := base64.StdEncoding.DecodeString(secret); err != nil || len(b) == 0 {
		return "it is not base64, which is how tsig-keygen and nameservers write it"
	}
	return ""
}

// WebhookPlaceholders are what may stand between braces in a webhook's url, headers and body.
var WebhookPlaceholders = []string{"{name}", "{type}", "{address}", "{addresses}", "{old}", "{ttl}", "{secret}"}

// WebhookMethods are those that a webhook may be called by.
var WebhookMethods = []string{"GET", "POST", "PUT", "PATCH"}

func (w Webhook) validate(c *checker) {
	const at = "webhook."
	u, err := url.Parse(w.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		c.wrong(at+"url", fmt.Sprintf("%q is not an address", w.URL), `Write the whole of it, as in "https://dns.example.com/update?id=12&password={secret}&ip={address}"`)
	case u.User != nil:
		c.wrong(at+"url", "holds a password, which would be kept in Terraform's state", "Set secret_wo and write {secret} in its place, in the url or in a header")
	case u.Scheme == "http" && w.SecretVersion != 0:
		c.warn(at+"url", "the secret is sent by http, readable on its way", "Write https where the provider has it")
	}
	if !slices.Contains(WebhookMethods, w.Method) {
		c.wrong(at+"method", fmt.Sprintf("%q is no method for this", w.Method), "Write one of "+strings.Join(WebhookMethods, ", "))
	}
	secret, address := false, false
	for _, part := range append([]struct{ attribute, text string }{{at + "url", w.URL}, {at + "body", w.Body}}, w.headers()...) {
		for _, p := range placeholders(part.text) {
			if !slices.Contains(WebhookPlaceholders, p) {
				c.wrong(part.attribute, p+" is no placeholder", "There are "+strings.Join(WebhookPlaceholders, ", "))
			}
			secret = secret || p == "{secret}"
			address = address || p == "{address}" || p == "{addresses}"
		}
	}
	switch {
	case secret && w.SecretVersion == 0:
		c.wrong(at+"secret_wo", "{secret} is used and there is none", "Set secret_wo, and secret_wo_version = 1 with it")
	case !secret && w.SecretVersion != 0:
		c.wrong(at+"secret_wo", "the secret is used nowhere", "Write {secret} in the url, a header or the body")
	}
	if !address {
		c.wrong(at+"url", "nothing tells the provider the new address", "Write {address} (the first) or {addresses} (all) in the url or the body")
	}
}

func (w Webhook) headers() (parts []struct{ attribute, text string }) {
	for _, name := range slices.Sorted(maps.Keys(w.Headers)) {
		parts = append(parts, struct{ attribute, text string }{"webhook.headers", w.Headers[name]})
	}
	return parts
}

// placeholders are the words in braces; other braces are JSON's.
func placeholders(s string) (found []string) {
	for {
		_, after, ok := strings.Cut(s, "{")
		if !ok {
			return found
		}
		word, rest, closed := strings.Cut(after, "}")
		if closed && word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz_") == "" {
			found, after = append(found, "{"+word+"}"), rest
		}
		s = after
	}
}
