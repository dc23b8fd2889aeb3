"""The sections of a config: frozen records that accept no undeclared key."""

from __future__ import annotations

import hashlib
import json
import operator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from segdistill.catalogue.loggers import LOGGERS
from segdistill.config.splits import split_names
from segdistill.errors import ConfigError
from segdistill.files import expand_path

Tree = dict[str, Any]
"""A config as YAML gives it: nested dicts, lists and scalars."""

Count = Annotated[int, Field(ge=1)]
"""A count of at least one."""

Natural = Annotated[int, Field(ge=0)]
"""A whole number from 0."""


def _is_split(split: str) -> str:
    try:
        split_names(split)
    except ConfigError as error:
        raise PydanticCustomError("split", "{reason}", {"reason": str(error)}) from None
    return split


Split = Annotated[str, AfterValidator(_is_split)]
"""A split of a dataset, or several joined by ``+``."""

_IMAGES: dict[str, JsonValue] = {"unit": "images"}
_PIXELS: dict[str, JsonValue] = {"unit": "px"}
_STEPS: dict[str, JsonValue] = {"unit": "steps"}

# YAML 1.1, which PyYAML reads, takes these words for true and false.
_TRUTH = {True: "on", False: "off"}


class Section(BaseModel):
    """Base of all sections: frozen, without undeclared keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and bool not in (annotation, *get_args(annotation)):
            raise ValueError("pydantic would take true for 1")
        return value

    @field_validator("*", mode="after", check_fields=False)
    @classmethod
    def _expand(cls, value: Any) -> Any:
        """Expand ``~`` and ``$VAR`` in every path."""
        try:
            return expand_path(value) if isinstance(value, Path) else value
        except ValueError as error:
            raise PydanticCustomError("path", "{reason}", {"reason": str(error)}) from None


class NamedSection(Section):
    """A section that names a row of a table and carries that row's settings."""

    selector: ClassVar[str]
    setting_names: ClassVar[tuple[str, ...]] = ()
    later_names: ClassVar[tuple[str, ...]] = ()

    def left_out(self) -> tuple[str, ...]:
        """Return the settings at their default that were added after runs had been recorded."""
        fields = type(self).model_fields
        return tuple(key for key in self.later_names if getattr(self, key) == fields[key].default)

    def settings(self) -> Tree:
        """Return the settings of the row, without the section's own keys."""
        return {key: getattr(self, key) for key in self.setting_names}


class UnlabelledConfig(NamedSection):
    """Images without masks in every batch, seen by the distillation losses only."""

    selector = "dataset"

    dataset: str = Field(description="name of a dataset, such as images")
    split: Split = Field("train", description="split of that dataset; masks are not read")
    per_batch: Count = Field(
        description="number of images without masks in every batch; less than batch_size",
        json_schema_extra=_IMAGES,
    )
    labels: Literal["refuse", "teacher"] = Field(
        "refuse",
        description="what losses that need labels get for these images: refuse: stop with an "
        "error; teacher: the teacher's prediction",
    )


