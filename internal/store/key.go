package store

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxKey is the largest key in bytes: DynamoDB's limit on a sort key.
const MaxKey = 1024

// CheckKey tells what is wrong with a key, wrapping ErrInvalid: a key is "partition/rest", both not empty, in UTF-8
// without control characters, at most MaxKey bytes. Every implementation refuses the same keys, so that one that
// was written on a laptop can be written on AWS.
func CheckKey(key string) error {
	if err := checkText("key", key); err != nil {
		return err
	}
	partition, rest, found := strings.Cut(key, "/")
	if !found || partition == "" || rest == "" {
		return fmt.Errorf("%w key %q: a key is written partition/rest", ErrInvalid, key)
	}
	return nil
}

// CheckPrefix does the same for the prefix of a List or a Watch: at least "partition/".
func CheckPrefix(prefix string) error {
	if err := checkText("prefix", prefix); err != nil {
		return err
	}
	partition, _, found := strings.Cut(prefix, "/")
	if !found || partition == "" {
		return fmt.Errorf("%w prefix %q: it must hold a whole partition and its slash, as in \"shop/\"", ErrInvalid, prefix)
	}
	return nil
}

// CheckWrite checks the key, the value's size, and that the guard stands in the key's partition; DynamoDB could
// not check a guard elsewhere within one write either.
func CheckWrite(key string, value []byte, w Write) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if len(value) > MaxValue {
		return fmt.Errorf("%w value of %s: %d bytes are more than the %d that a value may have; keep it as a blob", ErrInvalid, key, len(value), MaxValue)
	}
	if w.Guard == nil {
		return nil
	}
	if err := CheckKey(w.Guard.Key); err != nil {
		return fmt.Errorf("guard of %s: %w", key, err)
	}
	if Partition(w.Guard.Key) != Partition(key) {
		return fmt.Errorf("%w guard %s of %s: it stands in another partition", ErrInvalid, w.Guard.Key, key)
	}
	return nil
}

// Partition is the part of a key or prefix before its first slash.
func Partition(key string) string {
	p, _, _ := strings.Cut(key, "/")
	return p
}

// PrefixEnd is the smallest string greater than every string that starts with prefix, in the order of bytes; ""
// when there is none. For implementations that ask for a range [prefix, PrefixEnd(prefix)).
func PrefixEnd(prefix string) string {
	r := []rune(prefix)
	for i := len(r) - 1; i >= 0; i-- {
		switch next := r[i] + 1; {
		case next > utf8.MaxRune:
			continue // no rune is greater: the one before it moves
		case next == 0xD800:
			r[i] = 0xE000 // surrogates are not runes, and UTF-8 sorts as the code points do
			return string(r[:i+1])
		default:
			r[i] = next
			return string(r[:i+1])
		}
	}
	return ""
}

func checkText(what, s string) error {
	switch {
	case len(s) > MaxKey:
		return fmt.Errorf("%w %s %.40q...: %d bytes are more than %d", ErrInvalid, what, s, len(s), MaxKey)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w %s %q: it is not UTF-8", ErrInvalid, what, s)
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%w %s %q: it holds a control character", ErrInvalid, what, s)
	}
	return nil
}
