"""The sections of a config: frozen records, and no key beside the declared ones."""

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
"""How many there are of something that must not be missing."""

Natural = Annotated[int, Field(ge=0)]
"""A number that counts from 0."""


def _is_split(split: str) -> str:
    try:
        split_names(split)
    except ConfigError as error:
        raise PydanticCustomError("split", "{reason}", {"reason": str(error)}) from None
    return split


Split = Annotated[str, AfterValidator(_is_split)]
"""A split of a dataset, or several that are joined by ``+``."""

_IMAGES: dict[str, JsonValue] = {"unit": "images"}
_PIXELS: dict[str, JsonValue] = {"unit": "px"}
_STEPS: dict[str, JsonValue] = {"unit": "steps"}


class Section(BaseModel):
    """Base of all sections: frozen, and no key beside the declared ones."""

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
        """Fill in ``~`` and ``$VAR`` of every path."""
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
        """Return the settings at their default that came after runs had been recorded."""
        fields = type(self).model_fields
        return tuple(key for key in self.later_names if getattr(self, key) == fields[key].default)

    def settings(self) -> Tree:
        """Return the settings of the row alone, without the section's own keys."""
        return {key: getattr(self, key) for key in self.setting_names}


class UnlabelledConfig(NamedSection):
    """Images without masks that fill a part of every batch, for the distillation losses alone."""

    selector = "dataset"

    dataset: str = Field(description="name of a dataset, such as images")
    split: Split = Field("train", description="split of that dataset; its masks are not read")
    per_batch: Count = Field(
        description="how many images of every batch are without masks; fewer than batch_size",
        json_schema_extra=_IMAGES,
    )
    labels: Literal["refuse", "teacher"] = Field(
        "refuse",
        description="what losses that need labels see on these images: refuse stops with an "
        "error, teacher gives them the teacher's prediction",
    )


class DataConfig(NamedSection):
    """Where images come from and how a training batch is made of them."""

    selector = "dataset"

    dataset: str = Field(description="name of a dataset: segdistill list datasets")
    batch_size: Count = Field(
        8, description="images per training step, over all processes", json_schema_extra=_IMAGES
    )
    crop: tuple[Count, Count] = Field(
        description="height and width of the crop that is trained on", json_schema_extra=_PIXELS
    )
    scale: tuple[PositiveFloat, PositiveFloat] = Field(
        (0.5, 2.0), description="lowest and highest factor of the random resizing before the crop"
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
        description="largest random turn of the colour wheel",
        json_schema_extra={"unit": "turns"},
    )
    blur: float = Field(
        0.0, ge=0.0, le=1.0, description="share of the crops that get a Gaussian blur"
    )
    max_class_share: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="a crop of which one class fills more than this share is drawn again; 1 "
        "draws none again",
    )
    rare_class: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="share of the crops that are drawn around rare classes, as in DAFormer",
    )
    rare_temperature: PositiveFloat = Field(
        0.01,
        description="how strongly rare_class prefers the rarest classes; smaller is stronger",
    )
    seed: int = Field(
        0, description="seed of order and augmentation; equal seeds give equal batches"
    )
    workers: int = Field(
        0,
        ge=0,
        description="loader processes; changes the speed, never the batches",
        json_schema_extra={"unit": "processes"},
    )
    on_error: Literal["raise", "skip"] = Field(
        "raise",
        description="what happens at an image that cannot be read: raise stops, skip draws "
        "another and lists it",
    )
    train_split: Split = Field(
        "train",
        description="split that is trained on, such as trainaug, or several joined: train+val",
    )
    holdout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="share of train_split that is not trained on, to be scored as the split "
        "holdout",
    )
    unlabelled: SerializeAsAny[UnlabelledConfig] | None = Field(
        None,
        description="images without masks in every batch: dataset and its settings, split, "
        "per_batch, labels",
    )