class DataConfig(NamedSection):
    """Where images come from and how training batches are made from them."""

    selector = "dataset"

    dataset: str = Field(description="name of a dataset: segdistill list datasets")
    batch_size: Count = Field(
        8, description="images per training step, over all processes", json_schema_extra=_IMAGES
    )
    crop: tuple[Count, Count] = Field(
        description="height and width of the training crops", json_schema_extra=_PIXELS
    )
    scale: tuple[PositiveFloat, PositiveFloat] = Field(
        (0.5, 2.0), description="smallest and largest factor of the random resizing before the crop"
    )
    flip: bool = Field(True, description="mirror half of the images, chosen at random")
    jitter: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="strength of the random changes of brightness, contrast and saturation",
    )
    hue: float = Field(
        0.0,
        ge=0.0,
        le=0.5,
        description="largest random hue shift, as a part of the colour wheel",
        json_schema_extra={"unit": "turns"},
    )
    blur: float = Field(
        0.0, ge=0.0, le=1.0, description="share of the crops that are blurred (Gaussian)"
    )
    max_class_share: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="largest share of a crop that one class may fill before the crop is drawn "
        "again; 1: no limit",
    )
    rare_class: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="share of the crops that are centred on rare classes, as in DAFormer",
    )
    rare_temperature: PositiveFloat = Field(
        0.01,
        description="temperature of rare_class; a smaller one prefers the rarest classes more",
    )
    seed: int = Field(
        0, description="seed of order and augmentation; equal seeds give equal batches"
    )
    workers: int = Field(
        0,
        ge=0,
        description="number of loader processes; it changes the speed, never the batches",
        json_schema_extra={"unit": "processes"},
    )
    on_error: Literal["raise", "skip"] = Field(
        "raise",
        description="what to do with an unreadable image: raise: stop with an error; skip: list "
        "it and draw another",
    )
    train_split: Split = Field(
        "train",
        description="training split, such as trainaug, or several joined: train+val",
    )
    holdout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="share of train_split that is kept from training and can be scored as the "
        "split holdout",
    )
    unlabelled: SerializeAsAny[UnlabelledConfig] | None = Field(
        None,
        description="dataset of images without masks that are added to every batch: dataset and "
        "its settings, split, per_batch, labels",
    )


ClassMap = tuple[Natural | str | tuple[Natural | str, ...] | None, ...]
"""A network's class for each class of the dataset, by number or name."""


CACHE_LIMIT = 50.0


def _is_none(value: object) -> bool:
    return value is None


def _is_cache_limit(value: float) -> bool:
    return value == CACHE_LIMIT


class NetworkConfig(NamedSection):
    """A teacher or a student."""

    selector = "network"

    network: str = Field(description="name of a network: segdistill list networks")
    weights: Path | None = Field(None, description="file to load the weights from, or package:NAME")
    backbone_weights: Path | None = Field(
        None, description="file to load the backbone's weights from, or package:NAME"
    )
    untrained: bool = Field(
        False,
        description="teacher only: allow a teacher without loaded weights, as a control",
    )
    shard: bool = Field(
        False,
        description="teacher only: shard its weights over the processes of training.devices, for "
        "a teacher that does not fit on one device",
    )
    # Left out of what is written unless they are set: runs of older releases keep their hash.
    cache: Path | None = Field(
        None,
        exclude_if=_is_none,
        description="teacher only: folder for its maps of every batch, rounded to half precision, "
        "which later runs of the same data.seed read instead of running the teacher",
    )
    cache_limit: PositiveFloat = Field(
        CACHE_LIMIT,
        exclude_if=_is_cache_limit,
        description="teacher only: largest size of the maps of one run in cache; a run that needs "
        "more is refused before it starts",
        json_schema_extra={"unit": "GiB"},
    )
    taps: dict[str, str] = Field(
        {}, description="names for inner maps, as tap: module path (segdistill list taps)"
    )
    class_map: ClassMap | None = Field(
        None,
        description="teacher only: its class for each class of the dataset: a number or name, "
        "several whose probabilities are added, or null for a class that it lacks; null: the "
        "same classes",
    )


class LossConfig(NamedSection):
    """One distillation term of the objective."""

    selector = "loss"

    loss: str = Field(description="name of a loss: segdistill list losses")
    tap: str = Field(
        description="maps to compare: backbone, head, logits, a name given in taps, or a module "
        "path; by default the paper's choice"
    )
    weight: float = Field(
        ge=0.0, description="weight of the term in the objective; by default the paper's"
    )
    align: Literal["teacher", "student", "none"] = Field(
        "teacher", description="whose map is resized if the sizes differ"
    )
    project: Literal["linear", "conv_bn_relu", "mlp", "none"] = Field(
        "none",
        description="projector that brings the student's map to the teacher's width if the widths "
        "differ",
    )
    padding: Literal["masked", "counted"] = Field(
        "masked",
        description="counted: also compare padding from augmentation, as papers' code does",
    )
    beside: tuple[str, ...] = Field(
        (),
        exclude_if=operator.not_,
        description="taps of further maps that the loss uses; by default the paper's choice",
    )
    # Not written unless it is set, so that runs of older releases keep their hash.
    standardize: bool = Field(
        False,
        exclude_if=operator.not_,
        description="losses of logits only: standardise each pixel's logits over the classes "
        "(mean 0, standard deviation 1) before they are compared",
        json_schema_extra={"source": "Sun et al., CVPR 2024"},
    )

    @property
    def taps(self) -> tuple[str, ...]:
        """Every tap that the term uses."""
        return (self.tap, *self.beside)


