#!/usr/bin/env bash
# A run and a study over two machines, as two network namespaces of this one that a cable joins.
#
#   sudo -E PYTHON=.venv/bin/python benchmarks/namespaces.sh > benchmarks/results/namespaces.log
#
# Needs root and iproute2. torchrun meets at an address of the first, and Ray's second node joins
# the first; both end as one process and the local engine do.
set -euo pipefail
python=$(realpath -s "${PYTHON:-python3}")
root=$(realpath "$(dirname "$0")/..")
export PYTHONPATH=$root/src:$root/benchmarks OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
export RAY_USAGE_STATS_ENABLED=0 RAY_DISABLE_IMPORT_WARNING=1 GLOO_SOCKET_IFNAME=cable
place=$(mktemp -d)
export HOME=$place RAY_TMPDIR=$place/ray
one=one$$ two=two$$
nodes=()
finish() {
  for node in "${nodes[@]}"; do kill "$node" 2>/dev/null || true; done
  # What Ray left in the background, too.
  for space in "$one" "$two"; do ip netns pids "$space" 2>/dev/null | xargs -r kill 2>/dev/null || true; done
  wait "${nodes[@]}" 2>/dev/null || true
  ip netns del "$one" 2>/dev/null || true
  ip netns del "$two" 2>/dev/null || true
  rm -rf "$place"
}
trap finish EXIT
cd "$place"

say() { echo "$(date -u +%H:%M:%S)  $*"; }
tidy() { sed -u -e "s#$place/##g" -e "s#$root/##g" -e "s#$(dirname "$python")/##g"; }
in_one() { ip netns exec "$one" "$@"; }
in_two() { ip netns exec "$two" "$@"; }

ip netns add "$one"
ip netns add "$two"
ip link add cable netns "$one" type veth peer name cable netns "$two"
in_one ip addr add 10.77.0.1/24 dev cable
in_two ip addr add 10.77.0.2/24 dev cable
for space in "$one" "$two"; do
  ip netns exec "$space" ip link set lo up
  ip netns exec "$space" ip link set cable up
done
say "commit $(git -C "$root" rev-parse --short HEAD); namespaces 10.77.0.1 and 10.77.0.2"
in_one ip route | tidy

cat > run.yaml <<'YAML'
data: {dataset: scenes, size: [32, 48], train_images: 24, val_images: 5, batch_size: 4, crop: [24, 32]}
teacher: {network: "import:bench_parity:teacher", taps: {head: head}, shard: true}
student: {network: "import:bench_parity:student", taps: {head: head}}
distill: [{loss: correlation}, {loss: pairwise_similarity}]
training: {steps: 20, lr: 0.01, log_every: 1, device: cpu}
evaluation: {pictures: 2}
YAML
words=(distill run.yaml training.devices=2 --out together)
launch=("$python" -m torch.distributed.run --nnodes 2 --nproc-per-node 1 --rdzv-backend c10d
  --rdzv-endpoint 10.77.0.1:29400 --rdzv-id namespaces)
say "torchrun --nnodes 2 --rdzv-endpoint 10.77.0.1:29400 -m segdistill ${words[*]}"
# The address of a namespace is not that of the machine's name, so torchrun cannot tell who hosts.
in_two "${launch[@]}" --local-addr 10.77.0.2 --rdzv-conf is_host=0 -m segdistill "${words[@]}" > second.txt 2>&1 &
second=$!
in_one "${launch[@]}" --local-addr 10.77.0.1 --rdzv-conf is_host=1 -m segdistill "${words[@]}" 2>&1 | tidy
wait "$second"
say "the second process printed $(grep -vc 'WARNING\|W[0-9]\|^\*' second.txt || true) lines of its own"
say "segdistill distill run.yaml --out alone, in one process"
"$python" -m segdistill distill run.yaml --out alone > alone.txt 2>&1
"$python" - <<'CODE'
from pathlib import Path

from segdistill.runs.metrics import read_metrics, train_lines
from segdistill.runs.result import read_result

one, two = ([line.parts for line in train_lines(read_metrics(Path(run)))] for run in ("alone", "together"))
worst = max(abs(a[part] - b[part]) for a, b in zip(one, two, strict=True) for part in a)
images = [read_result(Path(run)).images for run in ("alone", "together")]
print(f"          largest difference of a loss over {len(two)} steps: {worst:.1e}; images scored: {images}")
CODE

cat > study.yaml <<'YAML'
data: {dataset: scenes, size: [32, 48], train_images: 24, val_images: 5, batch_size: 4, crop: [24, 32]}
teacher: {network: "import:bench_parity:teacher", taps: {head: head}}
student: {network: "import:bench_parity:student", taps: {head: head}}
methods: {similarity: [{loss: pairwise_similarity}]}
training: {steps: 10, device: cpu}
search: {trials: 1, sampler: random}
evaluation: {pictures: 0}
engine: {threads: 1, cpus: 1}
seeds: 3
YAML
say "ray start --head in the first namespace, ray start --address in the second, one CPU each"
ray=("$python" -m ray.scripts.scripts start --num-cpus 1 --block --disable-usage-stats)
in_one "${ray[@]}" --head --node-ip-address 10.77.0.1 --port 6399 --include-dashboard false \
  --temp-dir "$RAY_TMPDIR" > head.txt 2>&1 &
nodes+=($!)
for _ in $(seq 120); do in_one "$python" -c 'import socket; socket.create_connection(("10.77.0.1", 6399), 1)' 2>/dev/null && break; sleep 1; done
in_two "${ray[@]}" --address 10.77.0.1:6399 --node-ip-address 10.77.0.2 > joined.txt 2>&1 &
nodes+=($!)
in_one "$python" - <<'CODE'
import time

import ray

ray.init("10.77.0.1:6399", log_to_driver=False)
while sum(node["Alive"] for node in ray.nodes()) < 2:
    time.sleep(1)
print("          nodes:", sorted(node["NodeManagerAddress"] for node in ray.nodes()))
CODE
say "segdistill study study.yaml engine.name=ray engine.address=10.77.0.1:6399 --out away"
in_one "$python" -m segdistill study study.yaml engine.name=ray engine.address='10.77.0.1:6399' \
  --out away 2>&1 | grep ' node ' | tidy
say "segdistill study study.yaml --out here, on this machine alone"
"$python" -m segdistill study study.yaml --out here > here.txt 2>&1
"$python" - <<'CODE'
from pathlib import Path

from segdistill.runs.result import read_result
from segdistill.runs.study import find_final_runs


def scores(study: str) -> dict[tuple[str, int, str], float]:
    return {
        (run.pair, run.seed, run.method): read_result(run.folder).miou
        for run in find_final_runs(Path(study))
    }


away, here = scores("away"), scores("here")
print(f"          {len(away)} final runs; scores {'are equal' if away == here else 'DIFFER'}")
CODE
say "done"
