package sqlproxy

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
)

type counts struct{ reads, writes, lost, refused, connects, behind atomic.Int64 }

type proxyCounts struct {
	clients, tooMany, denied, moves, moved, held, retried, unknown, lostTransactions atomic.Int64
}

// Status is what a proxy has done since its start.
type Status struct {
	Term             int64           `json:"term"`
	Primary          string          `json:"primary"`
	Clients          int             `json:"clients"` // connected now
	Accepted         int64           `json:"accepted"`
	TooMany          int64           `json:"too_many"`          // clients refused by MaxConnections
	Denied           int64           `json:"denied"`            // clients refused by user or password
	Moves            int64           `json:"moves"`             // changes of the primary
	Moved            int64           `json:"moved"`             // sessions carried to another server
	Held             int64           `json:"held"`              // statements that waited for a primary
	Retried          int64           `json:"retried"`           // statements sent again after a server was lost
	Unknown          int64           `json:"unknown"`           // statements of which it is not known whether they took effect
	LostTransactions int64           `json:"lost_transactions"` // told to the client as a deadlock is
	Backends         []BackendStatus `json:"backends"`
}

// BackendStatus is one server's part.
type BackendStatus struct {
	Address  string `json:"address"`
	Primary  bool   `json:"primary"`
	Reads    int64  `json:"reads"`    // statements sent because a replica may answer them
	Writes   int64  `json:"writes"`   // all others
	Connects int64  `json:"connects"` // connections made
	Refused  int64  `json:"refused"`  // connections that could not be made
	Lost     int64  `json:"lost"`     // connections lost in use
	Behind   int64  `json:"behind"`   // reads that it was not up to date enough for
}

// Status counts. Servers that are gone are in no line.
func (p *Proxy) Status() Status {
	t := p.topology.Load()
	c := &p.counts
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{
		Term: t.Term, Primary: t.Primary, Clients: len(p.sessions),
		Accepted: c.clients.Load(), TooMany: c.tooMany.Load(), Denied: c.denied.Load(), Moves: c.moves.Load(), Moved: c.moved.Load(),
		Held: c.held.Load(), Retried: c.retried.Load(), Unknown: c.unknown.Load(), LostTransactions: c.lostTransactions.Load(),
	}
	for _, b := range p.backends {
		s.Backends = append(s.Backends, BackendStatus{
			Address: b.address, Primary: b == t.primary, Reads: b.counts.reads.Load(), Writes: b.counts.writes.Load(),
			Connects: b.counts.connects.Load(), Refused: b.counts.refused.Load(), Lost: b.counts.lost.Load(), Behind: b.counts.behind.Load(),
		})
	}
	slices.SortFunc(s.Backends, func(a, b BackendStatus) int { return strings.Compare(a.Address, b.Address) })
	return s
}

// ServeStatus answers every connection to l with Status as JSON, until l is closed.
func (p *Proxy) ServeStatus(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_ = json.NewEncoder(c).Encode(p.Status())
		c.Close()
	}
}

// rows are Status as SHOW FARMHAND STATUS tells it.
func (s Status) rows() [][2]string {
	rows := [][2]string{{"term", fmt.Sprint(s.Term)}, {"primary", s.Primary}, {"clients", fmt.Sprint(s.Clients)}, {"accepted", fmt.Sprint(s.Accepted)},
		{"too_many", fmt.Sprint(s.TooMany)}, {"denied", fmt.Sprint(s.Denied)}, {"moves", fmt.Sprint(s.Moves)}, {"moved", fmt.Sprint(s.Moved)},
		{"held", fmt.Sprint(s.Held)}, {"retried", fmt.Sprint(s.Retried)}, {"unknown", fmt.Sprint(s.Unknown)}, {"lost_transactions", fmt.Sprint(s.LostTransactions)}}
	for _, b := range s.Backends {
		for _, c := range []struct {
			name string
			n    int64
		}{{"reads", b.Reads}, {"writes", b.Writes}, {"connects", b.Connects}, {"refused", b.Refused}, {"lost", b.Lost}, {"behind", b.Behind}} {
			rows = append(rows, [2]string{b.Address + " " + c.name, fmt.Sprint(c.n)})
		}
	}
	return rows
}
