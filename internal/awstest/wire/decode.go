package wire

import (
	"net/url"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Decode fills the struct that into points at from query parameters: fields by their names, or by a tag `q:"Name"`;
// `q:",required"` ones must be there. Lists are Name.1, Name.2 (EC2) or, with member, Name.member.1 (the query protocol
// elsewhere); structs are Name.Field. Parameters that no field takes are refused.
func Decode(form url.Values, into any, member bool) *Error {
	d := &decoder{form: form, member: member, used: map[string]bool{}}
	if err := d.fields("", reflect.ValueOf(into).Elem()); err != nil {
		return err
	}
	var unknown []string
	for k := range form {
		if !d.used[k] {
			unknown = append(unknown, k)
		}
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		return Errorf("UnknownParameter", "The parameter %s is not recognized", unknown[0])
	}
	return nil
}

type decoder struct {
	form   url.Values
	member bool
	used   map[string]bool
}

// names are a field's parameter name and options.
func names(f reflect.StructField) (name string, required bool) {
	name, opts, _ := strings.Cut(f.Tag.Get("q"), ",")
	if name == "" {
		name = f.Name
	}
	return name, opts == "required"
}

func (d *decoder) fields(prefix string, v reflect.Value) *Error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("q") == "-" {
			continue
		}
		if f.Anonymous {
			if err := d.fields(prefix, v.Field(i)); err != nil {
				return err
			}
			continue
		}
		name, required := names(f)
		found, err := d.value(prefix+name, v.Field(i))
		if err != nil {
			return err
		}
		if required && !found {
			return Errorf("MissingParameter", "The request must contain the parameter %s", prefix+name)
		}
	}
	return nil
}

// under tells whether a parameter begins with the prefix.
func (d *decoder) under(prefix string) bool {
	for k := range d.form {
		if strings.HasPrefix(k, prefix) {
			return true
		}
	}
	return false
}

func (d *decoder) value(key string, v reflect.Value) (bool, *Error) {
	if _, isTime := v.Interface().(time.Time); isTime {
		return d.leaf(key, v)
	}
	switch v.Kind() {
	case reflect.Pointer:
		e := reflect.New(v.Type().Elem())
		if e.Elem().Kind() == reflect.Struct && !d.under(key+".") {
			return false, nil
		}
		found, err := d.value(key, e.Elem())
		if found {
			v.Set(e)
		}
		return found, err
	case reflect.Struct:
		found := d.under(key + ".")
		if !found {
			return false, nil
		}
		return true, d.fields(key+".", v)
	case reflect.Slice:
		return d.list(key, v)
	}
	return d.leaf(key, v)
}

func (d *decoder) list(key string, v reflect.Value) (bool, *Error) {
	prefix := key + "."
	if d.member {
		if _, empty := d.form[key]; empty { // an empty list is sent as Name=
			d.used[key] = true
			return true, nil
		}
		prefix += "member."
	}
	var at []int
	seen := map[int]bool{}
	for k := range d.form {
		rest, ok := strings.CutPrefix(k, prefix)
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(digits); err == nil && n > 0 && !seen[n] {
			seen[n] = true
			at = append(at, n)
		}
	}
	sort.Ints(at)
	for _, n := range at {
		e := reflect.New(v.Type().Elem()).Elem()
		if _, err := d.value(prefix+strconv.Itoa(n), e); err != nil {
			return false, err
		}
		v.Set(reflect.Append(v, e))
	}
	return len(at) > 0, nil
}

func (d *decoder) leaf(key string, v reflect.Value) (bool, *Error) {
	values, ok := d.form[key]
	if !ok {
		return false, nil
	}
	d.used[key] = true
	s := values[0]
	bad := func(want string) *Error {
		return Errorf("InvalidParameterValue", "Value (%s) for parameter %s is invalid. Expected: %s.", s, key, want)
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Int:
		n, err := strconv.Atoi(s)
		if err != nil {
			return true, bad("an integer")
		}
		v.SetInt(int64(n))
	case reflect.Float64:
		n, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return true, bad("a number")
		}
		v.SetFloat(n)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return true, bad("true or false")
		}
		v.SetBool(b)
	case reflect.Struct: // time.Time
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return true, bad("a time such as 2006-01-02T15:04:05Z")
		}
		v.Set(reflect.ValueOf(t))
	default:
		panic("wire: no way to decode " + v.Type().String() + " of " + key)
	}
	return true, nil
}
