package sqlproxy

import "encoding/binary"

// prepared is what a server says of a statement that it has prepared.
type prepared struct {
	id                  uint32
	parameters, columns int
}

// statement is a prepared one as the client knows it. It lives on the primary's connection, and is made again on the next.
type statement struct {
	prepared
	text  []byte // the command that prepared it
	on    *server
	class class
	types []byte // of the parameters, as last told: a server that knows the statement is not told again
	long  bool   // part of a parameter was sent ahead; that is not kept
}

// execution makes the command for the server's own number. Where the server does not know the parameters' types any more
// they are put in.
func (s *statement) execution(raw []byte, again bool) []byte {
	binary.LittleEndian.PutUint32(raw[5:], s.id)
	// A command's byte, the number, flags, a count; then, where there are parameters, which of them are NULL.
	bound := 4 + 10 + (s.parameters+7)/8
	if s.parameters == 0 || len(raw) <= bound || len(raw) >= biggest {
		return raw
	}
	if raw[bound] == 1 {
		if end := bound + 1 + 2*s.parameters; len(raw) >= end {
			s.types = append(s.types[:0], raw[bound+1:end]...)
		}
		return raw
	}
	if !again || len(s.types) != 2*s.parameters {
		return raw
	}
	full := append(append(append([]byte{}, raw[:bound]...), 1), s.types...)
	full = append(full, raw[bound+1:]...)
	n := len(full) - 4
	full[0], full[1], full[2] = byte(n), byte(n>>8), byte(n>>16)
	return full
}
