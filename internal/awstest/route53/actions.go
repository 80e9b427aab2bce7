package route53

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/wire"
)

type changeInfo struct{ Id, Status, SubmittedAt string }

type changeOut struct {
	XMLName    xml.Name
	ChangeInfo changeInfo
}

type zoneOut struct {
	Id, Name, CallerReference string
	Config                    struct{ PrivateZone bool }
	ResourceRecordSetCount    int
}

type changeIn struct {
	XMLName     xml.Name `xml:"ChangeResourceRecordSetsRequest"`
	ChangeBatch struct {
		Comment string
		Changes struct {
			Change []struct {
				Action            string
				ResourceRecordSet Record
			}
		}
	}
}

func (s *Service) info(id, status string) changeInfo {
	return changeInfo{"/change/" + id, status, s.world.Now().UTC().Format(time.RFC3339)}
}

func (s *Service) zone(id string) (*zone, error) {
	if z, ok := s.zones[id]; ok {
		return z, nil
	}
	return nil, wire.Errorf("NoSuchHostedZone", "No hosted zone found with ID: %s", id).With(http.StatusNotFound)
}

// mostChanges is the quota of records in one batch; an UPSERT counts twice.
const mostChanges = 1000

// change does all of a batch or nothing: it works on a copy of the zone's records.
func (s *Service) change(id string, body []byte) (any, error) {
	z, err := s.zone(id)
	if err != nil {
		return nil, err
	}
	var in changeIn
	if err := xml.Unmarshal(body, &in); err != nil || len(in.ChangeBatch.Changes.Change) == 0 {
		return nil, wire.Errorf("InvalidInput", "The request body is no change batch: %v", err)
	}
	records := map[string]Record{}
	for k, r := range z.records {
		records[k] = r
	}
	var wrong []string
	count := 0
	for _, c := range in.ChangeBatch.Changes.Change {
		r := c.ResourceRecordSet
		count++
		if c.Action == "UPSERT" {
			count++
		}
		if problem := z.check(&r); problem != "" {
			wrong = append(wrong, problem)
			continue
		}
		have, there := records[r.key()]
		said := fmt.Sprintf("resource record set [name='%s', type='%s']", r.Name, r.Type)
		switch {
		case c.Action == "CREATE" && there:
			wrong = append(wrong, "Tried to create "+said+" but it already exists")
		case c.Action == "DELETE" && !there:
			wrong = append(wrong, "Tried to delete "+said+" but it was not found")
		case c.Action == "DELETE" && !reflect.DeepEqual(have, r):
			wrong = append(wrong, "Tried to delete "+said+" but the values provided do not match the current values")
		case c.Action == "DELETE" && r.Name == z.name && (r.Type == "NS" || r.Type == "SOA"):
			wrong = append(wrong, "A HostedZone must contain at least one "+r.Type+" record for the zone itself.")
		case c.Action == "DELETE":
			delete(records, r.key())
		case c.Action == "CREATE" || c.Action == "UPSERT":
			for _, other := range records {
				if other.Name == r.Name && other.Type != r.Type && (other.Type == "CNAME" || r.Type == "CNAME") {
					wrong = append(wrong, fmt.Sprintf("RRSet of type %s with DNS name %s is not permitted because a conflicting RRSet of type %s with the same DNS name already exists in zone %s", r.Type, r.Name, other.Type, z.name))
				}
				if other.Name == r.Name && other.Type == r.Type && (other.SetIdentifier == "") != (r.SetIdentifier == "") {
					wrong = append(wrong, "Tried to create "+said+" but a non multi-answer rrset exists with the same name and type.")
				}
			}
			records[r.key()] = r
		default:
			return nil, wire.Errorf("InvalidInput", "Invalid action '%s'", c.Action)
		}
	}
	if count > mostChanges {
		wrong = append(wrong, fmt.Sprintf("Number of records limit of %d exceeded.", mostChanges))
	}
	if len(wrong) > 0 {
		return nil, wire.Errorf("InvalidChangeBatch", "[%s]", strings.Join(wrong, ", "))
	}
	z.records = records
	change := "C" + s.world.Letters(20)
	s.changes[change] = true
	return changeOut{XMLName: xml.Name{Local: "ChangeResourceRecordSetsResponse"}, ChangeInfo: s.info(change, "PENDING")}, nil
}

