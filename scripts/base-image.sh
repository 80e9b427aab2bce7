#!/bin/sh
# Builds the base image of the farm's containers unless it is there, of these packages. Usage: scripts/base-image.sh [NAME:TAG]
#
# From debian:bookworm-slim where a registry has it, else from Debian's packages alone, by mmdebstrap. Both ways
# install images/packages.txt and end with images/finish.sh. To build it anew, remove the old one first.
# FARMHAND_MIRROR names another Debian mirror than mmdebstrap's own choice, FARMHAND_IMAGE_BUILD=build or =mmdebstrap
# takes one way only. Exit status: 0 the image is there, 1 it could not be built, as it says then.
set -eu
cd "$(dirname "$0")/.."

image=${1:-farmhand-lamp:bookworm}
base=debian:bookworm-slim
mirror=${FARMHAND_MIRROR:-}
way=${FARMHAND_IMAGE_BUILD:-any}
pull_patience=15 # seconds: a registry that can be reached says something well within

say() { printf 'base image: %s\n' "$*"; }
die() {
	printf 'base image: %s\n' "$*" >&2
	exit 1
}

engine=
for cli in docker podman; do
	if command -v "$cli" >/dev/null 2>&1 && "$cli" info >/dev/null 2>&1; then
		engine=$cli
		break
	fi
done
if [ -z "$engine" ]; then
	command -v docker >/dev/null 2>&1 || command -v podman >/dev/null 2>&1 ||
		die "neither docker nor podman is installed: run  apt-get install docker.io"
	die "no container engine answers: start it (systemctl start docker), and see that this user may use its socket"
fi

# An image says what it was made of, so that one of other packages is made anew, unless it says that it is a person's own.
label=farmhand.packages=$(cat images/packages.txt images/finish.sh | sha256sum | cut -c 1-16)
old=
# shellcheck disable=SC2016 # a template of the engine's
if made=$("$engine" image inspect --format '{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}' "$image" 2>/dev/null); then
	case " $made" in
	*" $label "* | *\ farmhand.own=*)
		say "$image is here"
		exit 0
		;;
	esac
	old=1
	say "$image is of other packages than this version's; building it anew (label an image of your own farmhand.own=1 to keep it)"
fi

work=$(mktemp -d "${TMPDIR:-/var/tmp}/farmhand-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
log=$work/log

have_base() {
	if "$engine" image inspect "$base" >/dev/null 2>&1; then return 0; fi
	say "asking the registry for $base"
	timeout "$pull_patience" "$engine" pull -q "$base" >"$log" 2>&1
}

build() {
	say "building $image from $base (a minute or two)"
	# What the engine is to reach the mirror by, if anything; taken from the environment by name.
	"$engine" build --build-arg http_proxy --build-arg https_proxy --build-arg no_proxy --label "$label" -t "$image" images >"$log" 2>&1
}

from_packages() {
	if ! command -v mmdebstrap >/dev/null 2>&1; then
		command -v apt-get >/dev/null 2>&1 ||
			die "no registry answers, and without Debian's mmdebstrap it cannot be built here: give this machine access to a registry, or load an image (docker load)"
		[ "$(id -u)" = 0 ] || die "no registry answers, and mmdebstrap is missing: run  sudo apt-get install mmdebstrap debian-archive-keyring"
		say "installing mmdebstrap (apt)"
		apt-get update -q >"$log" 2>&1 || true # one unreachable repository among several is no reason to stop
		DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends mmdebstrap debian-archive-keyring >>"$log" 2>&1 ||
			failed "mmdebstrap could not be installed"
	fi
	say "building $image from Debian's packages${mirror:+ at $mirror} (a minute or two)"
	packages=$(sed 's/#.*//' images/packages.txt | tr -s ' \n' ',,' | sed 's/^,//; s/,$//')
	# mmdebstrap's own policy-rc.d would go with it in the end; this one stays in the image.
	# shellcheck disable=SC2016 # $1 is the hook's
	set -- --variant=minbase --skip=chroot/policy-rc.d --include="$packages" \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
		--essential-hook='printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"' \
		--customize-hook='copy-in images/finish.sh /tmp' \
		--customize-hook='chroot "$1" sh /tmp/finish.sh' --customize-hook='rm "$1/tmp/finish.sh"'
	proxy=$(apt-config dump --format '%v' Acquire::http::Proxy 2>/dev/null || true)
	if [ -n "$proxy" ]; then set -- "$@" --aptopt="Acquire::http::Proxy \"$proxy\""; fi
	# Without a mirror named, mmdebstrap takes Debian's, with its updates and security; with one, all is to come from it.
	set -- "$@" bookworm "$work/root.tar"
	[ -z "$mirror" ] || set -- "$@" "deb $mirror bookworm main"
	mmdebstrap "$@" >"$log" 2>&1 || failed "mmdebstrap did not build it"
	say "importing $image"
	"$engine" import --change 'CMD ["/bin/bash"]' --change "LABEL $label" "$work/root.tar" "$image" >"$log" 2>&1 || failed "the engine did not import it"
}

# failed WHAT shows the end of the log and gives up.
failed() {
	tail -n 5 "$log" >&2
	if [ -n "$old" ]; then
		say "$1 (above); $image stays as it was, and instances install what it lacks as they boot"
		exit 0
	fi
	if grep -q 'No space left on device' "$log"; then die "$1: the disk is full: about 2 GB are needed in ${TMPDIR:-/var/tmp} and in the engine's storage"; fi
	if grep -Eqi 'could not resolve|temporary failure resolving|unable to connect|connection timed out' "$log"; then
		die "$1: ${mirror:-the mirror of Debian} cannot be reached: give this machine access to a Debian mirror, or name one in FARMHAND_MIRROR"
	fi
	die "$1 (above)"
}

if [ "$way" != mmdebstrap ] && have_base; then
	if build; then
		say "$image is ready"
		exit 0
	fi
	[ "$way" = any ] || failed "$engine build did not build it"
	tail -n 3 "$log" >&2
	say "$engine build did not build it (above); trying without"
elif [ "$way" = build ]; then
	failed "no registry answers within $pull_patience s, and $base is not here"
elif [ "$way" = any ]; then
	say "no registry answers"
fi
from_packages
say "$image is ready"
