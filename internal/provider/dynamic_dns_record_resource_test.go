package provider

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/miekg/dns"

	"github.com/farmhand/terraform-provider-farmhand/internal/dns/bindtest"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// recordWith is a record of the farm shop.
func recordWith(lines string) string {
	return webHCL + "\nresource \"farmhand_dynamic_dns_record\" \"r\" {\n  farm = farmhand_farm.shop.name\n" + lines + "\n}\n"
}

func TestDynamicDNSRecord(t *testing.T) {
	w := newWorld(t)
	const address = "farmhand_dynamic_dns_record.r"
	plain := recordWith("name = \"www\"\nrole = farmhand_role.web.id")
	index := recordWith("name = \"www\"\nrole = farmhand_role.web.id\npoints_to = \"index\"\nindex = 2\nttl = \"1m\"")
	w.run(
		resource.TestStep{
			Config:           plain,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact("shop/www")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("points_to"), knownvalue.StringExact("all")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("ttl"), knownvalue.StringExact(spec.DefaultTTL.String())),
			},
		},
		resource.TestStep{Config: plain, ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{
			Config: plain, ResourceName: address, ImportState: true, ImportStateId: "www",
			ExpectError: says(`"www" is not a record's id`),
		},
		resource.TestStep{ // the same in other words
			Config:           recordWith("name = \"WWW\"\nrole = \"shop/Web\"\npoints_to = \"all\"\nttl = \"5000ms\"\ndepends_on = [farmhand_role.web]"),
			ConfigPlanChecks: nothingPlanned,
		},
		resource.TestStep{Config: index, ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate)},
		resource.TestStep{Config: index, ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{ // gone behind Terraform's back
			PreConfig:        func() { w.must(w.store().Delete(t.Context(), state.DNSKey("shop", "www"))) },
			Config:           index,
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
		},
		resource.TestStep{ // another name is another record
			Config:           recordWith("name = \"shop\"\nrole = farmhand_role.web.id"),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionReplace),
		},
		resource.TestStep{ // a name that somebody else has declared
			PreConfig: func() {
				_, err := store.PutJSON(t.Context(), w.store(), state.DNSKey("shop", "www"), spec.DNSRecord{Farm: "shop", Name: "www", Role: "web", PointsTo: "all"})
				w.must(err)
			},
			Config: plain, PlanOnly: true, ExpectError: says("name is taken", `a record "www"`),
		},
		resource.TestStep{Config: webHCL},
	)
}

func TestDynamicDNSRecordThatCannotBe(t *testing.T) {
	const www = "name = \"www\"\n"
	const web = "role = farmhand_role.web.id\n"
	for name, c := range map[string]struct {
		lines string
		says  []string
	}{
		"a name that is none":       {"name = \"my shop\"\n" + web, []string{"name:", `"my shop"`}},
		"a role of another farm":    {www + "role = \"market/web\"", []string{"role:", "not of farm shop"}},
		"a role without its farm":   {www + "role = \"web\"", []string{"role:", "not a role's id"}},
		"nothing to point to":       {www + web + "points_to = \"moon\"", []string{"points_to", "primary"}},
		"an index without points":   {www + web + "index = 2", []string{"index:", "no meaning"}},
		"index without an index":    {www + web + "points_to = \"index\"", []string{"index:", "count from 1"}},
		"an index of zero":          {www + web + "points_to = \"index\"\nindex = 0", []string{"index", "at least 1"}},
		"a ttl of a half second":    {www + web + "ttl = \"1500ms\"", []string{"ttl:", "whole"}},
		"a ttl of nothing":          {www + web + "ttl = \"0s\"", []string{"ttl:", "not between"}},
		"a ttl that is no duration": {www + web + "ttl = \"5\"", []string{"ttl:", "not a duration"}},
	} {
		t.Run(name, func(t *testing.T) {
			newWorld(t).run(resource.TestStep{Config: recordWith(c.lines), PlanOnly: true, ExpectError: says(c.says...)})
		})
	}
	t.Run("a role that is not there", func(t *testing.T) {
		newWorld(t).run(
			resource.TestStep{Config: recordWith(www + "role = \"shop/wbe\""), ExpectError: says("no such role", `role: "shop/wbe"`)},
			resource.TestStep{Config: webHCL},
		)
	})
}

