package provider

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	store "github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb"
	"github.com/farmhand/terraform-provider-farmhand/internal/store/dynamodb/dynalitetest"
)

// bucketServer is as much of S3, in path style, as one bucket of releases needs.
type bucketServer struct {
	mu      sync.Mutex
	buckets map[string]map[string][]byte // objects by bucket and key
	tagging map[string][]byte
}

func (b *bucketServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := r.URL.Query()
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	objects, ok := b.buckets[bucket]
	if !ok && (key != "" || r.Method != http.MethodPut) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	content, there := objects[key]
	switch {
	case key == "" && r.Method == http.MethodPut && !ok:
		b.buckets[bucket] = map[string][]byte{}
	case key == "" && r.Method == http.MethodPut:
		if q.Has("tagging") {
			b.tagging[bucket] = body
		}
	case key == "" && r.Method == http.MethodGet && q.Has("tagging"):
		_, _ = w.Write(b.tagging[bucket])
	case key == "" && r.Method == http.MethodGet && q.Has("list-type"):
		fmt.Fprint(w, "<ListBucketResult>")
		n := 0
		for k := range objects {
			if strings.HasPrefix(k, q.Get("prefix")) {
				fmt.Fprintf(w, "<Contents><Key>%s</Key></Contents>", k)
				n++
			}
		}
		fmt.Fprintf(w, "<KeyCount>%d</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>", n)
	case key == "" && r.Method == http.MethodPost && q.Has("delete"):
		var d struct {
			Object []struct{ Key string }
		}
		_ = xml.Unmarshal(body, &d)
		for _, o := range d.Object {
			delete(objects, o.Key)
		}
		fmt.Fprint(w, "<DeleteResult></DeleteResult>")
	case key == "" && r.Method == http.MethodDelete:
		if len(objects) > 0 {
			w.WriteHeader(http.StatusConflict)
			return
		}
		delete(b.buckets, bucket)
		w.WriteHeader(http.StatusNoContent)
	case key == "": // looked at
	case r.Method == http.MethodPut:
		objects[key] = body
	case r.Method == http.MethodDelete:
		delete(objects, key)
		w.WriteHeader(http.StatusNoContent)
	case !there:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(content)
		}
	}
}

// remoteWorld is a world whose store is in DynamoDB.
type remoteWorld struct {
	*world
	table   *dynalitetest.Server
	buckets *bucketServer
	block   string
}

func newRemoteWorld(t *testing.T) *remoteWorld {
	t.Helper()
	w := &remoteWorld{world: newWorld(t), table: dynalitetest.Start(t), buckets: &bucketServer{buckets: map[string]map[string][]byte{}, tagging: map[string][]byte{}}}
	s3 := httptest.NewServer(w.buckets)
	t.Cleanup(s3.Close)
	credentials := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(credentials, []byte("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = a-secret-that-is-nowhere\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.block = fmt.Sprintf(`
provider "farmhand" {
  state_dir                = %q
  region                   = "eu-west-1"
  shared_credentials_files = [%q]
  shared_config_files      = [%q]
  store                    = { table = "farmhand", bucket = "my-bucket" }
  default_tags {
    tags = { team = "web" }
  }
  endpoints {
    dynamodb = %q
    s3       = %q
  }
}
`, w.dir, credentials, os.DevNull, w.table.URL, s3.URL)
	return w
}

// tagTable gives the table the tag that CreateTable asked for: dynalite drops the tags of that call, and a table without
// farmhand's is never removed.
func (w *remoteWorld) tagTable() {
	client := dynamodb.NewFromConfig(w.table.Config(w.t))
	table, err := client.DescribeTable(w.t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("farmhand")})
	if err == nil {
		_, err = client.TagResource(w.t.Context(), &dynamodb.TagResourceInput{ResourceArn: table.Table.TableArn,
			Tags: []types.Tag{{Key: aws.String(store.TagStore), Value: aws.String("farmhand")}}})
	}
	w.must(err)
}

func (w *remoteWorld) run(steps ...resource.TestStep) {
	w.t.Helper()
	for i := range steps {
		steps[i].ProtoV6ProviderFactories = providers(testVersion)
		steps[i].Config = w.block + steps[i].Config
	}
	resource.Test(w.t, resource.TestCase{Steps: steps, CheckDestroy: func(*terraform.State) error {
		w.buckets.mu.Lock()
		defer w.buckets.mu.Unlock()
		if len(w.buckets.buckets) > 0 {
			return fmt.Errorf("destroy left buckets: %v", w.buckets.buckets)
		}
		if _, err := os.Stat(w.dir); !os.IsNotExist(err) {
			entries, _ := os.ReadDir(w.dir)
			return fmt.Errorf("destroy left the state directory behind, and in it %v", entries)
		}
		return nil
	}})
}

// The same farm as ever, its store in DynamoDB: the local sidecar finds it there, and the last destroy removes it.
func TestAStoreInDynamoDB(t *testing.T) {
	w := newRemoteWorld(t)
	w.run(
		resource.TestStep{Config: webHCL, ConfigPlanChecks: planned("farmhand_role.web", plancheck.ResourceActionCreate)},
		resource.TestStep{Config: webHCL, ConfigPlanChecks: nothingPlanned},
		resource.TestStep{ // killed: the plan shows it, the apply starts another with the same store
			PreConfig: w.kill,
			Config:    webHCL, ConfigPlanChecks: planned("farmhand_sidecar.here", plancheck.ResourceActionUpdate),
		},
		resource.TestStep{
			PreConfig: func() {
				if made := w.table.Calls("CreateTable"); len(made) != 1 {
					t.Errorf("the table was made %d times", len(made))
				}
				if _, err := os.Stat(filepath.Join(w.dir, "farmhand.db")); err == nil {
					t.Error("there is a store in a file beside the one in DynamoDB")
				}
			},
			Config: webHCL, ConfigPlanChecks: nothingPlanned,
		},
		resource.TestStep{PreConfig: w.tagTable, Config: webHCL, ConfigPlanChecks: nothingPlanned},
	)
	if gone := w.table.Calls("DeleteTable"); len(gone) != 1 {
		t.Errorf("the table was removed %d times", len(gone))
	}
}

// A farm on EC2 needs a store that instances reach, and says so before anything is made.
func TestAFarmOnEC2NeedsARemoteStore(t *testing.T) {
	const onEC2 = `
resource "farmhand_farm" "shop" {
  name    = "shop"
  sidecar = farmhand_sidecar.here.id
  zone    = "shop.internal"
  aws = {
    region         = "eu-west-1"
    subnet_ids     = [%s]
    ami            = "ami-0123456789abcdef0"
    instance_types = ["t3.small"]
  }
}
`
	newWorld(t).run(
		resource.TestStep{Config: sidecarHCL + fmt.Sprintf(onEC2, `"subnet-0123456789abcdef0"`), PlanOnly: true, ExpectError: says("aws:", "cannot reach a store that is a file")},
		resource.TestStep{Config: sidecarHCL + fmt.Sprintf(onEC2, ``), PlanOnly: true, ExpectError: says("subnet_ids")},
	)
}
