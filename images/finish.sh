#!/bin/sh
# Runs inside the base image once its packages are installed, whichever way it is built.
set -eu

# Maintainer scripts start nothing: the agent does, configured. Debian's own container images have this file, too.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d

# Nor would an init system, should somebody boot the image under one.
for service in apache2 apache-htcacheclean haproxy mariadb memcached rsync; do
	if [ -e "/etc/init.d/$service" ]; then update-rc.d "$service" disable >/dev/null; fi
done

# The database that the package made (100 MB of it log): the behavior makes one on the index's volume.
find /var/lib/mysql -mindepth 1 -delete

# Every instance would share these.
rm -f /etc/machine-id /var/lib/dbus/machine-id
: >/etc/machine-id
find /etc/ssl/private -name 'ssl-cert-snakeoil.key' -delete

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/apt/* /var/log/dpkg.log /var/log/alternatives.log
mkdir -p /var/lib/apt/lists/partial
