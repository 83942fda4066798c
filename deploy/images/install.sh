#!/bin/sh
# install.sh ENVIRONMENT NAME…: installs packages by their pins and hashes, with the pip of /opt/pip, and leaves the pins and the bill of
# materials of the environment in its share/agentvoicebox.
set -eu
environment=$1
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
share="$environment/share/agentvoicebox"
mkdir -p "$share"
python3 "$root/deploy/images/pins.py" "$@" > "$share/pins.txt"
/opt/pip/bin/python -m pip --python "$environment/bin/python" --disable-pip-version-check --no-input install \
  -q --no-cache-dir --no-deps --require-hashes -r "$share/pins.txt"
case " $* " in
  *" base "*) cd "$root" && PYTHONPATH="$root:$root/src" "$environment/bin/python" -B -m tests.kit.sbom --pins "$share/pins.txt" > "$share/sbom.cdx.json" ;;
esac
