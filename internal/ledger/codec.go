package ledger

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/farmhand/terraform-provider-farmhand/internal/engine"
	"github.com/farmhand/terraform-provider-farmhand/internal/store"
)

// A record is JSON, deflated with a dictionary of what records usually say. The first byte says which; a plain
// record begins with its brace.
const deflated = 1

// dictionary belongs to the format: another one takes another first byte.
//
//go:embed dictionary.json
var dictionary []byte

// most is the largest JSON that is read: forty times what the store holds of it, against a value that is not ours.
const most = 40 * store.MaxValue

// packer is made once: it takes more than a megabyte.
var packer struct {
	sync.Mutex
	w *flate.Writer
}

// Encode writes a record down within store.MaxValue; of one that does not fit its View goes first, then decisions
// beyond a few, which LeftOut then says.
func Encode(r Record) ([]byte, error) {
	b, err := encode(r)
	if err != nil || len(b) <= store.MaxValue {
		return b, err
	}
	r.LeftOut = fmt.Sprintf("%d servers are more than a record can hold", len(r.Role().Instances))
	role := *r.Role()
	role.Instances = nil
	r.View.Roles = []engine.Role{role}
	r.View.Strays = nil
	if b, err = encode(r); err != nil || len(b) <= store.MaxValue {
		return b, err
	}
	const few = 100
	r.LeftOut += fmt.Sprintf(", and so are %d decisions", len(r.Decisions))
	r.Decisions = r.Decisions[:min(few, len(r.Decisions))]
	return encode(r)
}

func encode(r Record) ([]byte, error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("writing ledger record %s: %w", r.ID, err)
	}
	var b bytes.Buffer
	b.WriteByte(deflated)
	packer.Lock()
	defer packer.Unlock()
	if packer.w == nil {
		if packer.w, err = flate.NewWriterDict(&b, flate.BestCompression, dictionary); err != nil {
			return nil, err
		}
	} else {
		packer.w.Reset(&b)
	}
	_, err = packer.w.Write(plain)
	err = errors.Join(err, packer.w.Close())
	return b.Bytes(), err
}

// Decode reads what Encode wrote, and records of before there was a View.
func Decode(b []byte) (Record, error) {
	var r Record
	if len(b) == 0 {
		return r, errors.New("an empty ledger record")
	}
	if b[0] == deflated {
		unpacker := flate.NewReaderDict(bytes.NewReader(b[1:]), dictionary)
		plain, err := io.ReadAll(io.LimitReader(unpacker, most))
		if err != nil {
			return r, fmt.Errorf("unpacking a ledger record: %w", err)
		}
		b = plain
	}
	if b[0] != '{' {
		return r, fmt.Errorf("a ledger record of a kind (%d) that this version does not know: use a newer farmhand", b[0])
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("reading a ledger record: %w", err)
	}
	if r.Role() == nil && r.LeftOut == "" {
		r.LeftOut = "it was written by a version that did not keep the inputs"
	}
	return r, nil
}
