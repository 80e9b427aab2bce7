package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// services are IAM's names of the SDK's packages.
var services = map[string]string{
	"ec2": "ec2", "elasticloadbalancingv2": "elasticloadbalancing", "dynamodb": "dynamodb", "s3": "s3", "iam": "iam", "autoscaling": "autoscaling",
	"sts": "sts", "route53": "route53", "cloudwatch": "cloudwatch", "sqs": "sqs", "cloudwatchlogs": "logs",
}

// named are calls whose right has another name. https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html and
// .../list_amazondynamodb.html
var named = map[string]string{
	"s3:HeadObject": "s3:GetObject", "s3:HeadBucket": "s3:ListBucket", "s3:ListObjectsV2": "s3:ListBucket", "s3:ListObjectVersions": "s3:ListBucketVersions", "s3:DeleteObjects": "s3:DeleteObject",
	"s3:UploadObject": "s3:PutObject", "s3:CreateMultipartUpload": "s3:PutObject", "s3:UploadPart": "s3:PutObject", "s3:CompleteMultipartUpload": "s3:PutObject",
	"s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock", "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration", "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
	"dynamodb:TransactWriteItems": "dynamodb:PutItem", // each of its parts needs its own, Put, Update, Delete and ConditionCheck
}

// called are the rights that the source code of folders needs: every request that it makes is an Input of the SDK's.
func called(t *testing.T, folders ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, folder := range folders {
		root := filepath.Join("../..", folder)
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			imports := map[string]string{}
			for _, i := range file.Imports {
				from, _ := strconv.Unquote(i.Path.Value)
				service, ok := strings.CutPrefix(from, "github.com/aws/aws-sdk-go-v2/service/")
				if iam := services[service]; ok && iam != "" {
					name := service
					if i.Name != nil {
						name = i.Name.Name
					}
					imports[name] = iam
				}
			}
			ast.Inspect(file, func(n ast.Node) bool {
				literal, ok := n.(*ast.CompositeLit)
				if !ok {
					return true
				}
				if s, ok := literal.Type.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && imports[x.Name] != "" {
						if call, ok := strings.CutSuffix(s.Sel.Name, "Input"); ok {
							action := imports[x.Name] + ":" + call
							if other := named[action]; other != "" {
								action = other
							}
							found[action] = path
						}
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// What the code asks of AWS, its policies allow: a store that was opened with exactly these rights failed once.
func TestEveryCallIsAllowed(t *testing.T) {
	s := Scope{Region: "eu-central-1", Account: "123456789012", Table: "farmhand", Bucket: "b", Farms: []string{"shop"}, Backups: []string{"backups/shop"}, LogGroup: "farmhand"}
	provider, sidecar, instance := Provider(s), Sidecar(s), Instance(s)
	all := map[string]string{}
	for _, c := range []struct {
		who     string
		may     Document
		folders []string
	}{
		{"sidecar", sidecar, []string{"platform/aws", "metric/source", "dns/route53", "backup/s3target", "cloudlog"}},
		{"provider", provider, []string{"platform/aws", "deploy", "dns/route53", "store/dynamodb", "store/s3blobs", "provider"}},
	} {
		calls := called(t, c.folders...)
		maps.Copy(all, calls)
		for _, action := range slices.Sorted(maps.Keys(calls)) {
			if !c.may.Allows(action) && !(c.who == "sidecar" && setUpOnly[action]) {
				t.Errorf("%s calls %s, and the %s's policy does not allow it", calls[action], action, c.who)
			}
		}
	}
	if len(all) < 60 {
		t.Errorf("only %d calls were found in the source code: this test looks in the wrong places", len(all))
	}
	for _, action := range []string{"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"} {
		if !sidecar.Allows(action) || !instance.Allows(action) {
			t.Errorf("the store is read by %s: sidecar and instances need it", action)
		}
	}
	for _, d := range []Document{provider, sidecar, instance} {
		for _, st := range d.Statement {
			for _, action := range st.Action {
				if all[action] == "" && !otherwise[action] {
					t.Errorf("%s: %s is allowed, and nothing calls it", st.Sid, action)
				}
			}
		}
	}
}

// setUpOnly are calls of platform/aws and its neighbours that only the provider makes, in a plan.
var setUpOnly = map[string]bool{"iam:GetInstanceProfile": true, "sts:GetCallerIdentity": true}

// otherwise are rights that are needed though no such request is made.
var otherwise = map[string]bool{
	"iam:PassRole": true,
	// AWS makes its own roles on the caller's behalf.
	"iam:CreateServiceLinkedRole": true,
	// Parts of a transaction.
	"dynamodb:ConditionCheckItem": true, "dynamodb:DeleteItem": true,
	// Of an upload that is given up.
	"s3:AbortMultipartUpload": true,
	"kms:CreateGrant":         true, "kms:Decrypt": true, "kms:DescribeKey": true, "kms:GenerateDataKeyWithoutPlaintext": true, "kms:ReEncryptFrom": true, "kms:ReEncryptTo": true,
	// Tags in the call that makes a thing.
	"iam:TagInstanceProfile": true, "iam:TagRole": true, "dynamodb:TagResource": true, "s3:PutBucketTagging": true,
}