// A record on somebody's nameserver, from the plan to the answer and back, by the real sidecar and a real BIND.
func TestDynamicDNSRecordByUpdates(t *testing.T) {
	w := newWorld(t)
	bind := bindtest.Start(t, "example.com")
	const address = "farmhand_dynamic_dns_record.r"
	record := func(lines, secret string) string {
		return recordWith("name = \"www.example.com\"\nrole = farmhand_role.web.id\n" + lines + "\nrfc2136 = {\n server = \"" + bind.Addr +
			"\"\n zone = \"example.com\"\n tsig_name = \"" + bindtest.KeyName + "\"\n" + secret + "}")
	}
	const version = "tsig_secret_wo_version = 1\n"
	secret := "tsig_secret_wo = \"" + bindtest.KeySecret + "\"\n" + version
	answers := func(n int) func(*terraform.State) error {
		return func(*terraform.State) error {
			var got []dns.RR
			for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				if got = bind.Ask("www.example.com", dns.TypeA); len(got) == n {
					return nil
				}
			}
			return fmt.Errorf("www.example.com is %v, want %d addresses", got, n)
		}
	}
	w.run(
		resource.TestStep{
			Config:           record("", secret),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionCreate),
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("rfc2136").AtMapKey("tsig_algorithm"), knownvalue.StringExact("hmac-sha256")),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("rfc2136").AtMapKey("tsig_secret_wo"), knownvalue.Null()),
			},
			Check: answers(2),
		},
		resource.TestStep{Config: record("", secret), ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{ // the same in other words
			Config:           strings.NewReplacer("www.example.com", "WWW.Example.com.", "\"example.com\"", "\"Example.com.\"").Replace(record("", secret)),
			ConfigPlanChecks: nothingPlanned,
		},
		resource.TestStep{ // without the secret, which is kept
			Config:           record("points_to = \"primary\"", version),
			ConfigPlanChecks: planned(address, plancheck.ResourceActionUpdate),
			Check:            answers(1),
		},
		resource.TestStep{ // in the farm's own zone again
			Config: recordWith("name = \"www.example.com\"\nrole = farmhand_role.web.id"),
			Check:  answers(0),
		},
		resource.TestStep{Config: record("", secret), Check: answers(2)},
		resource.TestStep{Config: webHCL, Check: answers(0)},
		resource.TestStep{Config: record("", secret), Check: answers(2)}, // the farm's end withdraws it too
	)
	if err := answers(0)(nil); err != nil {
		t.Error(err)
	}
	if left := bind.Ask("_farmhand.www.example.com", dns.TypeTXT); len(left) != 0 {
		t.Errorf("the farm is gone, and %v is left", left)
	}
}

func TestDynamicDNSRecordElsewhereThatCannotBe(t *testing.T) {
	const www = "name = \"www.example.com\"\nrole = farmhand_role.web.id\n"
	const server = "server = \"10.0.0.2\", zone = \"example.com\""
	for name, c := range map[string]struct {
		lines string
		says  []string
	}{
		"two places":               {www + "route53 = { hosted_zone_id = \"Z1\" }\nwebhook = { url = \"https://dns.example.net/{address}\" }", []string{"name:", "more than one"}},
		"no full name":             {"name = \"www\"\nrole = farmhand_role.web.id\nroute53 = { hosted_zone_id = \"Z1\" }", []string{"name:", "no full name"}},
		"no hosted zone":           {www + "route53 = { hosted_zone_id = \"example.com\" }", []string{"route53.hosted_zone_id:", "aws_route53_zone"}},
		"a name of another zone":   {www + "rfc2136 = { server = \"10.0.0.2\", zone = \"example.org\" }", []string{"name:", "not within zone example.org"}},
		"a key without a secret":   {www + "rfc2136 = { " + server + ", tsig_name = \"farm\" }", []string{"rfc2136.tsig_secret_wo:", "no secret"}},
		"a secret with no version": {www + "rfc2136 = { " + server + ", tsig_name = \"farm\", tsig_secret_wo = \"YQ==\" }", []string{"tsig_secret_wo_version"}},
		"a version with no secret": {www + "rfc2136 = { " + server + ", tsig_name = \"farm\", tsig_secret_wo_version = 1 }", []string{"rfc2136.tsig_secret_wo:", "none was kept"}},
		"a secret that is none":    {www + "rfc2136 = { " + server + ", tsig_name = \"farm\", tsig_secret_wo = \"hush!\", tsig_secret_wo_version = 1 }", []string{"rfc2136.tsig_secret_wo:", "not base64"}},
		"an old algorithm":         {www + "rfc2136 = { " + server + ", tsig_name = \"farm\", tsig_algorithm = \"hmac-md5\" }", []string{"tsig_algorithm", "hmac-sha256"}},
		"a webhook with no secret": {www + "webhook = { url = \"https://dns.example.net/{secret}/{address}\" }", []string{"webhook.secret_wo:", "there is none"}},
		"a webhook told nothing":   {www + "webhook = { url = \"https://dns.example.net/\" }", []string{"webhook.url:", "new address"}},
	} {
		t.Run(name, func(t *testing.T) {
			newWorld(t).run(resource.TestStep{Config: recordWith(c.lines), PlanOnly: true, ExpectError: says(c.says...)})
		})
	}
}

func TestDynamicDNSRecordByWebhook(t *testing.T) {
	w := newWorld(t)
	asked := make(chan string, 100)
	provider := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.String() }))
	t.Cleanup(provider.Close)
	config := recordWith("name = \"www.example.com\"\nrole = farmhand_role.web.id\nwebhook = {\n url = \"" + provider.URL +
		"/?password={secret}&ip={address}\"\n secret_wo = \"hush hush\"\n secret_wo_version = 1\n}")
	w.run(
		resource.TestStep{
			Config: config,
			Check: func(*terraform.State) error {
				select {
				case got := <-asked:
					if got != "/?password=hush+hush&ip=10.200.0.10" {
						return fmt.Errorf("it was asked %s", got)
					}
				case <-time.After(time.Minute):
					return errors.New("it was not asked within a minute")
				}
				return nil
			},
		},
		resource.TestStep{Config: config, ResourceName: "farmhand_dynamic_dns_record.r", ImportState: true, ImportStateVerify: true},
		resource.TestStep{Config: webHCL},
	)
}