ClassMap = tuple[Natural | str | tuple[Natural | str, ...] | None, ...]
"""For each class of the dataset, that of a network, by number or name."""


class NetworkConfig(NamedSection):
    """A teacher or a student."""

    selector = "network"

    network: str = Field(description="name of a network: segdistill list networks")
    weights: Path | None = Field(
        None, description="file that the weights are loaded from, or package:NAME"
    )
    backbone_weights: Path | None = Field(
        None, description="file that the backbone's weights are loaded from, or package:NAME"
    )
    untrained: bool = Field(
        False,
        description="teacher only: let it teach although nothing was loaded into it, as a control",
    )
    shard: bool = Field(
        False,
        description="teacher only: share its weights out over the processes of training.devices, "
        "for one that does not fit a device",
    )
    taps: dict[str, str] = Field(
        {}, description="names for inner maps: tap name to module path (segdistill list taps)"
    )
    class_map: ClassMap | None = Field(
        None,
        description="of a teacher, its class for each class of the dataset: its number or name, "
        "several whose probabilities are added, or null for one that it lacks; null: they are "
        "the same",
    )


class LossConfig(NamedSection):
    """One distillation term of the objective."""

    selector = "loss"

    loss: str = Field(description="name of a loss: segdistill list losses")
    tap: str = Field(
        description="maps that are compared: backbone, head, logits, a name of taps or a module "
        "path; the paper's unless given"
    )
    weight: float = Field(
        ge=0.0, description="weight of the term in the objective; the paper's unless given"
    )
    align: Literal["teacher", "student", "none"] = Field(
        "teacher", description="whose map is resized where the sizes differ"
    )
    project: Literal["linear", "conv_bn_relu", "mlp", "none"] = Field(
        "none",
        description="projector that brings the student's map to the teacher's width where the "
        "widths differ",
    )
    padding: Literal["masked", "counted"] = Field(
        "masked", description="counted: also compare what augmentation padded, as papers' code does"
    )
    beside: tuple[str, ...] = Field(
        (),
        exclude_if=operator.not_,
        description="taps of further maps that the loss reads beside those compared; the paper's "
        "unless given",
    )
    # Left out of what is written unless it is set: runs of older releases keep their hash.
    standardize: bool = Field(
        False,
        exclude_if=operator.not_,
        description="losses of logits only: compare both maps after each pixel's logits were "
        "brought to mean 0 and deviation 1 over the classes",
        json_schema_extra={"source": "Sun et al., CVPR 2024"},
    )

    @property
    def taps(self) -> tuple[str, ...]:
        """Every tap that the term reads."""
        return (self.tap, *self.beside)


class OwnLossConfig(LossConfig):
    """A loss of one's own, whose settings are the keys beside those of every term."""

    model_config = ConfigDict(extra="allow")

    def settings(self) -> Tree:
        return dict(self.model_extra or {})


def _is_one(value: float) -> bool:
    return value == 1.0


class TaskConfig(Section):
    """The loss of the task: of the student's logits against the labels."""

    loss: Literal["cross_entropy", "focal", "ohem", "dice", "lovasz"] = Field(
        "cross_entropy", description="loss of the logits against the labels"
    )
    class_weights: Literal["balanced", "logarithmic"] | tuple[NonNegativeFloat, ...] | None = Field(
        None,
        description="weight of each class; balanced: positions in all divided by classes times "
        "the class's positions, counted over the training set; logarithmic: 1 / ln(1.1 + the "
        "class's share of them); null: all 1",
        json_schema_extra={"source": "logarithmic: loadData.py of sacmehta/ESPNet, after ENet"},
    )
    ignore: tuple[NonNegativeInt, ...] = Field(
        (), description="class ids that the task loss leaves out; they are scored all the same"
    )
    threshold: float = Field(
        0.7,
        gt=0.0,
        lt=1.0,
        description="ohem leaves out positions whose class is more probable than this",
        json_schema_extra={"source": "OHEMPixelSampler of mmsegmentation"},
    )
    min_kept: Count = Field(
        100000,
        description="ohem keeps at least as many of the hardest positions per image",
        json_schema_extra={"unit": "positions", "source": "OHEMPixelSampler of mmsegmentation"},
    )
    # Left out of what is written unless it is set: runs of older releases keep their hash.
    weight: float = Field(
        1.0,
        ge=0.0,
        exclude_if=_is_one,
        description="weight of the loss of the task; 0 learns from the teacher alone",
    )
    gamma: float = Field(
        2.0,
        ge=0.0,
        description="focal multiplies the loss of a position by (1 - p)^gamma, p of its class",
        json_schema_extra={"source": "Lin et al., ICCV 2017"},
    )
    cross_entropy_weight: float = Field(
        0.0, ge=0.0, description="dice and lovasz add this times the cross-entropy"
    )


