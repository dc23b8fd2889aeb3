"""The sections of a config: frozen records, and no key beside the declared ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    SerializeAsAny,
    field_validator,
)

from segdistill.files import expand_path

Tree = dict[str, Any]
"""A config as YAML gives it: nested dicts, lists and scalars."""


class Section(BaseModel):
    """Base of all sections: frozen, and no key beside the declared ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="after", check_fields=False)
    @classmethod
    def _expand(cls, value: Any) -> Any:
        """Fill in ``~`` and ``$VAR`` of every path."""
        return expand_path(value) if isinstance(value, Path) else value


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
    split: str = Field("train", description="split of that dataset; masks are not read")
    per_batch: PositiveInt = Field(description="how many of batch_size they are")
    labels: Literal["refuse", "teacher"] = Field(
        "refuse", description="of losses that need labels: refuse them, or the teacher's prediction"
    )


class DataConfig(NamedSection):
    """Where images come from and how a training batch is made of them."""

    selector = "dataset"

    dataset: str = Field(description="name of a dataset: segdistill list datasets")
    batch_size: PositiveInt = Field(8, description="images a step, over all processes")
    crop: tuple[PositiveInt, PositiveInt] = Field(description="height and width of a crop")
    scale: tuple[PositiveFloat, PositiveFloat] = Field(
        (0.5, 2.0), description="range of the random scale, before cropping"
    )
    flip: bool = Field(True, description="mirror every other image")
    jitter: float = Field(
        0.0, ge=0.0, le=1.0, description="strength of brightness, contrast and saturation jitter"
    )
    hue: float = Field(0.0, ge=0.0, le=0.5, description="largest turn of the colour wheel")
    blur: float = Field(0.0, ge=0.0, le=1.0, description="share of crops with a Gaussian blur")
    max_class_share: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="a crop that one class fills more of is drawn again; 1: off",
    )
    rare_class: float = Field(
        0.0, ge=0.0, le=1.0, description="share of crops drawn for rare classes, as in DAFormer"
    )
    rare_temperature: PositiveFloat = Field(
        0.01, description="of rare_class: the smaller, the more the rarest classes are drawn"
    )
    seed: int = Field(0, description="seed of order and augmentation: equal seed, equal batches")
    workers: int = Field(0, ge=0, description="loader processes; changes speed, never batches")
    on_error: Literal["raise", "skip"] = Field(
        "raise", description="skip: draw another for an image that cannot be read, and list it"
    )
    train_split: str = Field("train", description="split that is trained on, such as trainaug")
    holdout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="share of train_split kept out, as evaluation.split: holdout",
    )
    unlabelled: SerializeAsAny[UnlabelledConfig] | None = Field(
        None, description="section: dataset, per_batch, and what losses that need labels see there"
    )


class NetworkConfig(NamedSection):
    """A teacher or a student."""

    selector = "network"

    network: str = Field(description="name of a network: segdistill list networks")
    weights: Path | None = Field(None, description="safetensors file to start from")
    taps: dict[str, str] = Field({}, description="tap name to module path, where not the usual")


class LossConfig(NamedSection):
    """One distillation term of the objective."""

    selector = "loss"

    loss: str = Field(description="name of a loss: segdistill list losses")
    tap: str = Field(
        description="backbone, head, logits or a module path; the paper's unless given"
    )
    weight: float = Field(ge=0.0, description="weight in the objective; the paper's unless given")
    align: Literal["teacher", "student", "none"] = Field(
        "teacher", description="which map is resized where sizes differ"
    )
    project: Literal["linear", "conv_bn_relu", "mlp", "none"] = Field(
        "none", description="projector of the student where widths differ"
    )


class TrainingConfig(Section):
    """How a learner is optimised."""

    steps: PositiveInt = Field(description="optimiser steps")
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="sgd or adamw")
    lr: PositiveFloat = Field(0.01, description="learning rate after warm-up")
    momentum: float = Field(0.9, ge=0.0, lt=1.0, description="of sgd")
    weight_decay: float = Field(5e-4, ge=0.0, description="L2 of sgd, decoupled in adamw")
    decay_norms_and_biases: bool = Field(
        True, description="false: no weight decay on normalisation layers and biases"
    )
    schedule: Literal["poly", "cosine", "constant"] = Field("poly", description="of the rate")
    power: PositiveFloat = Field(0.9, description="of the poly schedule")
    warmup_steps: int = Field(0, ge=0, description="linear warm-up before the schedule")
    clip_norm: PositiveFloat | None = Field(None, description="largest gradient norm")
    accumulate: PositiveInt = Field(
        1, description="parts that a batch is split into to save memory; must divide it"
    )
    ema: float | None = Field(
        None, gt=0.0, lt=1.0, description="decay of averaged weights, which are then the result"
    )
    auxiliary_weight: float = Field(0.4, ge=0.0, description="of the auxiliary head's loss")
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0, description="of the task loss")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="of forward and backward; weights are float32"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="cuda where there is one")
    devices: PositiveInt = Field(1, description="processes, one device each")
    deterministic: bool = Field(False, description="bit-identical runs on a GPU, slower")
    seed: int = Field(0, description="seed of initialisation and dropout")
    evaluate_every: PositiveInt | None = Field(None, description="steps; else only at the end")
    checkpoint_every: PositiveInt = Field(500, description="steps between checkpoints")
    log_every: PositiveInt = Field(20, description="steps between lines of metrics.jsonl")
    tensorboard: bool = Field(False, description="also write TensorBoard files")


class EvaluationConfig(Section):
    """How a network is scored."""

    split: str = Field("val", description="split of the dataset")
    scales: tuple[PositiveFloat, ...] = Field((1.0,), description="scales averaged")
    flip: bool = Field(False, description="also average the mirrored image")
    window: tuple[PositiveInt, PositiveInt] | None = Field(
        None, description="height and width of a sliding window, for large images"
    )
    pictures: int = Field(6, ge=0, description="predictions kept as pictures")


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
        """Return 12 hexadecimal digits of all that changes the result of the run."""
        tree = self.tree()
        for section, key in _RESULT_DOES_NOT_DEPEND_ON:
            tree[section].pop(key)
        for key in self.data.left_out():
            tree["data"].pop(key)
        if self.data.unlabelled is not None:
            for key in self.data.unlabelled.left_out():
                tree["data"]["unlabelled"].pop(key)
        text = json.dumps(tree, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


_RESULT_DOES_NOT_DEPEND_ON = (
    ("data", "workers"),
    ("training", "checkpoint_every"),
    ("training", "log_every"),
    ("training", "tensorboard"),
    ("evaluation", "pictures"),
)
