package wire

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Style is a family of XML answers.
type Style int

const (
	// EC2 writes fieldName, lists as <fieldNameSet><item>.
	EC2 Style = iota
	// Member writes FieldName, lists as <FieldName><member> (ELB, IAM, Auto Scaling, STS).
	Member
)

// Encode writes a struct's fields as elements. A tag `x:"name"` overrides the name, `x:"-"` leaves the field out; empty
// strings, zero times, nil pointers and empty lists are left out.
func Encode(b *bytes.Buffer, v any, style Style) { style.fields(b, reflect.ValueOf(v)) }

func (s Style) fields(b *bytes.Buffer, v reflect.Value) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("x")
		if f.Anonymous {
			s.fields(b, v.Field(i))
			continue
		}
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = s.name(f)
		}
		s.element(b, name, v.Field(i))
	}
}

func (s Style) name(f reflect.StructField) string {
	if s == Member {
		return f.Name
	}
	n := strings.ToLower(f.Name[:1]) + f.Name[1:]
	if f.Type.Kind() == reflect.Slice {
		n += "Set"
	}
	return n
}

func (s Style) element(b *bytes.Buffer, name string, v reflect.Value) {
	if t, ok := v.Interface().(time.Time); ok {
		if !t.IsZero() {
			s.text(b, name, t.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			s.element(b, name, v.Elem())
		}
	case reflect.Struct:
		fmt.Fprintf(b, "<%s>", name)
		s.fields(b, v)
		fmt.Fprintf(b, "</%s>", name)
	case reflect.Slice:
		if v.Len() == 0 {
			return
		}
		item := "item"
		if s == Member {
			item = "member"
		}
		fmt.Fprintf(b, "<%s>", name)
		for i := range v.Len() {
			s.element(b, item, v.Index(i))
		}
		fmt.Fprintf(b, "</%s>", name)
	case reflect.String:
		if v.Len() > 0 {
			s.text(b, name, v.String())
		}
	case reflect.Int:
		s.text(b, name, strconv.FormatInt(v.Int(), 10))
	case reflect.Float64:
		s.text(b, name, strconv.FormatFloat(v.Float(), 'f', -1, 64))
	case reflect.Bool:
		s.text(b, name, strconv.FormatBool(v.Bool()))
	default:
		panic("wire: no way to encode " + v.Type().String() + " of " + name)
	}
}

func (s Style) text(b *bytes.Buffer, name, text string) {
	fmt.Fprintf(b, "<%s>", name)
	xml.EscapeText(b, []byte(text)) //nolint:errcheck // a buffer does not fail
	fmt.Fprintf(b, "</%s>", name)
}