class TrainingConfig(Section):
    """How a learner is optimised."""

    steps: Count = Field(description="number of optimiser steps", json_schema_extra=_STEPS)
    optimizer: Literal["sgd", "adam", "adamw"] = Field(
        "sgd", description="optimiser of the student"
    )
    lr: PositiveFloat = Field(0.01, description="learning rate after the warm-up")
    momentum: float = Field(
        0.9, ge=0.0, lt=1.0, description="momentum of optimizer sgd; the others do not read it"
    )
    weight_decay: float = Field(
        5e-4, ge=0.0, description="weight decay: L2 in sgd and adam, decoupled in adamw"
    )
    decay_norms_and_biases: bool = Field(
        True, description="apply weight_decay to normalisation layers and biases too"
    )
    schedule: Literal["poly", "cosine", "step", "constant"] = Field(
        "poly", description="how the learning rate falls after the warm-up"
    )
    power: PositiveFloat = Field(0.9, description="exponent of schedule poly")
    step_every: Count | None = Field(
        None,
        description="steps after which schedule step multiplies the rate by step_factor, again "
        "and again",
        json_schema_extra=_STEPS,
    )
    step_factor: float = Field(0.1, gt=0.0, lt=1.0, description="factor of schedule step")
    lr_scale: dict[str, PositiveFloat] = Field(
        {},
        description="factors of the learning rate by tap or module path of the student, such as "
        "{head: 10}; of two that fit the longer counts",
    )
    layer_decay: float | None = Field(
        None,
        gt=0.0,
        le=1.0,
        description="factor of the learning rate from one layer of a timm backbone to the one "
        "before it, as ViTs are fine-tuned; times lr_scale; null: 1",
    )
    freeze: tuple[str, ...] = Field(
        (),
        description="taps or module paths of the student that are not trained, such as "
        "[backbone]; their batch norm stays as it is",
    )
    warmup_steps: int = Field(
        0,
        ge=0,
        description="steps in which the learning rate rises to lr",
        json_schema_extra=_STEPS,
    )
    clip_norm: PositiveFloat | None = Field(
        None, description="largest norm of the gradient, beyond which it is scaled; null: no limit"
    )
    accumulate: Count = Field(
        1,
        description="parts that a batch is computed in, one after the other, to save memory; "
        "must divide batch_size; batch norm sees one part at a time",
        json_schema_extra={"unit": "parts"},
    )
    ema: float | None = Field(
        None,
        gt=0.0,
        lt=1.0,
        description="decay per step of a running average of the weights, which is then the "
        "result; null: no average",
    )
    task: TaskConfig = Field(
        TaskConfig(),
        description="loss of the logits against the labels: cross_entropy, focal (gamma), ohem "
        "(threshold, min_kept), dice or lovasz (cross_entropy_weight), with class_weights (one "
        "for each class, balanced or logarithmic) and ids to ignore",
    )
    auxiliary_weight: float = Field(
        0.4, ge=0.0, description="weight of the auxiliary head's task loss"
    )
    label_smoothing: float = Field(
        0.0, ge=0.0, lt=1.0, description="label smoothing of the cross-entropy"
    )
    quantize: Literal["int8"] | None = Field(
        None,
        description="round weights and inputs of the student's layers to int8 while it learns, so "
        "that an INT8 file keeps its score; null: float alone",
        json_schema_extra={"source": "Jacob et al., CVPR 2018"},
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="number format of forward and backward; weights stay float32"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where to compute; auto takes a GPU where there is one"
    )
    devices: Count = Field(
        1,
        description="processes that share a batch, one device each",
        json_schema_extra={"unit": "devices"},
    )
    sync_batchnorm: bool = Field(
        True,
        description="with several devices, let batch norm see the batch of all; false: each its "
        "own part",
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
        False, description="also log to Weights & Biases, where WANDB_MODE and WANDB_PROJECT say"
    )
    mlflow: bool = Field(
        False, description="also log to MLflow, at MLFLOW_TRACKING_URI or in the run folder"
    )