// check brings a record into the form in which it is kept, or says what is wrong with it.
func (z *zone) check(r *Record) string {
	r.Name = normal(r.Name)
	if r.Name != z.name && !strings.HasSuffix(r.Name, "."+z.name) {
		return fmt.Sprintf("RRSet with DNS name %s is not permitted in zone %s", r.Name, z.name)
	}
	if r.AliasTarget != nil {
		if r.TTL != nil || r.ResourceRecords != nil {
			return "Invalid request: Alias records must not have a TTL or resource records"
		}
		return ""
	}
	values := r.Values()
	if r.TTL == nil || *r.TTL < 0 || len(values) == 0 {
		return "Invalid request: Missing field 'TTL' or 'ResourceRecords' in Change with [Action=..., Name=" + r.Name + ", Type=" + r.Type + "]"
	}
	seen := map[string]bool{}
	for _, v := range values {
		if seen[v] {
			return "Duplicate Resource Record: '" + v + "'"
		}
		seen[v] = true
		a, err := netip.ParseAddr(v)
		switch {
		case r.Type == "A" && (err != nil || !a.Is4()):
			return "Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) encountered with '" + v + "''"
		case r.Type == "AAAA" && (err != nil || !a.Is6()):
			return "Invalid Resource Record: 'FATAL problem: AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address) encountered with '" + v + "''"
		case r.Type == "TXT" && (!strings.HasPrefix(v, `"`) || !strings.HasSuffix(v, `"`)):
			return "Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be enclosed in quotation marks) encountered with '" + v + "''"
		}
	}
	if r.Type == "CNAME" && (len(values) > 1 || r.Name == z.name) {
		return "RRSet of type CNAME with DNS name " + r.Name + " is not permitted at apex in zone " + z.name
	}
	if !strings.Contains(" A AAAA CNAME TXT SRV MX NS SOA PTR CAA ", " "+r.Type+" ") {
		return "Invalid record type " + r.Type
	}
	return ""
}

func (s *Service) list(id string, q url.Values) (any, error) {
	z, err := s.zone(id)
	if err != nil {
		return nil, err
	}
	size := 300
	if v := q.Get("maxitems"); v != "" {
		if size, err = strconv.Atoi(v); err != nil || size < 1 {
			return nil, wire.Errorf("InvalidInput", "Invalid value for maxitems: %s", v)
		}
	}
	size = min(size, 300)
	if s.world.PageSize > 0 {
		size = min(size, s.world.PageSize)
	}
	if q.Get("type") != "" && q.Get("name") == "" {
		return nil, wire.Errorf("InvalidInput", "The type parameter must be used with the name parameter.")
	}
	start := ""
	if name := q.Get("name"); name != "" {
		start = Record{Name: normal(name), Type: q.Get("type"), SetIdentifier: q.Get("identifier")}.key()
		if q.Get("type") == "" {
			start = reversed(normal(name))
		}
	}
	var all []Record
	for _, r := range z.sorted() {
		if r.key() >= strings.TrimRight(start, " ") {
			all = append(all, r)
		}
	}
	type response struct {
		XMLName              xml.Name `xml:"ListResourceRecordSetsResponse"`
		ResourceRecordSets   struct{ ResourceRecordSet []Record }
		IsTruncated          bool
		NextRecordName       string `xml:",omitempty"`
		NextRecordType       string `xml:",omitempty"`
		NextRecordIdentifier string `xml:",omitempty"`
		MaxItems             int
	}
	out := response{MaxItems: size}
	if len(all) > size {
		next := all[size]
		out.IsTruncated, out.NextRecordName, out.NextRecordType, out.NextRecordIdentifier = true, next.Name, next.Type, next.SetIdentifier
		all = all[:size]
	}
	out.ResourceRecordSets.ResourceRecordSet = all
	return out, nil
}

func (z *zone) describe() zoneOut {
	o := zoneOut{Id: "/hostedzone/" + z.id, Name: z.name, CallerReference: z.id, ResourceRecordSetCount: len(z.records)}
	o.Config.PrivateZone = z.private
	return o
}

func (s *Service) getZone(id string) (any, error) {
	z, err := s.zone(id)
	if err != nil {
		return nil, err
	}
	return struct {
		XMLName    xml.Name `xml:"GetHostedZoneResponse"`
		HostedZone zoneOut
	}{HostedZone: z.describe()}, nil
}

func (s *Service) listZones(from string) (any, error) {
	var out struct {
		XMLName     xml.Name `xml:"ListHostedZonesByNameResponse"`
		HostedZones struct{ HostedZone []zoneOut }
		DNSName     string `xml:",omitempty"`
		IsTruncated bool
		MaxItems    int
	}
	out.DNSName, out.MaxItems = from, 100
	ordered := map[string]*zone{}
	keys := []string{}
	for _, z := range s.zones {
		k := reversed(z.name) + z.id
		if from == "" || k >= reversed(normal(from)) {
			ordered[k] = z
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		out.HostedZones.HostedZone = append(out.HostedZones.HostedZone, ordered[k].describe())
	}
	return out, nil
}
