// Package route53 answers for Route 53: hosted zones, and changes of their records in atomic batches.
package route53

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

// Zones that every stand-in has.
const (
	PrivateZone = "Z0PRIVATE00000000000" // farm.internal.
	PublicZone  = "Z0PUBLIC000000000000" // example.com.
)

const namespace = "https://route53.amazonaws.com/doc/2013-04-01/"

// Service is Route 53.
type Service struct {
	world   *wire.World
	zones   map[string]*zone
	changes map[string]bool
}

type zone struct {
	id, name string
	private  bool
	records  map[string]Record // by key
}

// Record is a resource record set.
type Record struct {
	Name             string
	Type             string
	SetIdentifier    string `xml:",omitempty"`
	Weight           *int   `xml:",omitempty"`
	Region           string `xml:",omitempty"`
	MultiValueAnswer *bool  `xml:",omitempty"`
	TTL              *int   `xml:",omitempty"`
	ResourceRecords  *struct {
		ResourceRecord []struct{ Value string }
	} `xml:",omitempty"`
	AliasTarget *struct {
		HostedZoneId         string
		DNSName              string
		EvaluateTargetHealth bool
	} `xml:",omitempty"`
	HealthCheckId string `xml:",omitempty"`
}

// Values are a record's values.
func (r Record) Values() []string {
	var all []string
	if r.ResourceRecords != nil {
		for _, v := range r.ResourceRecords.ResourceRecord {
			all = append(all, v.Value)
		}
	}
	return all
}

func (r Record) key() string { return reversed(r.Name) + " " + r.Type + " " + r.SetIdentifier }

// reversed is a name with its labels backwards: Route 53's order of names.
func reversed(name string) string {
	f := strings.Split(strings.TrimSuffix(name, "."), ".")
	slices.Reverse(f)
	return strings.Join(f, ".") + "."
}

// normal is a name in lower case with a final dot and an octal escape for a wildcard, as Route 53 gives it back.
func normal(name string) string {
	return strings.Replace(strings.TrimSuffix(strings.ToLower(name), ".")+".", "*", `\052`, 1)
}

// New returns Route 53 with a private and a public zone.
func New(w *wire.World) *Service {
	s := &Service{world: w, zones: map[string]*zone{}, changes: map[string]bool{}}
	s.AddZone(PrivateZone, "farm.internal", true)
	s.AddZone(PublicZone, "example.com", false)
	return s
}

// AddZone adds a hosted zone.
func (s *Service) AddZone(id, name string, private bool) {
	s.world.Lock()
	defer s.world.Unlock()
	z := &zone{id: id, name: normal(name), private: private, records: map[string]Record{}}
	for kind, v := range map[string]string{"NS": "ns-1.awsdns-01.org.", "SOA": "ns-1.awsdns-01.org. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"} {
		r, ttl := Record{Name: z.name, Type: kind}, 900
		r.TTL = &ttl
		r.ResourceRecords = &struct {
			ResourceRecord []struct{ Value string }
		}{[]struct{ Value string }{{v}}}
		z.records[r.key()] = r
	}
	s.zones[id] = z
}

// Records are a zone's records but its NS and SOA, in Route 53's order.
func (s *Service) Records(zoneID string) []Record {
	s.world.Lock()
	defer s.world.Unlock()
	z := s.zones[zoneID]
	return slices.DeleteFunc(z.sorted(), func(r Record) bool { return r.Name == z.name && (r.Type == "NS" || r.Type == "SOA") })
}

func (z *zone) sorted() []Record {
	var all []Record
	for _, r := range z.records {
		all = append(all, r)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].key() < all[j].key() })
	return all
}

// route finds the action and the id in a path.
func route(r *http.Request) (action, id string) {
	f := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(f) < 2 || f[0] != "2013-04-01" {
		return "", ""
	}
	key := r.Method + " " + strings.Join(append([]string{f[1]}, f[min(3, len(f)):]...), "/") + " " + strconv.Itoa(len(f))
	if len(f) > 2 {
		id = f[2]
	}
	return map[string]string{
		"POST hostedzone/rrset 4": "ChangeResourceRecordSets", "POST hostedzone/rrset/ 4": "ChangeResourceRecordSets",
		"GET hostedzone/rrset 4": "ListResourceRecordSets", "GET hostedzone 3": "GetHostedZone", "GET hostedzone 2": "ListHostedZones",
		"GET hostedzonesbyname 2": "ListHostedZonesByName", "GET change 3": "GetChange",
	}[key], id
}

// Action implements wire.Service.
func (s *Service) Action(r *http.Request) (string, *wire.Error) {
	action, _ := route(r)
	if action == "" {
		return "", wire.Errorf("InvalidAction", "%s %s is no action of this stand-in", r.Method, r.URL.Path).With(http.StatusNotFound)
	}
	return action, nil
}

// Refuse implements wire.Service.
func (s *Service) Refuse(w http.ResponseWriter, _ *http.Request, e *wire.Error) {
	var message bytes.Buffer
	xml.EscapeText(&message, []byte(e.Message)) //nolint:errcheck // a buffer does not fail
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(e.Status)
	fmt.Fprintf(w, `<?xml version="1.0"?><ErrorResponse xmlns="%s"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r53</RequestId></ErrorResponse>`, namespace, e.Code, message.String()) //nolint:errcheck // the client is gone
}

// Serve implements wire.Service.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, _ wire.Caller) {
	action, id := route(r)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.world.Lock()
	var out any
	switch action {
	case "ChangeResourceRecordSets":
		out, err = s.change(id, body)
	case "ListResourceRecordSets":
		out, err = s.list(id, r.URL.Query())
	case "GetHostedZone":
		out, err = s.getZone(id)
	case "ListHostedZonesByName", "ListHostedZones":
		out, err = s.listZones(r.URL.Query().Get("dnsname"))
	case "GetChange":
		if !s.changes[id] {
			err = wire.Errorf("NoSuchChange", "Could not find resource with ID: %s", id).With(http.StatusNotFound)
		}
		out = changeOut{XMLName: xml.Name{Local: "GetChangeResponse"}, ChangeInfo: s.info(id, "INSYNC")}
	}
	s.world.Unlock()
	if err != nil {
		s.Refuse(w, r, wire.AsError(err))
		return
	}
	text, err := xml.Marshal(out)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Write(text) //nolint:errcheck // the client is gone
}