class OwnLossConfig(LossConfig):
    """A user's own loss; its settings are the keys that are not those of every term."""

    model_config = ConfigDict(extra="allow")

    def settings(self) -> Tree:
        return dict(self.model_extra or {})


def _is_one(value: float) -> bool:
    return value == 1.0


class TaskConfig(Section):
    """The task loss, which compares the student's logits with the labels."""

    loss: Literal["cross_entropy", "focal", "ohem", "dice", "lovasz"] = Field(
        "cross_entropy", description="loss between the logits and the labels"
    )
    class_weights: Literal["balanced", "logarithmic"] | tuple[NonNegativeFloat, ...] | None = Field(
        None,
        description="weight of each class; balanced: all positions / (number of classes x the "
        "class's positions), counted over the training set; logarithmic: 1 / ln(1.1 + the "
        "class's share of positions); null: all 1",
        json_schema_extra={"source": "logarithmic: loadData.py of sacmehta/ESPNet, after ENet"},
    )
    ignore: tuple[NonNegativeInt, ...] = Field(
        (), description="class ids that the task loss leaves out; they are still scored"
    )
    threshold: float = Field(
        0.7,
        gt=0.0,
        lt=1.0,
        description="ohem: leave out positions whose class has a higher probability than this",
        json_schema_extra={"source": "OHEMPixelSampler of mmsegmentation"},
    )
    min_kept: Count = Field(
        100000,
        description="ohem: smallest number of positions kept per image, the hardest first",
        json_schema_extra={"unit": "positions", "source": "OHEMPixelSampler of mmsegmentation"},
    )
    # Not written unless it is set, so that runs of older releases keep their hash.
    weight: float = Field(
        1.0,
        ge=0.0,
        exclude_if=_is_one,
        description="weight of the task loss; 0: learn from the teacher alone",
    )
    gamma: float = Field(
        2.0,
        ge=0.0,
        description="focal: multiply a position's loss by (1 - p)^gamma, p being its class's "
        "probability",
        json_schema_extra={"source": "Lin et al., ICCV 2017"},
    )
    cross_entropy_weight: float = Field(
        0.0, ge=0.0, description="dice and lovasz: weight of the cross-entropy that is added"
    )


