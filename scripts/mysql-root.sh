#!/bin/sh
# Makes the MySQL that tests run, unless it is there: Debian has it in its unstable suite alone, whose libc is newer than a stable
# machine's, so that it gets a folder of its own with all that it needs. Usage: scripts/mysql-root.sh
#
# Nothing is installed on this machine and nothing in the folder is configured: packages are unpacked, and bin/ has the programs
# as they are started, by the folder's own linker. FARMHAND_MIRROR names another mirror than deb.debian.org. To make it anew,
# remove the folder. Exit status: 0 it is there, 1 it could not be made, as it says then: unstable is broken now and then.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

suite=sid
root=$mysql_root
mirror=${FARMHAND_MIRROR:-http://deb.debian.org/debian}
patience=300 # seconds; it takes 10 from a near mirror

fail() { die "MySQL for tests: $*"; }

if [ -d "$root/data" ]; then exit 0; fi # made last
have mmdebstrap || fail "mmdebstrap is missing: run  sudo apt-get install mmdebstrap debian-archive-keyring"
[ "$(id -u)" = 0 ] || fail "making it takes root: run  sudo scripts/mysql-root.sh"

mkdir -p "$(dirname "$root")"
part=$(mktemp -d "$root.XXXXXX")
trap 'rm -rf "$part"' EXIT
trap 'exit 1' HUP INT TERM
say "set-up: unpacking MySQL for tests from Debian's $suite"
# What the servers of the tests need, and no more: a third of it all. A mirror may lag behind, which is no harm here.
set -- --variant=extract --include=mysql-server-core,mysql-client-core --aptopt='Acquire::Check-Valid-Until "false"'
proxy=$(apt-config dump --format '%v' Acquire::http::Proxy 2>/dev/null || true)
if [ -n "$proxy" ]; then set -- "$@" --aptopt="Acquire::http::Proxy \"$proxy\""; fi
if ! timeout "$patience" mmdebstrap "$@" "$suite" "$part/all" "deb $mirror $suite main" >"$part/log" 2>&1; then
	tail -n 5 "$part/log" >&2
	fail "its packages could not be had (above)"
fi
mkdir -p "$part/root/bin" "$part/root/lib" "$part/root/plugin" "$part/root/share"
cd "$part/all/usr"
cp -L lib/*-linux-gnu/ld-linux*.so.* "$part/root/lib/ld.so"
mv sbin/mysqld "$part/root/lib/mysqld"
mv bin/mysqlbinlog "$part/root/lib/mysqlbinlog"
mv bin/mysql "$part/root/lib/mysql"
# The server loads the component by itself; without it, it would not forget passwords that are changed.
for plugin in semisync_source semisync_replica mysql_clone auth_socket component_reference_cache; do mv "lib/mysql/plugin/$plugin.so" "$part/root/plugin/"; done
mv share/mysql/english share/mysql/charsets "$part/root/share/"
# What they are linked with, found as they will find it.
for program in mysqld mysqlbinlog mysql; do
	"$part/root/lib/ld.so" --library-path "$(echo "$part"/all/usr/lib/*-linux-gnu)" --list "$part/root/lib/$program" >"$part/needs"
	# shellcheck disable=SC2013 # paths without spaces
	for library in $(awk -v dir="$part/all/" 'index($3, dir) == 1 {print $3}' "$part/needs"); do
		[ -e "$part/root/lib/${library##*/}" ] || cp -L "$library" "$part/root/lib/"
	done
	cat >"$part/root/bin/$program" <<-RUN
		#!/bin/sh
		exec $root/lib/ld.so --library-path $root/lib $root/lib/$program "\$@"
	RUN
	chmod 755 "$part/root/bin/$program"
done
# The server looks for its files where Debian's package has them; what comes last on its command line holds.
sed -i "s|\$| --basedir=$root --plugin-dir=$root/plugin --lc-messages-dir=$root/share --character-sets-dir=$root/share/charsets|; 1s|.*|#!/bin/sh|" "$part/root/bin/mysqld"
chmod -R a+rX "$part/root"
cd "$part"
rm -rf "$root"
mv "$part/root" "$root"
if ! said=$("$root/bin/mysqld" --version 2>&1); then
	rm -rf "$root"
	fail "what was unpacked does not run: $said"
fi
# Servers begin with a copy of a fresh data directory: to make one takes two seconds.
if ! "$root/bin/mysqld" --no-defaults --user=root --initialize-insecure --datadir="$root/data.new" --secure-file-priv=NULL --innodb-use-native-aio=OFF \
	--innodb-redo-log-capacity=16M >"$part/log" 2>&1; then
	tail -n 5 "$part/log" >&2
	rm -rf "$root"
	fail "it could not make a data directory (above)"
fi
rm "$root/data.new/auto.cnf" # each server's own name
chmod -R a+rX "$root/data.new"
mv "$root/data.new" "$root/data"
say "set-up: MySQL ${said#*Ver } is in $root"
