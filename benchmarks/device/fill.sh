#!/usr/bin/env bash
# Fills benchmarks/device/wheels/, which git ignores, with what a machine without internet may
# lack beside torch, torchvision, timm, numpy, scipy, matplotlib, pillow and pytest.
# Usage, where there is internet: benchmarks/device/fill.sh [PYTHON_VERSION]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$here/wheels"
"${PYTHON:-python3}" -m pip download --quiet --no-deps --only-binary=:all: \
  --python-version "${1:-3.12}" --implementation cp --platform manylinux2014_x86_64 \
  --constraint "$here/../../constraints.txt" --dest "$here/wheels" \
  lightning-fabric lightning-utilities pydantic pydantic_core annotated-types typing-inspection \
  typing_extensions typer click shellingham annotated-doc rich markdown-it-py mdurl Pygments \
  Jinja2 MarkupSafe PyYAML safetensors packaging
mib=$(du -sm "$here/wheels" | cut -f1)
[ "$mib" -lt 64 ] || { echo "fill.sh: expected less than 64 MiB of wheels, got $mib" >&2; exit 1; }
echo "$here/wheels: $(ls "$here/wheels" | wc -l) wheels, $mib MiB"
