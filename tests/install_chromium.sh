#!/bin/sh
# Installs the browser that the tests of the status page drive, if it is missing and this user may.
set -eu
if command -v chromium >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    # A headless browser needs a font, and nothing else of what it recommends
    if apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; then
        exit 0
    fi
fi
echo "Chromium can't be installed here, so the tests of the status page in a browser are skipped: as root, run apt-get install chromium fonts-dejavu-core." >&2