class TrainingConfig(Section):
    """How the student, or a teacher, is trained."""

    steps: Count = Field(description="number of optimiser steps", json_schema_extra=_STEPS)
    optimizer: Literal["sgd", "adam", "adamw"] = Field(
        "sgd", description="optimiser of the student"
    )
    lr: PositiveFloat = Field(0.01, description="learning rate after warm-up")
    momentum: float = Field(
        0.9, ge=0.0, lt=1.0, description="momentum of sgd; the other optimisers ignore it"
    )
    weight_decay: float = Field(
        5e-4, ge=0.0, description="weight decay: L2 in sgd and adam, decoupled in adamw"
    )
    decay_norms_and_biases: bool = Field(
        True, description="apply weight_decay to normalisation layers and biases too"
    )
    schedule: Literal["poly", "cosine", "step", "constant"] = Field(
        "poly", description="how the learning rate falls after warm-up"
    )
    power: PositiveFloat = Field(0.9, description="exponent of schedule poly")
    step_every: Count | None = Field(
        None,
        description="schedule step: interval at which the learning rate is multiplied by "
        "step_factor",
        json_schema_extra=_STEPS,
    )
    step_factor: float = Field(0.1, gt=0.0, lt=1.0, description="factor of schedule step")
    lr_scale: dict[str, PositiveFloat] = Field(
        {},
        description="factors of the learning rate by tap or module path of the student, such as "
        "{head: 10}; the longest path that fits counts",
    )
    layer_decay: float | None = Field(
        None,
        gt=0.0,
        le=1.0,
        description="layer-wise learning-rate decay of a timm backbone, as for fine-tuning ViTs: "
        "factor from each layer to the one before it; multiplied by lr_scale; null: 1",
    )
    freeze: tuple[str, ...] = Field(
        (),
        description="taps or module paths of the student to freeze, such as [backbone]; their "
        "batch-norm statistics are frozen too",
    )
    warmup_steps: int = Field(
        0,
        ge=0,
        description="steps of warm-up, during which the learning rate rises to lr",
        json_schema_extra=_STEPS,
    )
    clip_norm: PositiveFloat | None = Field(
        None, description="largest gradient norm; larger gradients are scaled down; null: no limit"
    )
    accumulate: Count = Field(
        1,
        description="number of parts in which each batch is computed to save memory (gradient "
        "accumulation); must divide batch_size; batch norm sees one part at a time",
        json_schema_extra={"unit": "parts"},
    )
    ema: float | None = Field(
        None,
        gt=0.0,
        lt=1.0,
        description="decay per step of an exponential moving average of the weights, which "
        "becomes the result; null: no average",
    )
    task: TaskConfig = Field(
        TaskConfig(),
        description="the task loss, between the logits and the labels",
    )
    auxiliary_weight: float = Field(
        0.4, ge=0.0, description="weight of the auxiliary head's task loss"
    )
    label_smoothing: float = Field(
        0.0, ge=0.0, lt=1.0, description="label smoothing of the cross-entropy"
    )
    quantize: Literal["int8"] | None = Field(
        None,
        description="quantisation-aware training: round the weights and inputs of the student's "
        "layers to int8, so that an INT8 file keeps its score; null: float only",
        json_schema_extra={"source": "Jacob et al., CVPR 2018"},
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="precision of forward and backward; weights stay float32"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="device to train on; auto: a GPU if there is one"
    )
    devices: Count = Field(
        1,
        description="number of processes that share a batch, each with a device of its own",
        json_schema_extra={"unit": "devices"},
    )
    compile: Literal["off", "auto", "on", "graphs"] = Field(
        "off",
        description="compile teacher and student with torch.compile, which changes their values by "
        "rounding; auto: where a measurement at the start shows that compiling pays within the "
        "run; graphs: instead launch the kernels of the student's forward and backward together, "
        "as CUDA graphs, for small students on a GPU",
        json_schema_extra={
            "type": ["string", "boolean"],
            "enum": ["off", "auto", "on", "graphs", *_TRUTH],
        },
    )
    sync_batchnorm: bool = Field(
        True,
        description="with several devices, compute batch-norm statistics over the whole batch; "
        "false: over each device's part",
    )
    deterministic: bool = Field(
        False, description="make runs on a GPU bit-identical, which is slower"
    )
    seed: int = Field(0, description="seed of initial weights, projectors and dropout")
    evaluate_every: Count | None = Field(
        None,
        description="steps between evaluations; null: only at the end",
        json_schema_extra=_STEPS,
    )
    checkpoint_every: Count = Field(
        500, description="steps between checkpoints", json_schema_extra=_STEPS
    )
    log_every: Count = Field(
        20, description="steps between lines of metrics.jsonl", json_schema_extra=_STEPS
    )
    tensorboard: bool = Field(False, description="also write TensorBoard files")
    wandb: bool = Field(
        False, description="also log to Weights & Biases, as WANDB_MODE and WANDB_PROJECT say"
    )
    mlflow: bool = Field(
        False, description="also log to MLflow, at MLFLOW_TRACKING_URI or in the run folder"
    )

    @field_validator("compile", mode="before")
    @classmethod
    def _words_that_yaml_takes_for_truth(cls, value: Any) -> Any:
        return _TRUTH[value] if isinstance(value, bool) else value


