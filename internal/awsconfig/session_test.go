package awsconfig_test

import (
	"slices"
	"testing"

	"github.com/farmhand/terraform-provider-farmhand/internal/awsconfig"
)

// TestKeysForAnotherProcess: keys that are said go by the environment, which they do not pollute where none is said; those of a session
// are known as such.
func TestKeysForAnotherProcess(t *testing.T) {
	noAWS(t)
	said := awsconfig.Config{AccessKey: "A", SecretKey: "s"}
	if got, want := said.Environment(), []string{"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=s", "AWS_SESSION_TOKEN="}; !slices.Equal(got, want) {
		t.Errorf("the environment is %q, want %q", got, want)
	}
	if got := (awsconfig.Config{Profile: "p"}).Environment(); got != nil {
		t.Errorf("without keys the environment is %q", got)
	}
	session := awsconfig.Config{AccessKey: "A", SecretKey: "s", Token: "t"}
	if said.OfSession() || !session.OfSession() || (awsconfig.Config{}).OfSession() {
		t.Error("a session is what has a token")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "A")
	t.Setenv("AWS_SESSION_TOKEN", "t")
	if !(awsconfig.Config{}).OfSession() || (awsconfig.Config{Profile: "p"}).OfSession() || said.OfSession() {
		t.Error("of the environment's session are those who say nothing else")
	}
}
