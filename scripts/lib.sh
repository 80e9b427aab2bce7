# Shared by the scripts beside it: what is on this machine and where. Finds, never changes. POSIX sh, to be sourced.
# shellcheck shell=sh

# Terraform's version check asks the internet, and may wait for it long.
export CHECKPOINT_DISABLE=1
export CGO_ENABLED=0

tofu_version=1.12.6
cache_dir=${XDG_CACHE_HOME:-$HOME/.cache}/farmhand
# shellcheck disable=SC2034 # scripts/setup.sh uses it
dynalite_version=4.0.0 # as internal/store/dynamodb/dynalitetest has it
# shellcheck disable=SC2034 # scripts/mysql-root.sh uses it
mysql_root=/var/cache/farmhand/mysql # as internal/dbserver/mysqltest has it: root's own cache is closed to the user that servers run as
cached_tofu=$cache_dir/tofu-$tofu_version/tofu

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
	warn "$*"
	exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# find_cli prints the path of the Terraform or OpenTofu to use, and fails where there is none yet.
find_cli() {
	command -v terraform || command -v tofu || { [ -x "$cached_tofu" ] && say "$cached_tofu"; }
}

# engine_sockets prints where a container engine may answer, in the order in which Farmhand looks.
engine_sockets() {
	case ${DOCKER_HOST:-} in
	unix://*) say "${DOCKER_HOST#unix://}" ;;
	"")
		printf '%s\n' /var/run/docker.sock /run/podman/podman.sock
		[ -z "${XDG_RUNTIME_DIR:-}" ] || printf '%s\n' "$XDG_RUNTIME_DIR/podman/podman.sock" "$XDG_RUNTIME_DIR/docker.sock"
		printf '%s\n' "$HOME/.docker/run/docker.sock" "$HOME/.docker/desktop/docker.sock"
		;;
	esac
}

# find_engine prints the socket of the engine that answers, and fails where none does.
find_engine() {
	case ${DOCKER_HOST:-} in
	tcp://*)
		curl -fsS -m 5 "http://${DOCKER_HOST#tcp://}/_ping" >/dev/null 2>&1 && say "$DOCKER_HOST"
		return
		;;
	esac
	for socket in $(engine_sockets); do
		if [ -S "$socket" ] && curl -fsS -m 5 --unix-socket "$socket" http://engine/_ping >/dev/null 2>&1; then
			say "$socket"
			return 0
		fi
	done
	return 1
}

# engine_kill kills a container as a person would.
engine_kill() {
	if have docker; then docker kill "$1"; else podman kill "$1"; fi
}

# state_dir prints where the sidecar keeps its state, as the provider and the farmhand command find it.
state_dir() {
	say "${FARMHAND_STATE_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/farmhand}"
}

# use_built_provider makes Terraform take the provider out of bin/, with no init and no lock file.
use_built_provider() {
	mkdir -p bin
	cat >bin/terraform.rc <<-RC
		provider_installation {
		  dev_overrides {
		    "farmhand/farmhand" = "$PWD/bin"
		  }
		  direct {}
		}
		disable_checkpoint = true
	RC
	export TF_CLI_CONFIG_FILE="$PWD/bin/terraform.rc"
}