class EvaluationConfig(Section):
    """How a network is scored."""

    split: Split = Field("val", description="split to score, or several joined")
    scales: tuple[PositiveFloat, ...] = Field(
        (1.0,), min_length=1, description="image scales whose predictions are averaged"
    )
    flip: bool = Field(False, description="average with the prediction for the mirrored image")
    window: tuple[Count, Count] | None = Field(
        None,
        description="height and width of a sliding window, for images too large to predict at "
        "once; null: the whole image",
        json_schema_extra=_PIXELS,
    )
    # Not written unless it is set, so that runs of older releases keep their hash.
    shifts: dict[
        Literal["noise", "blur", "contrast", "brightness", "jpeg"],
        tuple[Annotated[int, Field(ge=1, le=5)], ...],
    ] = Field(
        {},
        exclude_if=operator.not_,
        description="corruptions under which the images are scored too, with severities from 1 to "
        "5, such as {noise: [1, 3]}; noise, blur, contrast, brightness and jpeg",
        json_schema_extra={"source": "Hendrycks and Dietterich, ICLR 2019"},
    )
    pictures: int = Field(
        6,
        ge=0,
        description="number of predictions saved as pictures, spread over the split; a third as "
        "many each of the worst and the best images are added",
        json_schema_extra=_IMAGES,
    )


TRUST = "code named in files that you allow to run: import:package.module:function or file:PATH"


class RunConfig(Section):
    """Everything that defines a run, except where it is written."""

    data: SerializeAsAny[DataConfig] = Field(description="dataset and training batches")
    teacher: SerializeAsAny[NetworkConfig] | None = Field(
        None, description="network to distil from; null: plain training"
    )
    student: SerializeAsAny[NetworkConfig] = Field(description="network to train")
    distill: tuple[SerializeAsAny[LossConfig], ...] = Field(
        (), description="distillation terms that are added to the task loss"
    )
    training: TrainingConfig = Field(description="how the student is trained")
    evaluation: EvaluationConfig = Field(
        EvaluationConfig(), description="how the student is scored"
    )
    # Not written to the run folder: only the person who runs a file may trust code, no file may.
    trust: tuple[str, ...] = Field((), exclude=True, description=TRUST)

    def tree(self) -> Tree:
        """Return the resolved config as it would stand in YAML, with every default."""
        tree: Tree = self.model_dump(mode="json")
        return tree

    def hash(self) -> str:
        """Return 12 hexadecimal digits that depend on everything that can change the result.

        Paths count here, not the contents of files; whether a run can be resumed is decided
        by :func:`segdistill.config.identity.identity_of`.
        """
        tree = self.tree()
        for section, key in _RESULT_DOES_NOT_DEPEND_ON:
            (tree[section] or {}).pop(key, None)
        for name in ("data", "teacher", "student"):
            named: NamedSection | None = getattr(self, name)
            for key in named.left_out() if named is not None else ():
                tree[name].pop(key)
        for key in _LATER_IN_TRAINING:
            if getattr(self.training, key) == TrainingConfig.model_fields[key].default:
                tree["training"].pop(key)
        if self.data.unlabelled is not None:
            for key in self.data.unlabelled.left_out():
                tree["data"]["unlabelled"].pop(key)
        text = json.dumps(tree, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


_RESULT_DOES_NOT_DEPEND_ON = (
    ("data", "workers"),
    ("teacher", "shard"),
    ("student", "shard"),
    ("teacher", "cache_limit"),
    ("teacher", "untrained"),
    ("student", "untrained"),
    ("training", "checkpoint_every"),
    ("training", "log_every"),
    *(("training", logger) for logger in LOGGERS),
    ("evaluation", "pictures"),
)

# Keys added after runs had been recorded, left out of the hash at their default.
_LATER_IN_TRAINING = (
    "sync_batchnorm",
    "step_every",
    "step_factor",
    "lr_scale",
    "layer_decay",
    "freeze",
    "task",
    "quantize",
    "compile",
)
