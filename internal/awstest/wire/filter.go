package wire

import (
	"slices"
	"strings"
)

// Filter is one of EC2's: a thing passes if one of the values, in which * and ? stand for others, is one of the thing's.
type Filter struct {
	Name  string
	Value []string
}

// Pass tells whether a thing passes all filters. Values gives the thing's values by filter name, and false for a name
// that is no filter of its kind; "tag:KEY", "tag-key" and "tag" are answered from tags.
func Pass(filters []Filter, tags map[string]string, values func(name string) ([]string, bool)) (bool, *Error) {
	pass := true
	for _, f := range filters {
		var have []string
		switch key, isTag := strings.CutPrefix(f.Name, "tag:"); {
		case isTag:
			if v, ok := tags[key]; ok {
				have = []string{v}
			}
		case f.Name == "tag-key":
			for k := range tags {
				have = append(have, k)
			}
		default:
			v, known := values(f.Name)
			if !known {
				return false, Errorf("InvalidParameterValue", "The filter '%s' is invalid", f.Name)
			}
			have = v
		}
		if len(f.Value) == 0 {
			return false, Errorf("InvalidParameterValue", "The filter 'null' is invalid")
		}
		pass = pass && slices.ContainsFunc(have, func(h string) bool {
			return slices.ContainsFunc(f.Value, func(p string) bool { return Wild(p, h) })
		})
	}
	return pass, nil
}

// Wild matches a pattern in which * stands for any characters, ? for one, and a backslash takes the meaning from the next.
func Wild(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	switch pattern[0] {
	case '*':
		for i := 0; i <= len(s); i++ {
			if Wild(pattern[1:], s[i:]) {
				return true
			}
		}
		return false
	case '?':
		return s != "" && Wild(pattern[1:], s[1:])
	case '\\':
		if len(pattern) > 1 {
			pattern = pattern[1:]
		}
	}
	return s != "" && s[0] == pattern[0] && Wild(pattern[1:], s[1:])
}
