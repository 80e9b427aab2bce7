#!/bin/sh
# Builds farmhand-mysql:sid, an image whose database server is MySQL, unless it is there: of Debian's unstable suite, which alone has one.
# Usage: scripts/mysql-image.sh. TestMySQL of internal/e2e runs a farm on it. Takes half a minute, root, and the Docker engine.
# FARMHAND_MIRROR names another mirror than deb.debian.org.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

image=farmhand-mysql:sid
if docker image inspect "$image" >/dev/null 2>&1; then exit 0; fi
have mmdebstrap || die "MySQL's image: mmdebstrap is missing: run  sudo apt-get install mmdebstrap debian-archive-keyring"

work=$(mktemp -d "${TMPDIR:-/var/tmp}/farmhand-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
say "building $image from Debian's unstable packages"
# shellcheck disable=SC2016 # $1 is the hook's
set -- --variant=minbase --skip=chroot/policy-rc.d --include=mysql-server,ca-certificates,curl,iproute2,procps \
	--aptopt='Acquire::Check-Valid-Until "false"' \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
	--essential-hook='printf "#!/bin/sh\nexit 101\n" >"$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"' \
	--customize-hook='copy-in images/finish.sh /tmp' \
	--customize-hook='chroot "$1" sh /tmp/finish.sh' --customize-hook='rm "$1/tmp/finish.sh"'
proxy=$(apt-config dump --format '%v' Acquire::http::Proxy 2>/dev/null || true)
if [ -n "$proxy" ]; then set -- "$@" --aptopt="Acquire::http::Proxy \"$proxy\""; fi
if ! mmdebstrap "$@" sid "$work/root.tar" "deb ${FARMHAND_MIRROR:-http://deb.debian.org/debian} sid main" >"$work/log" 2>&1; then
	tail -n 5 "$work/log" >&2
	die "MySQL's image: mmdebstrap did not build it (above)"
fi
docker import --change 'CMD ["/bin/bash"]' "$work/root.tar" "$image" >/dev/null
