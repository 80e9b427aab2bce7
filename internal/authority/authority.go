// Package authority is the certificate authority of one role: made once and kept where the role's passwords are. Each of the
// role's servers makes a certificate of its own with it, and takes for one of the role's who shows one.
//
// Nothing is kept here, and nobody is asked: who has the authority's text can issue. Start at New, Parse and Issue.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

const (
	// Life is an authority's: longer than any farm's, since a new one means that all servers change at once.
	Life = 20 * 365 * 24 * time.Hour
	// IdentityLife is that of a server's certificate; it is made anew after a third of it (Identity.Due), so that a server that sleeps
	// for weeks, as those on a laptop do, has one that is good when it wakes.
	IdentityLife = 30 * 24 * time.Hour
	// skew is how far the clocks of two servers may be apart: a certificate is good from so long before it was made.
	skew = time.Hour
)

// Blocks of PEM.
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
)

// New makes an authority named so: its certificate and its key as PEM in one text, so that neither can be replaced without the other.
func New(name string, now time.Time) string {
	key := newKey()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-skew), NotAfter: now.Add(Life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err) // the template is ours
	}
	return string(encode(der, key))
}

// Authority issues identities. Safe for concurrent use.
type Authority struct {
	// PEM is its certificate, without its key: what others trust.
	PEM []byte

	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Parse reads what New made. Errors do not repeat the text, which holds a key.
func Parse(text string) (*Authority, error) {
	pair, err := tls.X509KeyPair([]byte(text), []byte(text))
	if err != nil {
		return nil, fmt.Errorf("reading a certificate authority: %w", err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("reading a certificate authority: that is another certificate")
	}
	return &Authority{
		PEM:         pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: pair.Leaf.Raw}),
		certificate: pair.Leaf, key: key,
	}, nil
}

// Identity is one server's certificate and key.
type Identity struct {
	// PEM holds both, the certificate first.
	PEM []byte
	// Due is when the next one is to be made.
	Due time.Time

	pair    tls.Certificate
	trusted *x509.CertPool
}

// Issue makes an identity for a server that is reached by these names and at this address. It is good for both ends of a connection.
func (a *Authority) Issue(address netip.Addr, names []string, now time.Time) (*Identity, error) {
	if len(names) == 0 {
		return nil, errors.New("issuing a certificate: it is for nobody")
	}
	key := newKey()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotBefore: now.Add(-skew), NotAfter: now.Add(IdentityLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	if address.IsValid() {
		template.IPAddresses = []net.IP{address.AsSlice()}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate for %s: %w", names[0], err)
	}
	i := &Identity{PEM: encode(der, key), Due: now.Add(IdentityLife / 3), trusted: x509.NewCertPool()}
	i.trusted.AddCert(a.certificate)
	if i.pair, err = tls.X509KeyPair(i.PEM, i.PEM); err != nil {
		return nil, fmt.Errorf("issuing a certificate for %s: %w", names[0], err)
	}
	return i, nil
}

// Server is for listening: only who shows a certificate of the same authority is let in.
func (i *Identity) Server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{i.pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: i.trusted}
}

// Client is for reaching a server, by a name or at an address that its certificate of the same authority must be for.
func (i *Identity) Client(host string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{i.pair}, RootCAs: i.trusted, ServerName: host}
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the system's source does not fail
	}
	return key
}

func encode(certificate []byte, key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err) // the curve is known
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: der})...)
}
