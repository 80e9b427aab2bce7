package awsconfig_test

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
)

// noAWS is a process without any AWS configuration, but for what the test sets.
func noAWS(t *testing.T, set ...string) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // so that it is restored
			os.Unsetenv(name)
		}
	}
	dir := t.TempDir()
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for i := 0; i < len(set); i += 2 {
		t.Setenv(set[i], set[i+1])
	}
}

func load(t *testing.T, c awsconfig.Config) aws.Config {
	t.Helper()
	cfg, err := awsconfig.Load(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func wantKey(t *testing.T, cfg aws.Config, want string) {
	t.Helper()
	c, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || c.AccessKeyID != want {
		t.Fatalf("got access key %q and error %v, want %q", c.AccessKeyID, err, want)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCredentialChain(t *testing.T) {
	noAWS(t, "AWS_REGION", "eu-west-1")
	shared := write(t, "[default]\naws_access_key_id=SHARED\naws_secret_access_key=x\n[other]\naws_access_key_id=OTHER\naws_secret_access_key=x\n")
	wantKey(t, load(t, awsconfig.Config{SharedCredentialsFiles: []string{shared}}), "SHARED")
	wantKey(t, load(t, awsconfig.Config{SharedCredentialsFiles: []string{shared}, Profile: "other"}), "OTHER")

	t.Setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	wantKey(t, load(t, awsconfig.Config{SharedCredentialsFiles: []string{shared}}), "ENVIRONMENT")
	wantKey(t, load(t, awsconfig.Config{AccessKey: "SAID", SecretKey: "x"}), "SAID")
}

func TestRegion(t *testing.T) {
	noAWS(t)
	_, err := awsconfig.Load(t.Context(), awsconfig.Config{})
	if err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Fatalf("without a region: %v, want the way out", err)
	}
	shared := write(t, "[profile p]\nregion=ap-south-1\nretry_mode=standard\n")
	cfg := load(t, awsconfig.Config{Profile: "p", SharedConfigFiles: []string{shared}})
	if cfg.Region != "ap-south-1" || cfg.RetryMode != aws.RetryModeStandard {
		t.Fatalf("got region %q, retry mode %q, want the profile's", cfg.Region, cfg.RetryMode)
	}
	t.Setenv("AWS_REGION", "eu-west-1")
	if got := load(t, awsconfig.Config{}); got.Region != "eu-west-1" || got.RetryMode != aws.RetryModeAdaptive {
		t.Fatalf("got region %q, retry mode %q", got.Region, got.RetryMode)
	}
	got := load(t, awsconfig.Config{Region: "us-east-2", MaxRetries: 4, RetryMode: "standard"})
	if got.Region != "us-east-2" || got.RetryMaxAttempts != 5 || got.RetryMode != aws.RetryModeStandard {
		t.Fatalf("got region %q, %d attempts, retry mode %q", got.Region, got.RetryMaxAttempts, got.RetryMode)
	}
	_, err = awsconfig.Load(t.Context(), awsconfig.Config{Profile: "nobody"})
	if err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Fatalf("with a profile that is not there: %v", err)
	}
}

func TestEndpoints(t *testing.T) {
	noAWS(t, "AWS_REGION", "eu-west-1")
	endpointsOf := func(c awsconfig.Config) (dynamo, bucket string, pathStyle bool) {
		t.Helper()
		cfg := load(t, c)
		d, s := dynamodb.NewFromConfig(cfg).Options(), s3.NewFromConfig(cfg).Options()
		return aws.ToString(d.BaseEndpoint), aws.ToString(s.BaseEndpoint), s.UsePathStyle
	}
	want := func(c awsconfig.Config, dynamo, bucket string, pathStyle bool) {
		t.Helper()
		if d, b, p := endpointsOf(c); d != dynamo || b != bucket || p != pathStyle {
			t.Fatalf("got %q, %q, path style %v; want %q, %q, %v", d, b, p, dynamo, bucket, pathStyle)
		}
	}
	said := awsconfig.Config{Endpoints: map[string]string{"dynamodb": "http://said:1"}}
	want(awsconfig.Config{}, "", "", false)
	want(said, "http://said:1", "", false)
	t.Setenv("AWS_ENDPOINT_URL", "http://all:2")
	want(awsconfig.Config{}, "http://all:2", "http://all:2", true)
	want(said, "http://said:1", "http://all:2", true)
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://one:3")
	want(awsconfig.Config{}, "http://one:3", "http://all:2", true)
	want(said, "http://said:1", "http://all:2", true)
}

func TestFIPSAndDualStack(t *testing.T) {
	noAWS(t, "AWS_REGION", "us-east-1")
	o := dynamodb.NewFromConfig(load(t, awsconfig.Config{UseFIPSEndpoint: true, UseDualStackEndpoint: true})).Options()
	if o.EndpointOptions.UseFIPSEndpoint != aws.FIPSEndpointStateEnabled || o.EndpointOptions.UseDualStackEndpoint != aws.DualStackEndpointStateEnabled {
		t.Fatalf("got FIPS %v, dual-stack %v", o.EndpointOptions.UseFIPSEndpoint, o.EndpointOptions.UseDualStackEndpoint)
	}
}

const (
	whoXML     = `<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/u</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`
	assumedXML = `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
)

// securityTokens is as much of STS as these tests ask for, and keeps what was asked.
type securityTokens struct {
	mu    sync.Mutex
	asked []url.Values
	by    []string // Authorization
}

func (s *securityTokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	form, formErr := url.ParseQuery(string(body))
	if err := errors.Join(err, formErr); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.asked, s.by = append(s.asked, form), append(s.by, r.Header.Get("Authorization"))
	s.mu.Unlock()
	switch form.Get("Action") {
	case "GetCallerIdentity":
		fmt.Fprint(w, whoXML)
	case "AssumeRole":
		fmt.Fprint(w, assumedXML)
	default:
		http.Error(w, "no such action", http.StatusBadRequest)
	}
}

func TestAssumeRole(t *testing.T) {
	sts := &securityTokens{}
	server := httptest.NewServer(sts)
	defer server.Close()
	noAWS(t, "AWS_REGION", "eu-west-1", "AWS_ACCESS_KEY_ID", "BASE", "AWS_SECRET_ACCESS_KEY", "x")
	cfg := load(t, awsconfig.Config{
		Endpoints:  map[string]string{"sts": server.URL},
		AssumeRole: &awsconfig.AssumeRole{RoleARN: "arn:aws:iam::123456789012:role/ops", ExternalID: "e-1", Tags: map[string]string{"team": "a"}},
	})
	wantKey(t, cfg, "ASSUMED")
	got := sts.asked[0]
	for name, want := range map[string]string{
		"RoleArn": "arn:aws:iam::123456789012:role/ops", "ExternalId": "e-1", "RoleSessionName": "farmhand", "DurationSeconds": "3600", "Tags.member.1.Key": "team",
	} {
		if got.Get(name) != want {
			t.Errorf("AssumeRole was asked with %s=%q, want %q", name, got.Get(name), want)
		}
	}
	if !strings.Contains(sts.by[0], "Credential=BASE/") {
		t.Errorf("AssumeRole was signed %q, want by the base credentials", sts.by[0])
	}
	who, err := awsconfig.Identify(t.Context(), cfg)
	if err != nil || who.Account != "123456789012" {
		t.Fatalf("got %v and error %v", who, err)
	}
	if !strings.Contains(sts.by[1], "Credential=ASSUMED/") {
		t.Errorf("the next call was signed %q, want by the assumed role", sts.by[1])
	}
}

func TestIdentifyRefused(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<ErrorResponse><Error><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>`)
	}))
	defer server.Close()
	noAWS(t, "AWS_REGION", "eu-west-1", "AWS_ACCESS_KEY_ID", "KEYID", "AWS_SECRET_ACCESS_KEY", "hidden")
	_, err := awsconfig.Identify(t.Context(), load(t, awsconfig.Config{Endpoints: map[string]string{"sts": server.URL}}))
	if err == nil || !strings.Contains(err.Error(), "ExpiredToken") || strings.Contains(err.Error(), "hidden") {
		t.Fatalf("got %v, want what AWS says, and no secret", err)
	}
	os.Unsetenv("AWS_ACCESS_KEY_ID")
	_, err = awsconfig.Identify(t.Context(), load(t, awsconfig.Config{Endpoints: map[string]string{"sts": server.URL}}))
	if err == nil || !strings.Contains(err.Error(), "AWS_PROFILE") {
		t.Fatalf("without credentials: %v, want the way out", err)
	}
}