class EvaluationConfig(Section):
    """How a network is scored."""

    split: Split = Field(
        "val", description="split of the dataset that is scored, or several joined"
    )
    scales: tuple[PositiveFloat, ...] = Field(
        (1.0,), min_length=1, description="image scales whose predictions are averaged"
    )
    flip: bool = Field(False, description="average with the prediction of the mirrored image")
    window: tuple[Count, Count] | None = Field(
        None,
        description="height and width of a sliding window, for images too large to predict at "
        "once; null: the whole image",
        json_schema_extra=_PIXELS,
    )
    # Left out of what is written unless it is set: runs of older releases keep their hash.
    shifts: dict[
        Literal["noise", "blur", "contrast", "brightness", "jpeg"],
        tuple[Annotated[int, Field(ge=1, le=5)], ...],
    ] = Field(
        {},
        exclude_if=operator.not_,
        description="corruptions that the images are scored under as well, each with severities "
        "from 1 to 5, such as {noise: [1, 3]}: noise, blur, contrast, brightness, jpeg",
        json_schema_extra={"source": "Hendrycks and Dietterich, ICLR 2019"},
    )
    pictures: int = Field(
        6,
        ge=0,
        description="predictions kept as pictures, spread over the split; a third as many of the "
        "worst and of the best images beside them",
        json_schema_extra=_IMAGES,
    )


TRUST = "code that files name and you allow: import:package.module:function or file:PATH"


class RunConfig(Section):
    """Everything that makes one run, apart from where it is written."""

    data: SerializeAsAny[DataConfig]
    teacher: SerializeAsAny[NetworkConfig] | None = None
    student: SerializeAsAny[NetworkConfig]
    distill: tuple[SerializeAsAny[LossConfig], ...] = ()
    training: TrainingConfig
    evaluation: EvaluationConfig = EvaluationConfig()
    # Words of the person who runs it: no part of what is written, where they would be a file's.
    trust: tuple[str, ...] = Field((), exclude=True, description=TRUST)

    def tree(self) -> Tree:
        """Return the resolved config as YAML would hold it, every default written out."""
        tree: Tree = self.model_dump(mode="json")
        return tree

    def hash(self) -> str:
        """Return 12 hexadecimal digits of all that changes the result of the run.

        Places count here and contents do not; whether a run goes on is decided by
        :func:`segdistill.config.identity.identity_of`.
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
    ("teacher", "untrained"),
    ("student", "untrained"),
    ("training", "checkpoint_every"),
    ("training", "log_every"),
    *(("training", logger) for logger in LOGGERS),
    ("evaluation", "pictures"),
)

# Keys that came after runs had been recorded: left out of the hash at their default.
_LATER_IN_TRAINING = (
    "sync_batchnorm",
    "step_every",
    "step_factor",
    "lr_scale",
    "layer_decay",
    "freeze",
    "task",
    "quantize",
)
