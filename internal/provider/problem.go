package provider

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// addProblems makes diagnostics of what is at fault in a declaration. The attribute is named in the text as well:
// where the configuration does not set it, Terraform shows the block only.
func addProblems(diags *diag.Diagnostics, problems []spec.Problem) {
	for _, p := range problems {
		detail := sentence(p.Summary)
		if p.Attribute != "" {
			detail = attributePath(p.Attribute).String() + ": " + detail
		}
		if p.Advice != "" {
			detail += "\n\n" + sentence(p.Advice)
		}
		switch {
		case p.Attribute == "" && p.Warning:
			diags.AddWarning(headline(p.Summary), detail)
		case p.Attribute == "":
			diags.AddError(headline(p.Summary), detail)
		case p.Warning:
			diags.AddAttributeWarning(attributePath(p.Attribute), headline(p.Summary), detail)
		default:
			diags.AddAttributeError(attributePath(p.Attribute), headline(p.Summary), detail)
		}
	}
}

// hasErrors tells whether any of the problems stands in the way.
func hasErrors(problems []spec.Problem) bool {
	return slices.ContainsFunc(problems, func(p spec.Problem) bool { return !p.Warning })
}

// attributePath reads a path as internal/spec writes it: health_check.http.path, step[0].from, settings.memory_mb,
// environment["NAME"]. An element of a set has no path of its own; the set's is given.
func attributePath(s string) path.Path {
	var p path.Path
	var root string
	var last string
	for i, part := range splitPath(s) {
		switch name, isName := strings.CutPrefix(part, "."); {
		case i == 0:
			root = part
			p = path.Root(hclName(root))
		case root == "uses", strings.HasPrefix(part, "[") && isSet(last):
		case isMap(root):
			p = p.AtMapKey(unquoted(name))
		case isName:
			p, last = p.AtName(name), name
		default:
			n, err := strconv.Atoi(strings.Trim(part, "[]"))
			if err != nil {
				return p
			}
			p = p.AtListIndex(n)
		}
	}
	return p
}

// splitPath splits "a.b[0].c" into "a", ".b", "[0]", ".c"; the rest of a map's path is one key.
func splitPath(s string) (parts []string) {
	for s != "" {
		end := strings.IndexAny(s[1:], ".[") + 1
		if end == 0 || len(parts) == 1 && isMap(parts[0]) {
			return append(parts, s)
		}
		parts, s = append(parts, s[:end]), s[end:]
	}
	return parts
}

// hclName is the attribute that a field of a declaration is written as.
func hclName(field string) string {
	switch field {
	case "secrets":
		return "secret_environment_wo"
	case "steps":
		return "step"
	}
	return field
}

// isSet names nested attributes whose elements have no order, and no path.
func isSet(name string) bool {
	switch name {
	case "subnet_ids", "security_group_ids", "target_group_arns":
		return true
	}
	return false
}

func isMap(root string) bool {
	switch root {
	case "settings", "environment", "secrets":
		return true
	}
	return false
}

// unquoted is the name in ["NAME"], or what stands there without.
func unquoted(s string) string {
	inner := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if name, err := strconv.Unquote(inner); err == nil {
		return name
	}
	return inner
}

// headline is a summary short enough for the first line of a diagnostic.
func headline(s string) string {
	const longest = 100
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > longest {
		s = s[:strings.LastIndex(s[:longest], " ")+1] + "..."
	}
	return capital(s)
}

// capital begins s with a capital letter, as what a person reads does and an error in Go does not.
func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// sentence ends s with a full stop.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}
