"""A study on two Ray nodes, one of which is killed, against the same study on this machine.

python benchmarks/bench_ray.py
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from results_file import write_result

from segdistill.config.loading import load_study
from segdistill.runs.result import read_result
from segdistill.runs.search import read_chosen
from segdistill.runs.study import find_final_runs
from segdistill.runs.trials import read_trials
from segdistill.studies.runner import run_study
from segdistill.training.events import Event, Note, Progress

WORDS = (
    "data={dataset: scenes, size: [48, 64], train_images: 30, val_images: 10, crop: [32, 48]}",
    "data.batch_size=4",
    "teacher={network: fcn, backbone: resnet10t, output_stride: 16, width: 16}",
    "student={network: lraspp, backbone: mobilenetv2_035, output_stride: 16, width: 16}",
    "training={steps: 40, lr: 0.02, device: cpu, log_every: 20}",
    "search={trials: 2, sampler: random, parallel: 2}",
    "evaluation={pictures: 0}",
    "seeds=6",
    "engine.threads=1",
)
KILL_AFTER = 2  # final cohorts


def findings(out: Path) -> dict[str, Any]:
    """Everything in a study folder that does not depend on the clock."""
    results = {run: read_result(run.folder) for run in find_final_runs(out)}
    finals = {
        (run.pair, run.seed, run.method): [result.miou, result.config_hash]
        for run, result in results.items()
    }
    trials = sorted([t.method, t.trial, t.status, t.miou, t.config_hash] for t in read_trials(out))
    return {"finals": finals, "trials": trials, "chosen": read_chosen(out)}


def main() -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_TMPDIR"] = tempfile.gettempdir()
    place = Path(tempfile.mkdtemp())
    (place / "away").mkdir()
    os.environ["TMPDIR"] = str(place / "away")
    from ray.cluster_utils import Cluster

    log: list[str] = []
    began = time.perf_counter()

    def say(text: str) -> None:
        log.append(f"{time.perf_counter() - began:6.1f} s  {text}")
        print(log[-1], flush=True)

    head = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    node = cluster.add_node(num_cpus=1)
    say(
        f"two nodes of one processor each: head {cluster.head_node.node_id[:8]}, {node.node_id[:8]}"
    )

    def tell(event: Event) -> None:
        if isinstance(event, Note) and " node " in event.text:
            say(event.text)
        final = isinstance(event, Progress) and event.stage == "study, final runs"
        if isinstance(event, Progress) and final and event.done == KILL_AFTER:
            cluster.remove_node(node, allow_graceful=False)
            say(f"node {node.node_id[:8]} killed after {KILL_AFTER} of {event.total} cohorts")

    ray_words = ("engine.name=ray", f"engine.address='{cluster.address}'")
    study = load_study("studies/scenes", WORDS)
    run_study(load_study("studies/scenes", (*WORDS, *ray_words)), place / "ray", tell=tell)
    lost = len([*(place / "away").glob("tmp*")])
    say(f"done; {lost} cohort was cut off with its node and begun again")
    import ray

    ray.shutdown()
    cluster.shutdown()
    run_study(study, place / "local")
    same = findings(place / "ray") == findings(place / "local")
    say(f"the local engine's scores, trials and hashes {'are equal' if same else 'DIFFER'}")
    values = {"study": list(WORDS), "log": log, "cut_off": lost, "equal_to_local": same}
    print(write_result("ray", values))


if __name__ == "__main__":
    main()
