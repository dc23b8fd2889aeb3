#!/usr/bin/env bash
# The whole GPU round, at most nine minutes, or some of its stages.
# Usage: benchmarks/device/run.sh [--rehearse] FOLDER [STAGE ...]
# Every stage has a time limit, a log and a result file of its own, so a round that is cut off
# still counts; stages.jsonl says how each ended. --rehearse goes through all of it on a CPU with
# tiny sizes. Where packages lack and there is no internet, fill.sh has been run beforehand.
set -uo pipefail
rehearse=()
[ "${1:-}" = --rehearse ] && { rehearse=(--rehearse); shift; }
[ $# -ge 1 ] || { echo "usage: benchmarks/device/run.sh [--rehearse] FOLDER [STAGE ...]" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=$1
shift
stages=" tests parity losses steps compile camvid "
for name in "$@"; do
  [[ $stages = *" $name "* ]] || { echo "run.sh: expected stages of$stages, got $name" >&2; exit 2; }
done
wanted=" ${*:-$stages} "
mkdir -p "$folder"
out=$(cd "$folder" && pwd)
python=${PYTHON:-python3}
export OMP_WAIT_POLICY=passive PYTHONPATH="$root/src${PYTHONPATH:+:$PYTHONPATH}"
if [ ${#rehearse[@]} = 0 ] && compgen -G "$here/wheels/*.whl" >/dev/null; then
  packages=$(mktemp -d)
  trap 'rm -rf "$packages"' EXIT
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --target "$packages" \
    "$here"/wheels/*.whl || exit 1
  # For its metadata: the code that runs is that of src.
  "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-build-isolation \
    --target "$packages" "$root" || exit 1
  export PYTHONPATH="$PYTHONPATH:$packages"
fi

stage() { # name, seconds it may take (ten times as many on a CPU), command
  local name=$1 limit=$2 began=$SECONDS
  [[ $wanted = *" $name "* ]] || return
  [ ${#rehearse[@]} = 0 ] || limit=$((10 * limit))
  shift 2
  timeout --kill-after=5 "$limit" "$@" >"$out/$name.log" 2>&1
  local code=$?
  printf '{"stage": "%s", "exit": %d, "seconds": %d, "limit": %d}\n' \
    "$name" "$code" $((SECONDS - began)) "$limit" | tee -a "$out/stages.jsonl"
}

measure() { # name, seconds it may take
  stage "$1" "$2" "$python" "$here/measure.py" "$1" "$out/$1.json" "${rehearse[@]}"
}

how=()
"$python" -c "import xdist" 2>/dev/null && how=(-n 6)
[ ${#rehearse[@]} = 0 ] || how=(--collect-only)
stage tests 80 "$python" -m pytest -m gpu "${how[@]}" -p no:cacheprovider --rootdir "$root" \
  "$root/tests/training" "$root/tests/losses" "$root/tests/models/test_frozen.py"
measure parity 60
measure losses 80
measure steps 140
measure compile 120
measure camvid 60
