#!/bin/sh
# Runs the acceptance suite against AWS, or against whatever $AWS_ENDPOINT_URL (and $AWS_ENDPOINT_URL_<SERVICE>) points to:
# testacc-aws.sh VERSION with executables in bin/linux, or testacc-aws.sh --sweep to remove what a killed suite left.
# What it takes from the environment stands in internal/provider/acceptance_aws_test.go.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
[ -n "$region" ] || die "testacc-aws: which region? Set AWS_REGION"

if [ "${1:-}" = --sweep ]; then
	say "sweep: removing from $region all whose tag farmhand:farm or farmhand:sidecar begins with fhacc-, and tables, buckets and roles farmhand-fhacc-*"
	exec go test ./internal/provider -v -timeout 20m -sweep="$region"
fi

if [ -z "${AWS_ENDPOINT_URL:-}" ]; then
	warn "testacc-aws: this is AWS itself, in $region: up to five small instances, three small disks, a table and a bucket for some ten minutes."
	warn "It costs a few cents if it ends well; if it is killed, make sweep-aws removes what it left."
	if [ "${FARMHAND_ACC_YES:-}" != 1 ]; then
		printf 'Go on? Type yes: ' >&2
		read -r answer || answer=
		[ "$answer" = yes ] || die "testacc-aws: nothing was made. FARMHAND_ACC_YES=1 answers for you"
	fi
fi
TF_ACC=1
TF_ACC_TERRAFORM_PATH=$(find_cli) || die "testacc-aws: no terraform or tofu on the PATH"
FARMHAND_ACC_AWS=1
FARMHAND_ACC_VERSION=$1
FARMHAND_LINUX_AMD64=$PWD/bin/linux/farmhand_linux_amd64
FARMHAND_LINUX_ARM64=$PWD/bin/linux/farmhand_linux_arm64
export TF_ACC TF_ACC_TERRAFORM_PATH FARMHAND_ACC_AWS FARMHAND_ACC_VERSION FARMHAND_LINUX_AMD64 FARMHAND_LINUX_ARM64
exec go test ./internal/provider -v -count=1 -timeout 40m -run '^TestAccAWS$'
