package route53

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// service answers as Route 53's REST API does for what the publisher calls: one hosted zone, pages of 100, batches
// that are carried out whole or refused.
type service struct {
	t    *testing.T
	url  string
	zone string
	// before, if set, is asked first; true: it has answered.
	before func(http.ResponseWriter, *http.Request) bool

	mu      sync.Mutex
	sets    map[string]recordSet // by name and type
	batches []changeRequest
	lists   int
}

type recordSet struct {
	Name            string
	Type            string
	SetIdentifier   string `xml:",omitempty"`
	TTL             int
	ResourceRecords struct{ ResourceRecord []struct{ Value string } }
}

func (s recordSet) key() string { return s.Name + " " + s.Type }

func (s recordSet) values() []string {
	var v []string
	for _, r := range s.ResourceRecords.ResourceRecord {
		v = append(v, r.Value)
	}
	slices.Sort(v)
	return v
}

type changeRequest struct {
	XMLName     xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ChangeResourceRecordSetsRequest"`
	ChangeBatch struct {
		Comment string
		Changes struct {
			Change []struct {
				Action            string
				ResourceRecordSet recordSet
			}
		}
	}
}

const zoneID = "Z0123456789ABCDEFGHIJ"

func newService(t *testing.T, zone string) *service {
	s := &service{t: t, zone: zone, sets: map[string]recordSet{}}
	s.set(zone+".", "NS", 172800, "ns-1.example.")
	s.set(zone+".", "SOA", 900, "ns-1.example. hostmaster.example. 1 7200 900 1209600 86400")
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *service) set(name, kind string, ttl int, values ...string) {
	set := recordSet{Name: name, Type: kind, TTL: ttl}
	for _, v := range values {
		set.ResourceRecords.ResourceRecord = append(set.ResourceRecords.ResourceRecord, struct{ Value string }{v})
	}
	s.sets[set.key()] = set
}

func (s *service) config() aws.Config {
	return aws.Config{
		Region: "eu-west-1", BaseEndpoint: &s.url, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
		},
	}
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil && s.before(w, r) {
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/2013-04-01/hostedzone/"+zoneID)
	switch {
	case !ok:
		fail(w, http.StatusNotFound, "NoSuchHostedZone", "No hosted zone found with ID: "+r.URL.Path)
	case r.Method == http.MethodGet && path == "":
		fmt.Fprintf(w, `<GetHostedZoneResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><HostedZone><Id>/hostedzone/%s</Id><Name>%s.</Name><CallerReference>x</CallerReference></HostedZone></GetHostedZoneResponse>`, zoneID, s.zone)
	case r.Method == http.MethodGet && strings.TrimSuffix(path, "/") == "/rrset":
		s.list(w, r)
	case r.Method == http.MethodPost && strings.TrimSuffix(path, "/") == "/rrset":
		s.change(w, r)
	default:
		s.t.Errorf("%s %s is nothing that Route 53 answers", r.Method, r.URL)
	}
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	s.lists++
	var out struct {
		XMLName            xml.Name `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListResourceRecordSetsResponse"`
		ResourceRecordSets struct{ ResourceRecordSet []recordSet }
		IsTruncated        bool
		MaxItems           int
		NextRecordName     string `xml:",omitempty"`
		NextRecordType     string `xml:",omitempty"`
	}
	out.MaxItems = 100
	start := unescaped(r.URL.Query().Get("name")) + " " + r.URL.Query().Get("type")
	for _, key := range slices.Sorted(maps.Keys(s.sets)) {
		if start != " " && key < start {
			continue
		}
		if len(out.ResourceRecordSets.ResourceRecordSet) == out.MaxItems {
			out.IsTruncated = true
			out.NextRecordName, out.NextRecordType = strings.ReplaceAll(s.sets[key].Name, "*", `\052`), s.sets[key].Type
			break
		}
		set := s.sets[key]
		set.Name = strings.ReplaceAll(set.Name, "*", `\052`)
		out.ResourceRecordSets.ResourceRecordSet = append(out.ResourceRecordSets.ResourceRecordSet, set)
	}
	_ = xml.NewEncoder(w).Encode(out)
}

func unescaped(name string) string { return strings.ReplaceAll(name, `\052`, "*") }

func (s *service) change(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var in changeRequest
	if err := xml.Unmarshal(body, &in); err != nil {
		fail(w, http.StatusBadRequest, "InvalidInput", err.Error())
		return
	}
	next := maps.Clone(s.sets)
	var messages []string
	records, characters := 0, 0
	for _, c := range in.ChangeBatch.Changes.Change {
		set := c.ResourceRecordSet
		set.Name = unescaped(strings.TrimSuffix(set.Name, ".") + ".")
		for _, v := range set.values() {
			records, characters = records+1, characters+len(v)
		}
		was, there := next[set.key()]
		same := there && was.TTL == set.TTL && slices.Equal(was.values(), set.values())
		switch {
		case !strings.HasSuffix(set.Name, "."+s.zone+"."):
			messages = append(messages, fmt.Sprintf("RRSet with DNS name %s is not permitted in zone %s.", set.Name, s.zone))
		case c.Action == "CREATE" && there:
			messages = append(messages, fmt.Sprintf("Tried to create resource record set [name='%s', type='%s'] but it already exists", set.Name, set.Type))
		case c.Action == "CREATE":
			next[set.key()] = set
		case c.Action == "DELETE" && !same:
			messages = append(messages, fmt.Sprintf("Tried to delete resource record set [name='%s', type='%s'] but the values provided do not match the current values", set.Name, set.Type))
		case c.Action == "DELETE":
			delete(next, set.key())
		default:
			s.t.Errorf("action %q", c.Action)
		}
	}
	if records > 1000 || characters > 32000 {
		s.t.Errorf("a batch of %d records and %d characters is beyond Route 53's limits", records, characters)
		messages = append(messages, "Number of records limit of 1000 exceeded.")
	}
	if messages != nil {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `<?xml version="1.0"?><InvalidChangeBatch xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Messages>`)
		for _, m := range messages {
			fmt.Fprint(w, "<Message>")
			_ = xml.EscapeText(w, []byte(m))
			fmt.Fprint(w, "</Message>")
		}
		fmt.Fprint(w, "</Messages><RequestId>r</RequestId></InvalidChangeBatch>")
		return
	}
	s.sets = next
	s.batches = append(s.batches, in)
	fmt.Fprint(w, `<ChangeResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>`)
}

func fail(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code, message)
}

// look resolves a full name.
func (s *service) look(name string) (addresses []string, ttl int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range []string{"A", "AAAA"} {
		if set, ok := s.sets[name+". "+kind]; ok {
			addresses, ttl = append(addresses, set.values()...), set.TTL
		}
	}
	return addresses, ttl
}

func (s *service) ownerships() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, set := range s.sets {
		if set.Type == "TXT" && strings.HasPrefix(set.values()[0], `"heritage=farmhand,`) {
			n++
		}
	}
	return n
}
