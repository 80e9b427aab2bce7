package aws

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
	"github.com/farmhand/terraform-provider-farmhand/internal/spec"
)

// userDataLimit is EC2's for user data before it is encoded
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html).
const userDataLimit = 16 << 10

//go:embed userdata.sh
var userDataScript string

// starting is what the script is told. It is the same for all machines of a farm, and anybody may read it.
type starting struct {
	Farm   string            `json:"farm"`
	Store  string            `json:"store"`
	Region string            `json:"region"`
	Bucket string            `json:"bucket"`
	URL    string            `json:"url"`   // of the bucket
	Agent  map[string]string `json:"agent"` // SHA-256 of the executable (hex), by architecture
	Key    map[string]string `json:"key"`   // of the object, by architecture

	Root    string `json:"root"`    // where files are put; "" but in tests
	Systemd string `json:"systemd"` // exists where systemd runs (sd_booted(3))
}

// UserData is the script that a machine runs when it first boots: it fetches the agent's executable from the store's bucket with
// its instance profile, checks its hash and starts it as a service. It holds no secret.
// ErrInvalid where the farm does not say where its store is.
func UserData(farm spec.Farm) ([]byte, error) {
	return userData(farm, "", "/run/systemd/system")
}

func userData(farm spec.Farm, root, systemd string) ([]byte, error) {
	s := starting{Farm: farm.Name, Store: farm.AWS.Store, Region: farm.AWS.Region, Agent: map[string]string{}, Key: map[string]string{}, Root: root, Systemd: systemd}
	at, err := url.Parse(farm.AWS.Store)
	if err != nil || at.Query().Get("bucket") == "" {
		return nil, fmt.Errorf("farm %s does not say where its store is (%q): machines could not find it: %w", farm.Name, farm.AWS.Store, platform.ErrInvalid)
	}
	if r := at.Query().Get("region"); r != "" {
		s.Region = r
	}
	s.Bucket = at.Query().Get("bucket")
	s.URL = bucketURL(s.Region, s.Bucket, firstOf(at.Query().Get("s3_endpoint"), at.Query().Get("endpoint")))
	for arch, blob := range farm.AWS.Agent {
		s.Agent[arch] = strings.TrimPrefix(blob, "sha256-")
		s.Key[arch] = "blobs/" + blob
	}
	b, err := json.Marshal(s) // no quote of the shell's is in JSON but ', which is written as \u0027
	if err != nil {
		return nil, err
	}
	script := strings.Replace(userDataScript, "@STARTING@", strings.ReplaceAll(string(b), "'", `\u0027`), 1)
	if len(script) > userDataLimit {
		return nil, fmt.Errorf("user data of farm %s has %d bytes, and EC2 takes %d: %w", farm.Name, len(script), userDataLimit, platform.ErrInvalid)
	}
	return []byte(script), nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// bucketURL is where a bucket is: by its own name at AWS, by path at another endpoint.
func bucketURL(region, bucket, endpoint string) string {
	if endpoint != "" {
		return strings.TrimSuffix(endpoint, "/") + "/" + bucket
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	if strings.Contains(bucket, ".") { // its name is no host name of the certificate's
		return "https://s3." + region + "." + domain + "/" + bucket
	}
	return "https://" + bucket + ".s3." + region + "." + domain
}
