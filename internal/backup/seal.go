package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// ErrKey: the key is not the one that a stream was sealed with, or is none.
var ErrKey = errors.New("wrong key")

// ErrDamaged: a stream is cut off, or its bytes are not those that were stored.
var ErrDamaged = errors.New("damaged")

// Key encrypts and decrypts backups: an age X25519 identity (https://age-encryption.org/v1), made by NewKey or age-keygen.
// The zero Key stands for none: streams are compressed only.
type Key struct{ identity *age.X25519Identity }

// NewKey makes a key.
func NewKey() (Key, error) {
	i, err := age.GenerateX25519Identity()
	if err != nil {
		return Key{}, fmt.Errorf("making a backup key: %w", err)
	}
	return Key{i}, nil
}

// ParseKey reads a key as Secret writes it, with or without the end of a line that a file has; "" is the zero Key.
func ParseKey(s string) (Key, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return Key{}, nil
	}
	i, err := age.ParseX25519Identity(s)
	if err != nil {
		return Key{}, fmt.Errorf("%w: a backup key is an age identity, AGE-SECRET-KEY-1 and 58 letters and digits; make one with age-keygen or farmhand backup-key", ErrKey)
	}
	return Key{i}, nil
}

// Secret is the key itself; "" of the zero Key.
func (k Key) Secret() string {
	if k.identity == nil {
		return ""
	}
	return k.identity.String()
}

// Public is its public half, by which a manifest says what it was sealed with: "age1...", "" of the zero Key.
func (k Key) Public() string {
	if k.identity == nil {
		return ""
	}
	return k.identity.Recipient().String()
}

// String hides the key from logs.
func (k Key) String() string {
	if k.identity == nil {
		return "no key"
	}
	return "key of " + k.Public()
}

// Sealer compresses and encrypts what is written to it. Close it: what is not closed is damaged.
type Sealer struct {
	plain  int64
	stored counter
	enc    io.WriteCloser // nil without a key
	zip    *zstd.Encoder
}

// Seal begins a sealed stream on w.
func Seal(w io.Writer, key Key) (*Sealer, error) {
	s := &Sealer{stored: counter{w: w, sum: sha256.New()}}
	var below io.Writer = &s.stored
	if key.identity != nil {
		enc, err := age.Encrypt(&s.stored, key.identity.Recipient())
		if err != nil {
			return nil, fmt.Errorf("encrypting the backup: %w", err)
		}
		s.enc, below = enc, enc
	}
	// One goroutine and the fastest level: a server under load is not to notice, and its pages shrink to a third all the same.
	zip, err := zstd.NewWriter(below, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return nil, fmt.Errorf("compressing the backup: %w", err)
	}
	s.zip = zip
	return s, nil
}

// Write implements io.Writer.
func (s *Sealer) Write(p []byte) (int, error) {
	n, err := s.zip.Write(p)
	s.plain += int64(n)
	return n, err
}

// Close ends the stream; w stays open.
func (s *Sealer) Close() error {
	if err := s.zip.Close(); err != nil {
		return fmt.Errorf("compressing the backup: %w", err)
	}
	if s.enc != nil {
		if err := s.enc.Close(); err != nil {
			return fmt.Errorf("encrypting the backup: %w", err)
		}
	}
	return nil
}

// Plain and Stored are bytes before and after, SHA256 is of what was stored, in hex; all after Close.
func (s *Sealer) Plain() int64   { return s.plain }
func (s *Sealer) Stored() int64  { return s.stored.n }
func (s *Sealer) SHA256() string { return hex.EncodeToString(s.stored.sum.Sum(nil)) }

type counter struct {
	w   io.Writer
	n   int64
	sum hash.Hash
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	return n, err
}

// Open reads a sealed stream. The Read that comes to its end checks that it is whole, against sum too unless that is "".
// ErrKey, at once; ErrDamaged.
func Open(r io.Reader, key Key, sum string) (io.ReadCloser, error) {
	o := &opened{stored: &counted{r: r, sum: sha256.New()}, want: sum}
	var below io.Reader = o.stored
	if key.identity != nil {
		dec, err := age.Decrypt(o.stored, key.identity)
		var none *age.NoIdentityMatchError
		switch {
		case errors.As(err, &none):
			return nil, fmt.Errorf("%w: it was encrypted with another one than %s", ErrKey, key.Public())
		case o.stored.err != nil:
			return nil, o.stored.err
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		below = dec
	}
	zip, err := zstd.NewReader(below, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	o.zip = zip
	return o, nil
}

type opened struct {
	stored *counted
	zip    *zstd.Decoder
	want   string
	any    bool // something was read
}

func (o *opened) Read(p []byte) (int, error) {
	n, err := o.zip.Read(p)
	o.any = o.any || n > 0
	switch {
	case errors.Is(err, io.EOF):
		if _, rest := io.Copy(io.Discard, o.stored); rest != nil {
			return n, rest
		}
		if got := hex.EncodeToString(o.stored.sum.Sum(nil)); o.want != "" && got != o.want {
			return n, fmt.Errorf("%w: its SHA-256 is %s and its manifest says %s; take another backup", ErrDamaged, got, o.want)
		}
		return n, io.EOF
	case err != nil && o.stored.err != nil:
		return n, o.stored.err // it could not be read, whatever was made of that
	case err != nil && !o.any && errors.Is(err, zstd.ErrMagicMismatch):
		return n, fmt.Errorf("%w: this is no backup, or it is encrypted and no key was given", ErrKey)
	case err != nil:
		return n, fmt.Errorf("%w: cut off or changed after %d bytes: %w", ErrDamaged, o.stored.n, err)
	}
	return n, nil
}

func (o *opened) Close() error { o.zip.Close(); return nil }

type counted struct {
	r   io.Reader
	n   int64
	sum hash.Hash
	err error // that r ended with, unless it was its end
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && err != io.EOF {
		c.err = err
	}
	c.n += int64(n)
	c.sum.Write(p[:n])
	return n, err
}
