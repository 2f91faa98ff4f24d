#!/bin/sh
# Installs what an image runs into a virtual environment; the Dockerfiles and their tests call it alike.
#   images/install.sh controller VENV
#   images/install.sh worker VENV cpu|cuda
# PIP_INDEX_URL names another package index, TORCH_INDEX_URL that of torch's CPU build.
set -eu
image=$1 venv=$2 variant=${3:-cpu}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

python=${PYTHON:-python3}
# pip stays outside: nothing is installed later
"$python" -m venv --without-pip "$venv"
locked() {
    "$python" -m pip --python "$venv/bin/python" --disable-pip-version-check \
        install --quiet --no-cache-dir --no-deps --only-binary :all: "$@"
}
case $image in
controller)
    locked --require-hashes -r "$here/controller/requirements.txt"
    ;;
worker)
    # torch first: half of the image, and the part that changes least
    case $variant in
    # The CPU build has one hash per index that offers it, so the version alone is pinned
    cpu) locked ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} -r "$here/worker/torch-cpu.txt" ;;
    cuda) locked --require-hashes -r "$here/worker/torch-cuda.txt" ;;
    *)
        echo "variant=$variant is not known: choose cpu or cuda." >&2
        exit 2
        ;;
    esac
    locked --require-hashes -r "$here/worker/requirements.txt"
    ;;
*)
    echo "There is no image $image: choose controller or worker." >&2
    exit 2
    ;;
esac
# A fifth of the controller's image would be the tests of its libraries
find "$venv" -type d -name tests -path '*/site-packages/*' -prune -exec rm -rf {} +