func TestCustomCA(t *testing.T) {
	server := httptest.NewTLSServer(&securityTokens{})
	defer server.Close()
	server.Config.ErrorLog = nil
	noAWS(t, "AWS_REGION", "eu-west-1", "AWS_ACCESS_KEY_ID", "k", "AWS_SECRET_ACCESS_KEY", "x")
	c := awsconfig.Config{Endpoints: map[string]string{"sts": server.URL}, MaxRetries: 1}
	if _, err := awsconfig.Identify(t.Context(), load(t, c)); err == nil {
		t.Fatal("a certificate that nobody vouches for was taken")
	}
	c.CustomCABundle = write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	if _, err := awsconfig.Identify(t.Context(), load(t, c)); err != nil {
		t.Fatalf("with its certificate as the bundle: %v", err)
	}
	c.CustomCABundle = "/nowhere/ca.pem"
	if _, err := awsconfig.Load(t.Context(), c); err == nil || !strings.Contains(err.Error(), "custom_ca_bundle") {
		t.Fatalf("got %v, want an error that names the attribute", err)
	}
}

func TestNoSecretsInPrint(t *testing.T) {
	c := awsconfig.Config{Region: "eu-west-1", AccessKey: "hidden-1", SecretKey: "hidden-2", Token: "hidden-3"}
	encoded, err := json.Marshal(struct{ C awsconfig.Config }{c})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{c.String(), string(encoded), fmt.Sprintf("%v %+v %#v %s", c, c, c, c), fmt.Sprintf("%v %+v %#v", &c, &c, &c)} {
		if strings.Contains(s, "hidden") {
			t.Errorf("a secret is told: %s", s)
		}
		if !strings.Contains(s, "eu-west-1") {
			t.Errorf("nothing is told: %s", s)
		}
	}
}

func TestBadInput(t *testing.T) {
	noAWS(t, "AWS_REGION", "eu-west-1")
	for want, c := range map[string]awsconfig.Config{
		"access_key":   {AccessKey: "a"},
		"token":        {Token: "t"},
		"retry_mode":   {RetryMode: "often"},
		"max_retries":  {MaxRetries: -1},
		"no service":   {Endpoints: map[string]string{"dynamo": "http://x"}},
		"https://host": {Endpoints: map[string]string{"s3": "localhost:9000"}},
		"password":     {Endpoints: map[string]string{"s3": "http://me:hidden@x"}},
		"role_arn":     {AssumeRole: &awsconfig.AssumeRole{RoleARN: "ops"}},
		"duration":     {AssumeRole: &awsconfig.AssumeRole{RoleARN: "arn:aws:iam::1:role/ops", Duration: 1}},
		"aws:":         {DefaultTags: map[string]string{"aws:x": "y"}},
		"farmhand's":   {DefaultTags: map[string]string{"farmhand:farm": "y"}},
	} {
		_, err := awsconfig.Load(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: got %v, want an error with %q", c, err, want)
		}
	}
}
