#!/bin/sh
# Builds fmdj-cloud with hashed tools and installs it, without dependencies, into a virtual environment.
#   images/build.sh VENV
set -eu
python=${PYTHON:-python3}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pip() { "$python" -m pip --disable-pip-version-check "$@"; }
"$python" -m venv --without-pip "$work/tools"
pip --python "$work/tools/bin/python" install --quiet --no-cache-dir --no-deps --only-binary :all: --require-hashes \
    -r "$root/images/build.txt"
(cd "$root" && "$work/tools/bin/python" -m hatchling build -t wheel -d "$work/wheel" >/dev/null)
pip --python "$1/bin/python" install --quiet --no-cache-dir --no-deps --no-index "$work"/wheel/*.whl
