"""A dry run: everything that a real run does is done once, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lightning_fabric import Fabric

from segdistill.config import RunConfig
from segdistill.data.carving import Subset
from segdistill.data.data_report import refuse_faults
from segdistill.data.inspection import inspect_splits
from segdistill.errors import ConfigError
from segdistill.models import FrozenTeacher
from segdistill.models.ensemble import Ensemble
from segdistill.models.feed import describe_feed
from segdistill.models.foreign.adapter import Adapter
from segdistill.models.taps import tap_paths
from segdistill.scoring.evaluator import evaluate
from segdistill.training.build import Data, build_data
from segdistill.training.cohort import Step, fit, to_float
from segdistill.training.devices import build_fabric
from segdistill.training.events import Note, Tell, silent
from segdistill.training.learner import Learner
from segdistill.training.loggers.build import check_loggers
from segdistill.training.open_cache import open_cache
from segdistill.training.prepare import prepare
from segdistill.training.run import prepare_cohort
from segdistill.training.teacher import examine, knows_classes
from segdistill.types import SegDataset

_MOST_SIZES = 16


def try_cohort(
    configs: Mapping[str, RunConfig], *, weak_teacher: bool = False, tell: Tell = silent
) -> None:
    """Read every file, score the teacher, take one step of each stage, score; write nothing.

    Args:
        configs: by learner, as for :func:`segdistill.training.run.run_cohort`.
        weak_teacher: continue even if the teacher is no better than chance.
        tell: called with the findings.

    Raises:
        ConfigError, DataError, CheckpointError, TrainingDivergedError, ValueError: whatever
            would have stopped the run, or a teacher near chance.
    """
    first = next(iter(configs.values()))
    check_loggers(first.training)
    fabric = build_fabric(first)
    data = build_data(first)
    report = inspect_splits(
        {first.data.train_split: data.train, first.evaluation.split: data.evaluation}
    )
    for line in (*report.classes, *(f"warning: {warning}" for warning in report.warnings)):
        tell(Note(line))
    refuse_faults("check", report)
    tell(Note(f"data: {len(data.train)} training and {len(data.evaluation)} scored images read"))
    tell(Note(f"data: the classes are {', '.join(data.train.classes.names)}"))
    teacher, learners = prepare_cohort(configs, data, fabric, tell)
    open_cache(first, teacher, data, fabric, tell)  # which tells its size

    images = to_float(fabric.to_device(data.stream.batch(0).images))
    if teacher is not None:
        parts = {"teacher": teacher.network}
        if isinstance(teacher.network, Ensemble):
            members = enumerate(teacher.network.members)
            parts = {f"teacher.members.{number}": member for number, member in members}
        for where, network in parts.items():
            tell(Note(f"{where} {describe_feed(network, images)}"))
        _judge(teacher, first, data, fabric, weak_teacher, tell)
    for learner in learners:
        tell(Note(f"{learner.name or 'student'} {describe_feed(learner.network, images)}"))

    for learner in learners:
        who = learner.name or "student"

        def note_stage(done: int, steps: int, loss: float, seconds: float, who: str = who) -> None:
            tell(Note(f"{who}: first loss of the stage before training: {loss:.4g}"))

        prepare(learner, teacher, data.stream, fabric=fabric, after=note_stage, most_steps=1)

    def note(step: Step) -> bool:
        for name, parts in step.losses.items():
            shown = ", ".join(f"{part} {value:.4g}" for part, value in parts.items())
            tell(Note(f"{name or 'student'}: first losses: {shown}"))
        tell(Note(f"one step took {step.seconds:.2f} s, including warm-up"))
        return True

    fit(
        teacher,
        learners,
        data.stream,
        fabric=fabric,
        steps=1,
        accumulate=first.training.accumulate,
        after=note,
    )
    for learner in learners:
        if unused := learner.unused():
            shown = f"{', '.join(unused[:5])}{', ...' if len(unused) > 5 else ''}"
            tell(
                Note(
                    f"{learner.name or 'student'}: {len(unused)} of its tensors get no gradient "
                    f"and stay as they are: {shown}"
                )
            )
        if isinstance(learner.network, Adapter) and learner.network.auxiliary_outputs:
            names = ", ".join(learner.network.auxiliary_outputs)
            tell(Note(f"{learner.name or 'student'}: auxiliary outputs are trained too: {names}"))
    _score_each_size(learners, configs, data, fabric, tell)


def _judge(
    teacher: FrozenTeacher,
    config: RunConfig,
    data: Data,
    fabric: Fabric,
    weak_teacher: bool,
    tell: Tell,
) -> None:
    """Score the teacher on a few images, and stop if it is no better than chance."""
    if config.teacher is None or "logits" not in tap_paths(teacher.network):
        return
    knowledge = examine(
        teacher.network,
        data.evaluation,
        device=fabric.device,
        precision=config.training.precision,
    )
    score = (
        f"mIoU {100 * knowledge.miou:.1f} % on {knowledge.images} images of "
        f"{config.evaluation.split}, where guessing gets {100 * knowledge.chance:.1f} %"
    )
    tell(Note(f"teacher: {score}"))
    if knowledge.near_chance and knows_classes(config.teacher) and not weak_teacher:
        raise ConfigError(
            f"teacher: expected one that knows the dataset, got {score}; compare its inputs and "
            "classes with how it was trained (mean, std, channel_order, class_map), or continue "
            "with --allow-weak-teacher"
        )


def _score_each_size(
    learners: Sequence[Learner],
    configs: Mapping[str, RunConfig],
    data: Data,
    fabric: Fabric,
    tell: Tell,
) -> None:
    """Score one image of each size, because a network may not accept every size."""
    chosen = _one_of_each_size(data.evaluation)
    for learner, config in zip(learners, configs.values(), strict=True):
        evaluate(
            learner.result,
            Subset(data.evaluation, list(chosen.values())),
            device=fabric.device,
            precision=config.training.precision,
            scales=config.evaluation.scales,
            flip=config.evaluation.flip,
            window=config.evaluation.window,
        )
    sizes = ", ".join(f"{height}x{width}" for height, width in chosen)
    tell(Note(f"scoring works on images of {sizes}"))


def _one_of_each_size(dataset: SegDataset) -> dict[tuple[int, int], int]:
    """Return one image of each size, limited to the 16 smallest and largest sizes."""
    first: dict[tuple[int, int], int] = {}
    for index in range(len(dataset)):
        height, width = dataset[index].image.shape[:2]
        first.setdefault((height, width), index)
    sizes = sorted(first, key=lambda size: size[0] * size[1])
    if len(sizes) > _MOST_SIZES:
        sizes = [*sizes[: _MOST_SIZES // 2], *sizes[-_MOST_SIZES // 2 :]]
    return {size: first[size] for size in sizes}
