package wire

import (
	"net/http"
	"strings"
)

// Caller is who signed a request, and for what.
type Caller struct {
	AccessKey string
	Token     string // session token; empty for long-lived keys
	Date      string // of the scope, YYYYMMDD
	Region    string
	Service   string // as the scope names it: "ec2", "elasticloadbalancing", ...
	ARN       string // filled in by whoever knows the key
}

// ParseCaller reads the credential scope of a Signature Version 4 request, from its Authorization header or (presigned)
// its query. Signatures themselves are not computed. Absent or malformed ones are errors as AWS documents them under
// "Common errors".
func ParseCaller(r *http.Request) (Caller, *Error) {
	q := r.URL.Query()
	if h := r.Header.Get("Authorization"); h != "" {
		rest, ok := strings.CutPrefix(h, "AWS4-HMAC-SHA256 ")
		if !ok {
			return Caller{}, Errorf("IncompleteSignature", "Unsupported algorithm in the Authorization header.")
		}
		parts := map[string]string{}
		for _, p := range strings.Split(rest, ",") {
			k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
			parts[k] = v
		}
		if r.Header.Get("X-Amz-Date") == "" && r.Header.Get("Date") == "" {
			return Caller{}, Errorf("IncompleteSignature", "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
		}
		if !strings.Contains(";"+parts["SignedHeaders"]+";", ";host;") {
			return Caller{}, Errorf("SignatureDoesNotMatch", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.").With(http.StatusForbidden)
		}
		return scope(parts["Credential"], parts["Signature"], r.Header.Get("X-Amz-Security-Token"))
	}
	if q.Get("X-Amz-Algorithm") == "AWS4-HMAC-SHA256" {
		return scope(q.Get("X-Amz-Credential"), q.Get("X-Amz-Signature"), q.Get("X-Amz-Security-Token"))
	}
	return Caller{}, Errorf("MissingAuthenticationToken", "Request is missing Authentication Token").With(http.StatusForbidden)
}

func scope(credential, signature, token string) (Caller, *Error) {
	f := strings.Split(credential, "/")
	if len(f) != 5 || f[4] != "aws4_request" {
		return Caller{}, Errorf("IncompleteSignature", "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", credential)
	}
	if len(signature) != 64 || strings.Trim(signature, "0123456789abcdef") != "" {
		return Caller{}, Errorf("IncompleteSignature", "Authorization header requires 'Signature' parameter of 64 hexadecimal digits.")
	}
	return Caller{AccessKey: f[0], Date: f[1], Region: f[2], Service: f[3], Token: token}, nil
}
