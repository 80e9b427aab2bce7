package sqlproxy

// settings are the SET statements that a session is carried on with, in order.
type settings struct {
	all     []setting
	version int // grows with every change; see server.applied
}

type setting struct{ fingerprint, text string }

// maxSettings bounds them: who sets more has a program for it, and stays where it is.
const maxSettings = 64

// add takes a statement over; one that sets the same replaces the former. It tells whether there was room.
func (s *settings) add(fingerprint, text string) bool {
	kept := s.all[:0:0]
	for _, o := range s.all {
		if o.fingerprint != fingerprint {
			kept = append(kept, o)
		}
	}
	if len(kept) >= maxSettings {
		return false
	}
	s.all = append(kept, setting{fingerprint, text})
	s.version++
	return true
}
