#!/bin/sh
# Installs the MariaDB server that the tests start for themselves, if it is missing and this user may.
set -eu
PATH="$PATH:/usr/sbin:/usr/local/sbin"
is_complete() {
    # mariadb-install-db asks my_print_defaults, which Debian keeps in another package
    for program in mariadbd mariadb-install-db my_print_defaults; do
        command -v "$program" >/dev/null || return 1
    done
}
if is_complete; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq && apt-get install -y -qq --no-install-recommends mariadb-server-core mariadb-client-core >/dev/null; then
        exit 0
    fi
fi
echo "MariaDB can't be installed here, so its tests are skipped: as root, run apt-get install mariadb-server-core mariadb-client-core." >&2
