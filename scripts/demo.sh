#!/bin/bash
# `make demo`: a LAMP farm on this machine that is loaded, broken, healed and left running.
# Goes on with a farm that a former run left. Ends with 0 if all of it was seen, and says why and where to look if not.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

farm=shop
example=examples/lamp
began=$SECONDS
work=$(mktemp -d)
follower='' loader=''

# Bold for the demo's own steps, where a person looks on.
bold='' plain='' dim=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' plain=$'\e[0m' dim=$'\e[2m'
fi
step() { printf '\n%s==> %s%s %s(%d s)%s\n' "$bold" "$*" "$plain" "$dim" $((SECONDS - began)) "$plain"; }

# stop ends a process that this script started, and waits for it.
stop() {
	[ -n "$1" ] || return 0
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}
finish() {
	local code=$?
	stop "$loader"
	stop "$follower"
	if [ $code -ne 0 ]; then
		[ ! -f "$work/failed" ] || warn "" "demo: failed: $(cat "$work/failed")"
		warn "demo: the sidecar's log is $(state_dir)/sidecar.log; what was applied stays for a look: bin/farmhand status, make demo-destroy"
	fi
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM
fail() {
	say "$*" >"$work/failed"
	exit 1
}

# until_true SECONDS WHAT COMMAND... waits for the command to succeed.
until_true() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@"; do
		[ $SECONDS -lt $deadline ] || fail "not within the time given: $what"
		sleep 0.3
	done
}

terraform_() { "$cli" -chdir="$example" "$@"; }

# web FILTER prints how many web servers a jq filter holds for.
web() { bin/farmhand status "$farm" --json | jq "[.farms[].instances[] | select(.role == \"web\") | select($1)] | length"; }
at_least() { [ "$(web '.phase == "running"')" -ge "$1" ]; }
exactly() { [ "$(web true)" = "$1" ] && [ "$(web '.phase == "running"')" = "$1" ]; }
page_served() { curl -fsS -m 5 "$1" 2>/dev/null | grep -q 'served by'; }

step "Setting this machine up"
scripts/setup.sh || fail "the set-up is not complete: what is missing stands above"
cli=$(find_cli)
make -s build
use_built_provider
keep=$(state_dir)/demo
mkdir -p "$keep"
state=$keep/terraform.tfstate

if [ -f "$keep/platform" ]; then
	platform=$(cat "$keep/platform")
	say "demo: going on with the farm of a former run, on platform $platform"
elif find_engine >/dev/null; then
	platform=docker
else
	platform=simulated
	say "demo: no container engine here, so the same farm runs on the simulated platform: its servers are pretended, what is decided and why is real"
fi
echo "$platform" >"$keep/platform"
echo "platform = \"$platform\"" >"$keep/demo.tfvars"

# The farm's own account of what it does and why, from now on to the end.
follow() {
	local from=$SECONDS child=''
	trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit 0' TERM
	# There is no farm to follow before the apply has declared it.
	while :; do
		bin/farmhand events "$farm" --follow --since "$((SECONDS - from + 1))s" 2>/dev/null &
		child=$!
		wait "$child" || true
		sleep 0.5
	done
}
follow > >(sed -u "s/^/    ${dim}farm${plain} /") &
follower=$!

step "terraform apply: HAProxy, two web servers with PHP, MariaDB, memcached, a policy, a DNS record"
if ! terraform_ apply -state="$state" -var-file="$keep/demo.tfvars" -auto-approve -input=false -compact-warnings -no-color >"$work/apply.log" 2>&1; then
	cat "$work/apply.log"
	fail "terraform apply (above)"
fi
grep -E 'complete after|^Apply complete|No changes' "$work/apply.log"
url=$(terraform_ output -state="$state" -raw url)
nameserver=$(terraform_ output -state="$state" -raw nameserver)

if [ "$platform" = docker ]; then
	until_true 60 "a page at $url" page_served "$url"
	step "First page served at $url, $((SECONDS - began)) s after the start"
	curl -fsS "$url" | grep -o 'served by [a-z0-9-]*'
	start_load() {
		wrk -t2 -c60 -d300s --timeout 10s "${url}work?ms=20" >"$work/wrk.log" 2>&1 &
		loader=$!
	}
	stop_load() {
		stop "$loader"
		loader=''
	}
	kill_server() { engine_kill "$(docker ps -q --filter "label=farmhand.farm=$farm" --filter "label=farmhand.instance=$1")"; }
	how_loaded='60 requests at once to /work, by wrk'
	how_killed='docker kill'
else
	until_true 60 "two web servers" at_least 2
	step "Two web servers serve, $((SECONDS - began)) s after the start"
	start_load() { bin/farmhand simulated load "$farm/web" 60; }
	stop_load() { bin/farmhand simulated load "$farm/web" 0; }
	kill_server() { bin/farmhand simulated kill "$farm" "$1"; }
	how_loaded='a demand of 60, in units of load average'
	how_killed='farmhand simulated kill'
fi

step "Load: $how_loaded. The target is a load average of 1.5 on each server, so the farm grows"
start_load
until_true 120 "a third web server" at_least 3

step "terraform plan straight after the scale-out: the number of servers is no configuration"
code=0
terraform_ plan -state="$state" -var-file="$keep/demo.tfvars" -detailed-exitcode -input=false -compact-warnings -no-color >"$work/plan.log" 2>&1 || code=$?
[ $code -eq 0 ] || { cat "$work/plan.log"; fail "the plan is not empty (exit status $code)"; }
say "terraform plan -detailed-exitcode: 0, nothing to change"

step "$how_killed web-2"
created() { bin/farmhand status "$farm" --json | jq -r '.farms[].instances[] | select(.name == "web-2" and .phase == "running") | .created'; }
before=$(created)
kill_server web-2
healed() {
	local now
	now=$(created)
	[ -n "$now" ] && [ "$now" != "$before" ]
}
until_true 120 "a new web-2" healed
say "a new web-2 serves"

step "The load stops; the farm shrinks to its minimum once the load average has stayed low"
stop_load
until_true 420 "web back at two servers" exactly 2

step "Done: the farm stays up"
stop "$follower"
follower=''
cat <<TEXT
  look at it     $([ "$platform" = docker ] && echo "$url" || echo "(simulated: there is no page)")
  its servers    bin/farmhand status
  its story      bin/farmhand events $farm --follow
  its names      dig @${nameserver%:*} -p ${nameserver##*:} db.$farm.internal +short
  break it       $([ "$platform" = docker ] && echo "docker ps --filter label=farmhand.farm=$farm, then docker kill one" || echo "bin/farmhand simulated kill $farm web-1")
  end it         make demo-destroy
TEXT
