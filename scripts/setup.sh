#!/bin/sh
# Sets this machine up for `make demo` and `make test`: packages, container engine, base image, Terraform or OpenTofu.
# Says one line for each thing it does, nothing for what is there, and exactly what is missing where it cannot go on.
# Exit status: 0 ready (possibly without an engine, as it says then), 1 something that nothing works without is missing.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

root=false
[ "$(id -u)" = 0 ] && root=true
indexed=false
ready=true

# install PACKAGE... installs what apt has of them. Fails, saying what is missing, where it cannot.
install() {
	if ! have apt-get; then
		warn "set-up: missing $*, and there is no apt here: install them with this system's own tool"
		return 1
	fi
	if ! $root; then
		warn "set-up: missing $*: run  sudo apt-get install --no-install-recommends $*"
		return 1
	fi
	log=$(mktemp)
	if ! $indexed; then
		# One unreachable repository among several is no reason to stop: what counts is whether the install works.
		apt-get update -q >"$log" 2>&1 || true
		indexed=true
	fi
	say "set-up: installing $* (apt)"
	if ! DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >>"$log" 2>&1; then
		warn "set-up: apt could not install $*:"
		tail -n 5 "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}

# in_apt tells whether apt knows a package: names differ between Debian's releases.
in_apt() { apt-cache show "$1" >/dev/null 2>&1; }

tools() {
	missing=
	for pair in curl:curl dig:bind9-dnsutils wrk:wrk jq:jq git:git; do
		have "${pair%%:*}" || missing="$missing ${pair#*:}"
	done
	# shellcheck disable=SC2086 # a list of words
	[ -z "$missing" ] || install ca-certificates $missing || ready=false
}

# start_nothing keeps services from starting as they are installed, on a machine without an init system.
start_nothing() {
	if $root && [ ! -e /usr/sbin/policy-rc.d ] && [ ! -d /run/systemd/system ]; then
		printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
		chmod 755 /usr/sbin/policy-rc.d
	fi
}

# Tests of replication run real servers on the loopback network; where apt lacks them, those tests say that they skip.
database_server() {
	have mariadbd && have mariabackup && return
	have apt-get && in_apt mariadb-backup || return 0
	start_nothing
	install mariadb-server mariadb-backup || true
}

# Tests of MySQL run one of a Debian that is none yet: where it cannot be had, today or ever, they say that they skip.
newer_database_server() {
	$root && have apt-get || return 0
	if ! have mmdebstrap && ! install mmdebstrap debian-archive-keyring; then
		warn "set-up: WITHOUT MySQL: its tests say that they are skipped"
		return
	fi
	scripts/mysql-root.sh || warn "set-up: WITHOUT MySQL (above): its tests say that they are skipped"
}

# Tests of the proxy to a database run a real HAProxy.
balancer() {
	have haproxy || [ -x /usr/sbin/haproxy ] && return
	have apt-get && in_apt haproxy || return 0
	start_nothing
	install haproxy || true
}

# Tests of publishing names run a real BIND.
nameserver() {
	have named || [ -x /usr/sbin/named ] && return
	have apt-get && in_apt bind9 || return 0
	start_nothing
	install bind9 || true
}

# Tests of metrics and alerting rules run a real Prometheus, which comes with promtool.
monitoring() {
	have prometheus && have promtool && return
	have apt-get && in_apt prometheus || return 0
	start_nothing
	install prometheus || true
}

go_toolchain() {
	if have go; then return; fi
	if [ -x /usr/local/go/bin/go ]; then
		warn "set-up: Go is in /usr/local/go but not on the PATH: run  export PATH=\$PATH:/usr/local/go/bin"
		ready=false
		return
	fi
	# Debian's Go is older than go.mod asks for; from 1.21 on it fetches the one that is asked for by itself.
	if $root && have apt-get && { apt-get update -q >/dev/null 2>&1 || true; } &&
		apt-cache policy golang-go | grep -Eq 'Candidate: 2:1\.(2[1-9]|[3-9][0-9])'; then
		install golang-go && return
	fi
	warn "set-up: missing Go $(awk '$1 == "go" {print $2}' go.mod) or newer: https://go.dev/dl/"
	ready=false
}

# mount_cgroups does what an init system would have done: the engine needs control groups.
mount_cgroups() {
	grep -q '^[^ ]* /sys/fs/cgroup' /proc/mounts && return
	have cgroupfs-mount || install cgroupfs-mount || return 0
	cgroupfs-mount || true # dockerd says what it misses
}

# start_engine starts an installed dockerd: by systemd where that runs, else on its own, off this terminal.
start_engine() {
	engine_pid=
	if [ -d /run/systemd/system ]; then
		say "set-up: starting Docker's engine (systemctl)"
		systemctl start docker >/dev/null 2>&1 || true
		log="journalctl -u docker"
	else
		log=/var/log/dockerd.log
		mount_cgroups
		say "set-up: starting Docker's engine (dockerd, log $log)"
		mkdir -p "$(dirname "$log")"
		setsid dockerd >"$log" 2>&1 </dev/null &
		engine_pid=$!
	fi
	tries=0
	until find_engine >/dev/null; do
		tries=$((tries + 1))
		# A first start makes its storage, which takes some seconds; one that has ended will not come.
		if [ $tries -ge 60 ] || { [ -n "$engine_pid" ] && ! kill -0 "$engine_pid" 2>/dev/null; }; then
			warn "set-up: Docker's engine did not start; see $log"
			[ -f "$log" ] && grep -iE 'failed|error' "$log" | tail -n 2 | cut -c 1-300 >&2
			return 1
		fi
		sleep 0.5
	done
}

engine() {
	if find_engine >/dev/null; then return; fi
	if [ -n "${DOCKER_HOST:-}" ]; then
		warn "set-up: no container engine answers at DOCKER_HOST=$DOCKER_HOST: start it there, or unset DOCKER_HOST"
		return 1
	fi
	for socket in $(engine_sockets); do
		if [ -S "$socket" ] && [ ! -w "$socket" ]; then
			warn "set-up: $socket is not yours to use: run  sudo usermod -aG docker $(id -un)  and log in again"
			return 1
		fi
	done
	if ! have dockerd; then
		packages="docker.io iptables"
		have apt-cache && in_apt docker-cli && packages="$packages docker-cli"
		# shellcheck disable=SC2086 # a list of words
		install $packages || return 1
	fi
	# A package's own script may have started it.
	find_engine >/dev/null && return
	if ! $root; then
		warn "set-up: Docker's engine does not run: run  sudo systemctl start docker"
		return 1
	fi
	start_engine
}

opentofu() {
	if find_cli >/dev/null; then return; fi
	have go || { ready=false; return; }
	say "set-up: building OpenTofu $tofu_version from its Go module, as there is no terraform or tofu on the PATH (once, some minutes)"
	src=$cache_dir/tofu-$tofu_version/src
	mkdir -p "$src"
	# The two settings and the replacement are those of OpenTofu's own go.mod, which do not carry over to who builds it.
	cat >"$src/go.mod" <<-'MOD'
		module build

		go 1.26.6

		godebug (
			tlsmlkem=0
			winsymlink=0
		)

		replace github.com/hashicorp/hcl/v2 v2.20.1 => github.com/opentofu/hcl/v2 v2.20.2-0.20251021132045-587d123c2828
	MOD
	if ! (
		cd "$src" &&
			go get -tool "github.com/opentofu/opentofu/cmd/tofu@v$tofu_version" >build.log 2>&1 &&
			go build -trimpath -ldflags "-s -w -X github.com/opentofu/opentofu/version.dev=no" -o ../tofu.part \
				github.com/opentofu/opentofu/cmd/tofu >>build.log 2>&1 &&
			mv ../tofu.part ../tofu
	); then
		warn "set-up: OpenTofu did not build (see $src/build.log): install terraform 1.11 or newer, or tofu, on the PATH"
		tail -n 3 "$src/build.log" >&2
		ready=false
	fi
}

# dynalite installs the DynamoDB of the tests, an npm package, where the tests look for it. Without it they are skipped.
dynalite() {
	dir=$cache_dir/dynalite-$dynalite_version
	[ -e "$dir/.installed" ] && return
	missing=
	have node || missing="$missing nodejs"
	have npm || missing="$missing npm"
	# shellcheck disable=SC2086 # a list of words
	if [ -n "$missing" ] && ! install $missing; then
		warn "set-up: no node and npm here: tests against DynamoDB say that they are skipped"
		return
	fi
	say "set-up: installing dynalite $dynalite_version (npm)"
	mkdir -p "$dir"
	if ! npm install --no-audit --no-fund --prefix "$dir" "dynalite@$dynalite_version" >"$dir/npm.log" 2>&1; then
		warn "set-up: npm could not install dynalite (see $dir/npm.log): tests against DynamoDB say that they are skipped"
		return
	fi
	: >"$dir/.installed"
}

tools
go_toolchain
dynalite
database_server
newer_database_server
nameserver
balancer
monitoring
if engine; then
	# Without the base image a farm names one of its own, so that its absence is no end.
	scripts/base-image.sh || warn "set-up: the base image could not be built (above); roles need an image of their own"
else
	warn "set-up: no container engine here: the demo runs on the simulated platform, and tests that need one say that they are skipped"
fi
opentofu
$ready
