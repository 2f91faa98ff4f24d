#!/bin/sh
# Installs the MariaDB server that the tests start for themselves, if it is missing and this user may.
set -eu
PATH="$PATH:/usr/sbin:/usr/local/sbin"
if command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq && apt-get install -y -qq --no-install-recommends mariadb-server-core mariadb-client-core >/dev/null; then
        exit 0
    fi
fi
echo "MariaDB can't be installed here, so its tests are skipped: as root, run apt-get install mariadb-server-core mariadb-client-core." >&2
