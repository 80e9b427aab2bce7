package sqlproxy

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // mysql_native_password and MySQL's RSA padding are defined by it
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/pem"
	"errors"
)

const (
	nativePassword = "mysql_native_password"
	cachingSHA2    = "caching_sha2_password"
)

// scramble is mysql_native_password's answer: SHA1(password) xor SHA1(salt + SHA1(SHA1(password))); nil without one.
func scramble(salt []byte, password string) []byte {
	if password == "" {
		return nil
	}
	once := sha1.Sum([]byte(password))
	twice := sha1.Sum(once[:])
	mix := sha1.Sum(append(append([]byte{}, salt...), twice[:]...))
	subtle.XORBytes(mix[:], mix[:], once[:])
	return mix[:]
}

// scrambleSHA2 is caching_sha2_password's quick answer: SHA256(password) xor SHA256(SHA256(SHA256(password)) + salt).
func scrambleSHA2(salt []byte, password string) []byte {
	if password == "" {
		return nil
	}
	once := sha256.Sum256([]byte(password))
	twice := sha256.Sum256(once[:])
	mix := sha256.Sum256(append(twice[:], salt...))
	subtle.XORBytes(mix[:], mix[:], once[:])
	return mix[:]
}

// answerTo is the answer to a plugin's salt.
func answerTo(plugin string, salt []byte, password string) ([]byte, error) {
	switch plugin {
	case nativePassword, "":
		return scramble(salt, password), nil
	case cachingSHA2:
		return scrambleSHA2(salt, password), nil
	}
	return nil, errors.New("the server asks for the authentication plugin " + plugin + ", which the proxy does not know: use " + nativePassword + " or " + cachingSHA2)
}

// sealPassword encrypts the password for a server that has not cached it, with the key that it sent.
func sealPassword(key, salt []byte, password string) ([]byte, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("the server's key for passwords is no PEM block")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("the server's key for passwords is no RSA key")
	}
	plain := append([]byte(password), 0)
	for i := range plain {
		plain[i] ^= salt[i%len(salt)]
	}
	return rsa.EncryptOAEP(sha1.New(), rand.Reader, public, plain, nil)
}

// newSalt makes 20 bytes without 0 and $, which old clients cannot take.
func newSalt() []byte {
	salt := make([]byte, 20)
	_, _ = rand.Read(salt) // never fails
	for i := range salt {
		salt[i] = salt[i]&0x7f | 1
		if salt[i] == '$' {
			salt[i]++
		}
	}
	return salt
}

// proves tells whether a client's answer shows that it knows the password.
func proves(answer, salt []byte, password string) bool {
	return subtle.ConstantTimeCompare(answer, scramble(salt, password)) == 1
}
