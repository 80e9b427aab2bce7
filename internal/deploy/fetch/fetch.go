// Package fetch writes the user data by which an EC2 instance gets farmhand's executable and starts it as a service.
//
// The executable comes from S3 with the credentials of the instance's profile and is checked by its hash; nothing but
// what cloud-init brings (sh, python3's standard library, systemd) is needed. User data is readable for everybody on
// the instance, and holds no secret. Start reading at Service.UserData; what runs on the instance is fetch.py.
package fetch

import (
	"cmp"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// MaxUserData is EC2's limit before it is encoded as base64.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html
const MaxUserData = 16 << 10

// Path is where the executable stands on an instance.
const Path = "/usr/local/bin/farmhand"

// Object is one executable in the bucket.
type Object struct {
	Key    string `json:"key"`    // without a leading slash
	SHA256 string `json:"sha256"` // hex
}

// Service is what an instance is to run.
type Service struct {
	Name        string // systemd unit without ".service"; letters, digits and dashes
	Description string
	Args        []string          // of the executable: "agent", "--store", ...
	Environment map[string]string // beside the system's; no secret
	// Sandboxed runs it as a user of its own with a state directory and no right on the machine: the sidecar. An agent
	// sets its instance up and is root.
	Sandboxed bool

	Region  string
	Bucket  string
	Objects map[string]Object // by architecture: "amd64", "arm64"
	// Endpoint of S3, as in http://127.0.0.1:9000; empty: the region's own.
	Endpoint  string
	FIPS      bool
	DualStack bool

	path string // instead of Path, in tests
}

//go:embed fetch.py
var program string

// UserData is the shell script that cloud-init runs at an instance's first boot. It is to be base64-encoded by the
// caller, and is the same for the same Service.
func (s Service) UserData() (string, error) {
	if err := s.check(); err != nil {
		return "", fmt.Errorf("user data of %s: %w", s.Name, err)
	}
	config, err := json.Marshal(map[string]any{
		"region": s.Region, "url": s.bucketURL(), "objects": s.Objects, "path": s.target(),
	})
	if err != nil {
		return "", fmt.Errorf("user data of %s: %w", s.Name, err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "#!/bin/sh\n# %s: made by Farmhand. It holds no secret.\nset -eu\numask 022\npython3 - <<'PYTHON'\n", s.Description)
	// Go's quoting in ASCII is a Python literal as well.
	fmt.Fprintf(&b, "CONFIG = %s\n%sPYTHON\n", strconv.QuoteToASCII(string(config)), program)
	fmt.Fprintf(&b, "if [ ! -d /run/systemd/system ]; then # a container: it has no service manager\n")
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		fmt.Fprintf(&b, "  export %s=%s\n", name, shellQuote(s.Environment[name]))
	}
	b.WriteString("  exec " + s.target())
	for _, a := range s.Args {
		b.WriteString(" " + shellQuote(a))
	}
	fmt.Fprintf(&b, "\nfi\ncat >/etc/systemd/system/%s.service <<'UNIT'\n%sUNIT\n", s.Name, s.unit())
	fmt.Fprintf(&b, "systemctl daemon-reload\nsystemctl enable --now %s.service\n", s.Name)
	if b.Len() > MaxUserData {
		return "", fmt.Errorf("user data of %s: %d bytes are more than the %d that EC2 takes", s.Name, b.Len(), MaxUserData)
	}
	return b.String(), nil
}

func (s Service) target() string { return cmp.Or(s.path, Path) }

// unit is the systemd unit. Restart is without a limit: whoever gives up leaves a machine that nobody keeps.
func (s Service) unit() string {
	var b strings.Builder
	fmt.Fprintf(&b, `[Unit]
Description=%s
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=%s`, s.Description, s.target())
	for _, a := range s.Args {
		b.WriteString(" " + strings.ReplaceAll(unitQuote(a), "$", "$$")) // a command line's $ is a variable
	}
	b.WriteString("\nRestart=always\nRestartSec=2\n")
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		fmt.Fprintf(&b, "Environment=%s\n", unitQuote(name+"="+s.Environment[name]))
	}
	if s.Sandboxed {
		b.WriteString(`DynamicUser=yes
StateDirectory=farmhand
Environment=FARMHAND_STATE_DIR=/var/lib/farmhand
WorkingDirectory=/var/lib/farmhand
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077
`)
	} else {
		// What the agent has started (a web server, a database) outlives a restart of the agent.
		b.WriteString("KillMode=process\nOOMScoreAdjust=-500\n")
	}
	b.WriteString("\n[Install]\nWantedBy=multi-user.target\n")
	return b.String()
}

// bucketURL is where the bucket's objects lie, without a final slash. Names with dots do not match the certificate of
// the host style, and endpoints of one's own know the path style only.
func (s Service) bucketURL() string {
	if s.Endpoint != "" {
		return strings.TrimSuffix(s.Endpoint, "/") + "/" + s.Bucket
	}
	service := "s3"
	if s.FIPS {
		service = "s3-fips"
	}
	if s.DualStack {
		service += ".dualstack"
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(s.Region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	host := service + "." + s.Region + "." + domain
	if strings.Contains(s.Bucket, ".") {
		return "https://" + host + "/" + s.Bucket
	}
	return "https://" + s.Bucket + "." + host
}

func (s Service) check() error {
	if s.Name == "" || strings.Trim(s.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return fmt.Errorf("%q is not the name of a unit", s.Name)
	}
	if s.Region == "" || s.Bucket == "" {
		return errors.New("region and bucket must be named")
	}
	if len(s.Objects) == 0 {
		return errors.New("there is no executable for any architecture")
	}
	for architecture, o := range s.Objects {
		if sum, err := hex.DecodeString(o.SHA256); err != nil || len(sum) != 32 {
			return fmt.Errorf("%q is not the SHA-256 of the executable for %s", o.SHA256, architecture)
		}
		if o.Key == "" || path.Clean("/"+o.Key) != "/"+o.Key {
			return fmt.Errorf("%q is not the key of the executable for %s", o.Key, architecture)
		}
	}
	if s.Endpoint != "" {
		if u, err := url.Parse(s.Endpoint); err != nil || u.Host == "" {
			return fmt.Errorf("%q is not the address of an endpoint", s.Endpoint)
		}
	}
	texts := append([]string{s.Description}, s.Args...)
	for name, v := range s.Environment {
		if name == "" || strings.ContainsAny(name, "= '\"$\\\n") {
			return fmt.Errorf("%q is not the name of a variable", name)
		}
		texts = append(texts, v)
	}
	for _, t := range texts {
		// A line of its own could end the document that it stands in.
		if strings.ContainsFunc(t, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%q holds a control character", t)
		}
	}
	return nil
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// unitQuote also keeps systemd from expanding %. See systemd.unit(5), "Specifiers".
func unitQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`).Replace(s) + `"`
}
