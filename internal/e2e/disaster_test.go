package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/awstest"
	"github.com/farmhand/terraform-provider-farmhand/internal/backup"
	"github.com/farmhand/terraform-provider-farmhand/internal/daemon"
	"github.com/farmhand/terraform-provider-farmhand/internal/state"
)

// oneDatabase is databaseHCL with one server, whose binary logs are stored often.
func oneDatabase(place string, key backup.Key) string {
	hcl := fmt.Sprintf(databaseHCL, place, key.Secret())
	for from, to := range map[string]string{
		"min      = 3": "min      = 1", "max      = 3": "max      = 1",
		`backup   = { to = "file://`: `backup   = { log_every = "5s", to = "`,
	} {
		hcl = strings.ReplaceAll(hcl, from, to)
	}
	return hcl
}

// standInS3 is a stand-in for S3 with a bucket, and the environment that leads there.
func standInS3(t *testing.T, bucket string) (to string, env []string) {
	t.Helper()
	srv := awstest.New(awstest.Options{})
	t.Cleanup(srv.Close)
	client := s3.NewFromConfig(srv.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "eu-west-1"}})
	must(t, err)
	return "s3://" + bucket, []string{"AWS_ENDPOINT_URL=" + srv.URL, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=a-secret",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true"}
}

// TestDisaster: a farm, its sidecar and its store are gone, and what lies in its backups' place is all there is. Another farm, of another
// name and with a key of its own, takes it up: the walk of docs/guides/backups.md.
func TestDisaster(t *testing.T) {
	w := enter(t)
	t.Parallel()
	bucket, env := standInS3(t, "left")
	place, own := bucket+"/farmhand", bucket+"/new"
	theirs, err := backup.NewKey()
	must(t, err)
	dir := stateDir(t)
	old := w.farm(t, "e2eold", w.subnet(t), dir)
	old.Env = env
	must(t, old.UseHCL(oneDatabase(place, theirs)))
	_, err = old.Apply(t.Context())
	must(t, err)
	w.tellOnFailure(t, old, old.Name+"/mysql")
	run := func(farmhand func(context.Context, ...string) (string, error), args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		out, err := farmhand(ctx, args...)
		must(t, err)
		return out
	}
	ask := func(farm, query string) string {
		t.Helper()
		ids, err := w.engine.Running(t.Context(), farm)
		must(t, err)
		out, err := w.engine.Exec(t.Context(), ids["mysql-1"], "mariadb", "--database=app", "-N", "-e", query)
		must(t, err)
		return strings.TrimSpace(out)
	}
	ask(old.Name, "CREATE TABLE app.orders (id INT PRIMARY KEY); INSERT INTO app.orders SELECT seq FROM seq_1_to_100")
	run(old.Farmhand, "backup", old.Name+"/mysql", "--wait")
	ask(old.Name, "INSERT INTO app.orders SELECT seq FROM seq_101_to_150")
	last := ask(old.Name, "SELECT @@gtid_binlog_pos")
	eventually(t, "the last order stored", func(ctx context.Context) (bool, string) {
		out, err := old.Farmhand(ctx, "backups", old.Name+"/mysql", "--json")
		var l struct{ Spans []backup.Span }
		if err == nil {
			err = json.Unmarshal([]byte(out), &l)
		}
		return err == nil && len(l.Spans) == 1 && l.Spans[0].Position == last, fmt.Sprintf("%v %v", l.Spans, err)
	})

	must(t, daemon.Stop(t.Context(), dir))
	must(t, w.engine.Clear(t.Context(), old.Name))
	must(t, os.RemoveAll(dir))

	ours, err := backup.NewKey()
	must(t, err)
	f := w.farm(t, "e2enew", w.subnet(t), stateDir(t))
	f.Env = env
	must(t, f.UseHCL(oneDatabase(own, ours)))
	_, err = f.Apply(t.Context())
	must(t, err)
	w.tellOnFailure(t, f, f.Name+"/mysql")
	rec, err := f.Open(t.Context())
	must(t, err)
	defer rec.Close()
	keyFile := filepath.Join(t.TempDir(), "key.txt")
	must(t, os.WriteFile(keyFile, []byte(theirs.Secret()+"\n"), 0o600))
	from := old.Name + "/mysql"
	if out := run(f.Farmhand, "backups", "--to", place); !strings.Contains(out, from) {
		t.Errorf("the place does not tell of %s:\n%s", from, out)
	}
	if out := run(f.Farmhand, "backups", "--to", place, from); !strings.Contains(out, last) {
		t.Errorf("what is left does not reach %s:\n%s", last, out)
	}
	began := time.Now()
	out := run(f.Farmhand, "restore", f.Name+"/mysql", "--from", from, "--from-to", place, "--from-key-file", keyFile, "--to", "latest", "--wait")
	t.Logf("restored in %s: %s", time.Since(began).Round(time.Millisecond), strings.TrimSpace(out))
	if got := ask(f.Name, "SELECT COUNT(*), MAX(id) FROM app.orders"); strings.Join(strings.Fields(got), " ") != "150 150" {
		t.Errorf("orders: %s", got)
	}
	secret, err := rec.Secret(t.Context(), f.Name, "mysql")
	must(t, err)
	if secret[state.RestoreKey] != "" || secret[state.BackupKey] != ours.Secret() {
		t.Error("the key of what was restored stays with the role, or took its own one's place")
	}
	// The role's own accounts, and a backup of its own.
	ids, err := w.engine.Running(t.Context(), f.Name)
	must(t, err)
	eventually(t, "its own password", func(ctx context.Context) (bool, string) {
		out, err := w.engine.Exec(ctx, ids["mysql-1"], "mariadb", "--host=127.0.0.1", "--user=app", "--password="+secret["db_password"], "-N", "-e", "SELECT COUNT(*) FROM app.orders")
		return err == nil && strings.TrimSpace(out) == "150", fmt.Sprintf("%s %v", out, err)
	})
	eventually(t, "a backup of what was restored", func(ctx context.Context) (bool, string) {
		out, err := f.Farmhand(ctx, "backups", f.Name+"/mysql")
		return err == nil && strings.Contains(out, "mysql-1"), fmt.Sprintf("%s %v", out, err)
	})
	w.destroy(t, f)
}
