package fetch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	accessKey = "ASIAEXAMPLE"
	secretKey = "not/a+secret"
	session   = "token+of/the=profile"
)

// cloud is IMDSv2 and S3 on one address. It refuses a request that real S3 would refuse.
type cloud struct {
	t       *testing.T
	key     string
	content []byte
	absent  atomic.Int32 // how many more times the credentials are not there yet
	damaged atomic.Int32 // how many more times it comes damaged
	asked   atomic.Int32
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const role = "/latest/meta-data/iam/security-credentials/"
	switch {
	case r.URL.Path == "/latest/api/token":
		if r.Method != http.MethodPut || r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") == "" {
			http.Error(w, "no ttl", http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, "imds-token")
	case strings.HasPrefix(r.URL.Path, "/latest/"):
		if r.Header.Get("X-Aws-Ec2-Metadata-Token") != "imds-token" {
			http.Error(w, "IMDSv1 is off", http.StatusUnauthorized)
			return
		}
		switch {
		case c.absent.Add(-1) >= 0:
			http.NotFound(w, r)
		case r.URL.Path == role:
			fmt.Fprint(w, "farmhand-shop-instance")
		case r.URL.Path == role+"farmhand-shop-instance":
			fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":%q,"Token":%q}`, accessKey, secretKey, session)
		default:
			http.NotFound(w, r)
		}
	default:
		c.asked.Add(1)
		if err := c.checkSignature(r); err != nil {
			c.t.Error(err)
			http.Error(w, "SignatureDoesNotMatch", http.StatusForbidden)
			return
		}
		if r.URL.Path != "/my-bucket/"+c.key {
			http.Error(w, "NoSuchKey", http.StatusNotFound)
			return
		}
		if c.damaged.Add(-1) >= 0 {
			_, _ = w.Write([]byte("something else"))
			return
		}
		_, _ = w.Write(c.content)
	}
}

// checkSignature signs the request anew with the SDK's signer and compares.
func (c *cloud) checkSignature(r *http.Request) error {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return fmt.Errorf("X-Amz-Date: %w", err)
	}
	if age := time.Since(at); age > 15*time.Minute || age < -15*time.Minute {
		return fmt.Errorf("the request is dated %s", at)
	}
	again, err := http.NewRequest(http.MethodGet, "http://"+r.Host+r.URL.EscapedPath(), nil)
	if err != nil {
		return err
	}
	again.Header.Set("X-Amz-Content-Sha256", r.Header.Get("X-Amz-Content-Sha256"))
	nothing := sha256.Sum256(nil)
	err = v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(r.Context(),
		aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey, SessionToken: session},
		again, hex.EncodeToString(nothing[:]), "s3", "eu-west-1", at)
	if err != nil {
		return err
	}
	if got, want := r.Header.Get("Authorization"), again.Header.Get("Authorization"); got != want {
		return fmt.Errorf("%s %s is signed\n%s, by the SDK's signer it is\n%s", r.Method, r.URL, got, want)
	}
	return nil
}

// fetched runs the fetching part of the user data with the real python3.
func fetched(t *testing.T, c *cloud, s Service) (output string, err error) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3: ", err)
	}
	server := httptest.NewServer(c)
	defer server.Close()
	s.Endpoint = server.URL
	data, err := s.UserData()
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(data, "\nPYTHON\n")
	if !ok {
		t.Fatal("the program has no end")
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", head+"\nPYTHON\n")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + server.URL}
	b, err := cmd.CombinedOutput()
	return string(b), err
}

func example(t *testing.T) (*cloud, Service) {
	content := bytes.Repeat([]byte("an executable\n"), 200_000)
	sum := sha256.Sum256(content)
	name := hex.EncodeToString(sum[:])
	key := "blobs/odd name+(1)/" + name
	return &cloud{t: t, key: key, content: content}, Service{
		Name: "farmhand-agent", Description: "Farmhand's agent", Args: []string{"agent", "--store", "dynamodb://farmhand?region=eu-west-1&bucket=my-bucket"},
		Region: "eu-west-1", Bucket: "my-bucket", path: filepath.Join(t.TempDir(), "farmhand"),
		Objects: map[string]Object{runtime.GOARCH: {Key: key, SHA256: name}},
	}
}

func TestTheExecutableIsFetched(t *testing.T) {
	c, s := example(t)
	c.absent.Store(1) // the profile is not known on the first look
	out, err := fetched(t, c, s)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got, err := os.ReadFile(s.path)
	if err != nil || !bytes.Equal(got, c.content) {
		t.Fatalf("%d bytes, %v; want the %d of the bucket", len(got), err, len(c.content))
	}
	if info, err := os.Stat(s.path); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v: not an executable of everybody's", info.Mode(), err)
	}
	if !strings.Contains(out, "404") {
		t.Errorf("the failed look is not told of: %q", out)
	}
	for _, secret := range []string{secretKey, session} {
		if strings.Contains(out, secret) {
			t.Errorf("credentials are in the output: %s", out)
		}
	}
}

