#!/bin/sh
# Runs the tests: `unit` needs neither engine nor CLI, `all` sets the machine up and runs everything, `long` gives the
# randomised tests more rounds. Prints go test's own lines, and at the end which tests were skipped and why.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh
what=${1:-all}

# gotestsum runs go test and adds what go test keeps to itself: the skipped tests with their reasons.
# Arguments before -- are its own, those after go test's.
run_tests() {
	go tool -modfile=tools/go.mod gotestsum --format-hide-empty-pkg --format "$@"
}
packages() { go list ./... | grep -v /internal/e2e; }

if [ "$what" = unit ]; then
	# An address where nothing answers: tests that need an engine skip, also where there is one.
	DOCKER_HOST=unix:///nonexistent/docker.sock
	export DOCKER_HOST
	unset TF_ACC
	# shellcheck disable=SC2046 # a list of packages
	run_tests standard-quiet --hide-summary=skipped -- -count=1 $(packages) ||
		exit 1
	say "test: those that need an engine or a CLI were skipped: make test runs them"
	exit
fi

scripts/setup.sh
failed=

say "test: unit tests and the contract suites, with the acceptance tests on $(find_cli)"
TF_ACC=1
TF_ACC_TERRAFORM_PATH=$(find_cli)
export TF_ACC TF_ACC_TERRAFORM_PATH
case $TF_ACC_TERRAFORM_PATH in
*tofu) export TF_ACC_PROVIDER_HOST=registry.opentofu.org ;;
esac
[ "$what" = long ] && export FARMHAND_TEST_LONG=1
go vet ./... || failed="$failed vet"
# shellcheck disable=SC2046 # a list of packages
run_tests standard-quiet -- -count=1 -timeout 15m $(packages) || failed="$failed unit"

say "test: end to end, examples/lamp on containers"
FARMHAND_E2E=1
FARMHAND_E2E_CLI=$TF_ACC_TERRAFORM_PATH
export FARMHAND_E2E FARMHAND_E2E_CLI
run_tests standard-verbose -- -count=1 -timeout 15m ./internal/e2e || failed="$failed end-to-end"

[ -z "$failed" ] || die "test: failed:$failed"
say "test: all passed, except the skipped ones listed above, if any"
