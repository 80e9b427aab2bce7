package wire

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// World is what all services of a stand-in share. Its lock is held while an action runs, so that actions see and change
// everything (an Auto Scaling group its instances) without locks of their own.
type World struct {
	sync.Mutex
	Region  string
	Account string
	Now     func() time.Time
	// PageSize caps the entries of any page; 0 leaves each API its own maximum.
	PageSize int
	// URL is where the stand-in listens.
	URL string

	random   *rand.Rand
	serial   int
	sessions map[string]Session
}

// NewWorld returns a world whose random ids follow from nothing but the order of calls.
func NewWorld(region, account string, now func() time.Time) *World {
	return &World{Region: region, Account: account, Now: now, random: rand.New(rand.NewPCG(1, 2))}
}

// ID is a new id in EC2's long form: the prefix and 17 hexadecimal digits.
func (w *World) ID(prefix string) string {
	return fmt.Sprintf("%s-0%016x", prefix, w.random.Uint64())
}

// Letters is n random capital letters and digits, as in access keys and change ids.
func (w *World) Letters(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[w.random.IntN(len(alphabet))]
	}
	return string(b)
}

// Serial counts up: a sort key by which pages stay stable while things come and go.
func (w *World) Serial() string {
	w.serial++
	return fmt.Sprintf("%012d", w.serial)
}

// Zones are the names of the region's three availability zones.
func (w *World) Zones() []string { return []string{w.Region + "a", w.Region + "b", w.Region + "c"} }

// ARN is an Amazon resource name in the world's account; region is empty for global services.
func (w *World) ARN(service, region, resource string) string {
	return "arn:aws:" + service + ":" + region + ":" + w.Account + ":" + resource
}

// Service is one of AWS' APIs.
type Service interface {
	// Action names what the request asks for ("RunInstances"). The request's form is parsed already where it has one.
	Action(r *http.Request) (string, *Error)
	// Serve answers. The world is not locked.
	Serve(w http.ResponseWriter, r *http.Request, caller Caller)
	// Refuse writes an error in the service's own format.
	Refuse(w http.ResponseWriter, r *http.Request, e *Error)
}

// Session is what temporary credentials stand for.
type Session struct {
	AccessKey, Secret, Token string
	ARN                      string
	Expires                  time.Time
}

// Issue makes temporary credentials for a principal.
func (w *World) Issue(arn string, ttl time.Duration) Session {
	s := Session{AccessKey: "ASIA" + w.Letters(16), Secret: w.Letters(40), Token: w.Letters(120), ARN: arn, Expires: w.Now().Add(ttl)}
	if w.sessions == nil {
		w.sessions = map[string]Session{}
	}
	w.sessions[s.AccessKey] = s
	return s
}

// Session finds issued credentials by access key.
func (w *World) Session(accessKey string) (Session, bool) {
	s, ok := w.sessions[accessKey]
	return s, ok
}