func TestAnExecutableOfAnotherHashIsNotTaken(t *testing.T) {
	c, s := example(t)
	c.damaged.Store(1)
	out, err := fetched(t, c, s)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(out, "has SHA-256") || c.asked.Load() != 2 {
		t.Errorf("asked %d times, said %q; want damage to be told of and asked again", c.asked.Load(), out)
	}
	if got, err := os.ReadFile(s.path); err != nil || !bytes.Equal(got, c.content) {
		t.Errorf("%d bytes, %v; want the %d of the bucket", len(got), err, len(c.content))
	}
	if left, _ := os.ReadDir(filepath.Dir(s.path)); len(left) != 1 {
		t.Errorf("the damaged copy was left behind: %v", left)
	}
}

func TestNoExecutableForTheArchitecture(t *testing.T) {
	c, s := example(t)
	s.Objects = map[string]Object{"riscv128": s.Objects[runtime.GOARCH]}
	out, err := fetched(t, c, s)
	if err == nil || !strings.Contains(out, "there is for riscv128") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestUserData(t *testing.T) {
	_, s := example(t)
	s.Environment = map[string]string{"AWS_ENDPOINT_URL": "http://it's.example:80/$x"}
	for _, sandboxed := range []bool{false, true} {
		s.Sandboxed = sandboxed
		data, err := s.UserData()
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := s.UserData(); again != data {
			t.Error("the same service has other user data, which would be another launch template")
		}
		for _, line := range []string{
			`ExecStart=` + s.path + ` "agent" "--store" "dynamodb://farmhand?region=eu-west-1&bucket=my-bucket"`,
			`Environment="AWS_ENDPOINT_URL=http://it's.example:80/$x"`,
			`  exec ` + s.path + ` 'agent' '--store' 'dynamodb://farmhand?region=eu-west-1&bucket=my-bucket'`,
			"Restart=always",
			"systemctl enable --now farmhand-agent.service",
		} {
			if !strings.Contains(data, "\n"+line+"\n") {
				t.Errorf("there is no line %q in\n%s", line, data)
			}
		}
		if strings.Contains(data, "DynamicUser=yes") != sandboxed {
			t.Errorf("sandboxed %v:\n%s", sandboxed, data)
		}
		if sh, err := exec.LookPath("sh"); err == nil {
			cmd := exec.CommandContext(t.Context(), sh, "-n")
			cmd.Stdin = strings.NewReader(data)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("not a shell script: %v\n%s", err, out)
			}
		}
	}
}

func TestAnArgumentIsTakenLiterallyBySystemd(t *testing.T) {
	_, s := example(t)
	s.Args = []string{`a"b`, `c$d`, `e%f`, `g\h`}
	data, err := s.UserData()
	if err != nil {
		t.Fatal(err)
	}
	if want := `"a\"b" "c$$d" "e%%f" "g\\h"`; !strings.Contains(data, want) {
		t.Errorf("no %s in\n%s", want, data)
	}
}

func TestWhereTheBucketIs(t *testing.T) {
	for want, s := range map[string]Service{
		"https://b.s3.eu-west-1.amazonaws.com":                {Region: "eu-west-1", Bucket: "b"},
		"https://s3.eu-west-1.amazonaws.com/b.c":              {Region: "eu-west-1", Bucket: "b.c"},
		"https://b.s3-fips.dualstack.us-east-1.amazonaws.com": {Region: "us-east-1", Bucket: "b", FIPS: true, DualStack: true},
		"https://b.s3.cn-north-1.amazonaws.com.cn":            {Region: "cn-north-1", Bucket: "b"},
		"http://127.0.0.1:9000/b":                             {Region: "eu-west-1", Bucket: "b", Endpoint: "http://127.0.0.1:9000/"},
	} {
		if got := s.bucketURL(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestAServiceThatCannotBe(t *testing.T) {
	for name, change := range map[string]func(*Service){
		"no hash":               func(s *Service) { s.Objects["arm64"] = Object{Key: "blobs/x"} },
		"no key":                func(s *Service) { s.Objects["arm64"] = Object{SHA256: strings.Repeat("0", 64)} },
		"no executable":         func(s *Service) { s.Objects = nil },
		"a unit that is a path": func(s *Service) { s.Name = "../x" },
		"no bucket":             func(s *Service) { s.Bucket = "" },
		"a line of its own":     func(s *Service) { s.Args = []string{"x\nUNIT\nrm -rf /"} },
		"a variable of commands": func(s *Service) {
			s.Environment = map[string]string{"A=1;reboot": ""}
		},
		"too much": func(s *Service) { s.Args = []string{strings.Repeat("x", MaxUserData)} },
	} {
		_, s := example(t)
		change(&s)
		if _, err := s.UserData(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
