package awstest

import (
	"crypto/rand"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest/ec2"
)

// sessionTime is how long an instance's credentials last.
const sessionTime = time.Hour

// Metadata is the instance metadata service of all instances, version 2 only: whoever asks is told from its address by who, which
// returns an instance's id. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
func (s *Server) Metadata(who func(address string) string) http.Handler {
	m := &metadata{server: s, who: who, tokens: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", m.token)
	mux.HandleFunc("GET /latest/meta-data/{path...}", m.data)
	mux.HandleFunc("GET /latest/user-data", m.userData)
	mux.HandleFunc("GET /latest/dynamic/instance-identity/document", m.document)
	return mux
}

type metadata struct {
	server *Server
	who    func(address string) string

	mu     sync.Mutex
	tokens map[string]string // instance, by token
}

func (m *metadata) instance(r *http.Request) (ec2.Instance, bool) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	id := m.who(host)
	m.server.world.Lock()
	defer m.server.world.Unlock()
	return m.server.EC2.Lookup(id)
}

func (m *metadata) token(w http.ResponseWriter, r *http.Request) {
	i, ok := m.instance(r)
	ttl, err := strconv.Atoi(r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds"))
	if !ok || err != nil || ttl < 1 || ttl > 21600 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	token := rand.Text()
	m.mu.Lock()
	m.tokens[token] = i.ID
	m.mu.Unlock()
	w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", strconv.Itoa(ttl))
	_, _ = w.Write([]byte(token))
}

// admitted is the instance that asks with a token of its own.
func (m *metadata) admitted(w http.ResponseWriter, r *http.Request) (ec2.Instance, bool) {
	i, ok := m.instance(r)
	m.mu.Lock()
	owner := m.tokens[r.Header.Get("X-aws-ec2-metadata-token")]
	m.mu.Unlock()
	if !ok || owner == "" || owner != i.ID {
		w.WriteHeader(http.StatusUnauthorized)
		return ec2.Instance{}, false
	}
	return i, true
}

func (m *metadata) userData(w http.ResponseWriter, r *http.Request) {
	if i, ok := m.admitted(w, r); ok {
		_, _ = w.Write([]byte(i.UserData))
	}
}

func (m *metadata) document(w http.ResponseWriter, r *http.Request) {
	if i, ok := m.admitted(w, r); ok {
		_ = json.NewEncoder(w).Encode(map[string]string{"instanceId": i.ID, "region": m.server.world.Region, "availabilityZone": i.Zone,
			"accountId": m.server.world.Account, "instanceType": i.Type, "imageId": i.Image, "architecture": i.Architecture, "version": "2017-09-30"})
	}
}

func (m *metadata) data(w http.ResponseWriter, r *http.Request) {
	i, ok := m.admitted(w, r)
	if !ok {
		return
	}
	world := m.server.world
	world.Lock()
	role := m.server.IAM.RoleOf(i.ProfileName)
	world.Unlock()
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	path := strings.TrimSuffix(r.PathValue("path"), "/")
	const credentials = "iam/security-credentials"
	text := map[string]string{
		"instance-id": i.ID, "instance-type": i.Type, "ami-id": i.Image, "local-ipv4": host,
		"placement/region": world.Region, "placement/availability-zone": i.Zone, "events/maintenance/scheduled": "[]", credentials: role,
	}
	if !i.Interruption.IsZero() {
		text["spot/instance-action"] = `{"action":"terminate","time":"` + i.Interruption.UTC().Format(time.RFC3339) + `"}`
	}
	if !i.Rebalance.IsZero() {
		text["events/recommendations/rebalance"] = `{"noticeTime":"` + i.Rebalance.UTC().Format(time.RFC3339) + `"}`
	}
	if role != "" && path == credentials+"/"+role {
		world.Lock()
		session := world.Issue("arn:aws:sts::"+world.Account+":assumed-role/"+role+"/"+i.ID, sessionTime)
		world.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]string{"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": world.Now().UTC().Format(time.RFC3339),
			"AccessKeyId": session.AccessKey, "SecretAccessKey": session.Secret, "Token": session.Token, "Expiration": session.Expires.UTC().Format(time.RFC3339)})
		return
	}
	if text[path] == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = w.Write([]byte(text[path]))
}
