"""Every setting, once: the type check, the TOML key, the command-line flag and its help.

Recipes are complete TOML files under `passerby/recipes`; `load_recipe` reads one, `Config.to_toml` writes one.
Nothing here imports torch.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from passerby.errors import ConfigError, unknown_name

Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Settings(BaseModel):
    """A frozen group of settings in which an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataConfig(Settings):
    """Which dataset, and what of it is held out to choose the best checkpoint."""

    name: str = "synthetic"
    """A name of `passerby data list`, or one's own: a .csv or .parquet manifest, or a folder of folders."""
    root: Path | None = None
    """Folder that holds the dataset (or the images a manifest names)."""
    split: NonNegative = 0
    """Which split, for datasets with several."""
    arguments: dict[str, Any] = {}
    """Further arguments of the dataset's reader (for example mode = "labeled" for cuhk03)."""
    held_out_identities: NonNegative = 0
    """Training identities set aside to choose the best checkpoint; 0 keeps the last one."""


class InputConfig(Settings):
    """From an image file to the network's input."""

    height: Positive = 256
    """Pixels."""
    width: Positive = 128
    """Pixels."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Per channel (RGB, 0..1) mean that is subtracted; ImageNet's."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Per channel standard deviation that is divided by; ImageNet's."""
    cache: Literal["memory", "disk", "none"] = "memory"
    """Where decoded, resized images wait (uint8): in memory, in a memory-mapped file, or nowhere."""
    cache_dir: Path | None = None
    """Folder of the memory-mapped file (default: the user's cache folder)."""


class AugmentConfig(Settings):
    """Random changes of training images (Luo et al. 2019, arXiv:1903.07071, unless said otherwise)."""

    flip: Share = 0.5
    """Probability of a left-right flip."""
    pad: NonNegative = 10
    """Pixels of zero padding before a random crop back to the input size (at 256x128; scales with the height)."""
    color_jitter: Share = 0.0
    """Strength of random brightness, contrast and saturation; 0 leaves colours alone."""
    erasing: Share = 0.5
    """Probability of random erasing (Zhong et al. 2020, arXiv:1708.04896)."""
    erasing_area: tuple[float, float] = (0.02, 0.4)
    """Smallest and largest share of the image that is erased."""
    erasing_aspect: float = Field(0.3, gt=0.0, le=1.0)
    """Smallest height-to-width ratio of the erased box; the largest is its inverse."""


class SamplerConfig(Settings):
    """Which images meet in a batch."""

    kind: Literal["pk", "camera", "balanced", "hard_identity", "shuffled"] = "pk"
    """P x K; P x K spread over cameras; SphereReID's balanced batches; hard identities (GHIS); or plain shuffling."""
    identities: Positive = 16
    """P, identities in a batch."""
    images: Positive = 4
    """K, images of each identity in a batch."""
    epoch: Literal["chunks", "identities"] = "chunks"
    """What one epoch is: every image's chunk of K (strong baseline) or each identity once (Hermans et al.)."""
    refresh_epochs: Positive = 1
    """hard_identity: epochs between two searches for look-alikes."""
    linkage: Literal["mean", "min", "average"] = "mean"
    """hard_identity: distance of two identities: of their means, their nearest or their average pair."""
    candidates: NonNegative = 0
    """hard_identity: length of each identity's list of look-alikes; 0 means 4 (P - 1)."""

    @property
    def batch_size(self) -> int:
        """P x K."""
        return self.identities * self.images


class ModelConfig(Settings):
    """Backbone and head."""

    backbone: str = "osnet_x0_25"
    """A name of the BACKBONES table, or "timm:NAME"."""
    last_stride: Literal[1, 2] = 1
    """Stride of the last stage of a ResNet; 1 keeps the resolution (Sun et al. 2018)."""
    pooling: Literal["average", "max", "gem"] = "average"
    """How the feature map becomes a vector."""
    neck: Literal["none", "bnneck"] = "bnneck"
    """Batch norm between `feature` and `embedding` (BNNeck, Luo et al. 2019)."""
    fc_dims: tuple[int, ...] = ()
    """Fully connected layers after pooling (HAP2S: 1024, 128); the last one is the feature's dimension."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Dropout before the fully connected layers."""
    weights: Path | None = None
    """Start from this checkpoint (torchvision's, IBN-Net's, torchreid's or fast-reid's parameter names)."""


class TermConfig(Settings):
    """One weighted term of the objective."""

    loss: str | None = None
    """A name of the LOSSES table or an import path "module:Class"; default: the term's own name."""
    weight: float = 1.0
    """Factor of the term in the total."""
    reads: Literal["feature", "embedding"] | None = None
    """The vector before or after the neck; default: what the loss's paper does."""
    arguments: dict[str, Any] = {}
    """Constructor arguments of the loss."""


class DistillationConfig(Settings):
    """Learn the vectors of a stronger encoder beside the labels (see `passerby.losses.distillation`)."""

    vectors: Path | None = None
    """Parquet file with its vectors of the training images, from `passerby embed TEACHER --parts train`; none: off."""
    weight: float = Field(4.0, gt=0.0)
    """Factor of the term in the total; the default was chosen on held-out identities of Market-1501."""


class OptimizerConfig(Settings):
    """How gradients move the weights."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    """Optimiser."""
    lr: float = Field(3.5e-4, gt=0.0)
    """Base learning rate, after warm-up."""
    weight_decay: float = Field(5e-4, ge=0.0)
    """L2 penalty (adam, sgd) or decoupled decay (adamw); never on biases and normalisation layers."""
    momentum: float = Field(0.9, ge=0.0, lt=1.0)
    """sgd's momentum, Adam's first beta."""
    beta2: float = Field(0.999, ge=0.0, lt=1.0)
    """Adam's second beta."""
    head_lr_factor: float = Field(1.0, gt=0.0)
    """Learning-rate factor of everything that does not come from the pretrained backbone."""
    fused: bool = True
    """Update all weights in one kernel, where torch has one for the device."""
    clip_norm: float = Field(0.0, ge=0.0)
    """Clip the gradient's global norm; 0 does not."""
    ema_decay: float = Field(0.0, ge=0.0, lt=1.0)
    """Decay a step of an exponential moving average of the weights, which is then what is evaluated; 0: none."""


class ScheduleConfig(Settings):
    """Learning rate over epochs."""

    epochs: Positive = 120
    """Passes over the training set (see sampler.epoch)."""
    warmup_epochs: float = Field(10.0, ge=0.0)
    """Length of the linear warm-up."""
    warmup_start: float = Field(0.01, ge=0.0, le=1.0)
    """Factor of the base rate at the first step of the warm-up."""
    decay: Literal["step", "cosine", "constant"] = "step"
    """What follows the warm-up."""
    milestones: tuple[int, ...] = (40, 70)
    """step: epochs after which the rate is multiplied by gamma."""
    gamma: float = Field(0.1, gt=0.0, le=1.0)
    """step: that factor."""
    final: float = Field(0.01, ge=0.0, le=1.0)
    """cosine: factor of the base rate at the end."""
    per: Literal["epoch", "step"] = "epoch"
    """Whether the rate changes once an epoch (as the papers do) or at every step."""
    freeze_backbone_epochs: NonNegative = 0
    """Train only the head and the losses for so many epochs first."""
    small_until: Share = 0.0
    """Train at half the height and width for this share of the epochs first, which costs a quarter each."""


class RunConfig(Settings):
    """Everything else about a run."""

    seed: int = 0
    """The one seed of every random choice."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Arithmetic of the network; auto: bfloat16 on a GPU that has it, float32 elsewhere."""
    channels_last: bool = True
    """Memory layout that convolutions like."""
    micro_batch: NonNegative = 0
    """Most images that pass through the backbone at once, in each process; the losses still see the whole batch.
    0: all of them. Saves memory and costs up to one more forward pass."""
    recompute: bool = False
    """Compute the backbone's activations again in the backward pass instead of keeping them (gradient checkpointing).
    Saves memory and costs about one more forward pass; the numbers stay the same."""
    compile: bool = False
    """Compile the backbone with torch.compile; goes on without where that does not work."""
    threads: NonNegative = 0
    """CPU threads of torch; 0 leaves torch's choice."""
    checkpoint_minutes: float = Field(5.0, gt=0.0)
    """Besides at every epoch's end, save at least this often."""
    timeout_minutes: float = Field(10.0, gt=0.0)
    """Several processes: how long one waits for the others before it gives up."""
    evaluate_epochs: NonNegative = 5
    """Evaluate on the held-out identities every so many epochs; 0: only at the end."""


class EvaluationConfig(Settings):
    """How a trained model is judged."""

    protocol: str | None = None
    """Protocol by name; default: the dataset's own."""
    metric: Literal["euclidean", "cosine"] = "euclidean"
    """Distance of two vectors (encoders give unit vectors, for which both rank alike)."""
    flip: bool = True
    """Average the vectors of an image and its mirror image."""
    batch_size: Positive = 128
    """Images a forward pass."""


class Config(Settings):
    """A complete recipe: one file says everything about a training run."""

    name: str = "custom"
    """Recipe name."""
    description: str = ""
    """One sentence, with the paper."""
    data: DataConfig = DataConfig()
    input: InputConfig = InputConfig()
    augment: AugmentConfig = AugmentConfig()
    sampler: SamplerConfig = SamplerConfig()
    model: ModelConfig = ModelConfig()
    objective: dict[str, TermConfig] = {"softmax": TermConfig(arguments={"label_smoothing": 0.1})}
    distillation: DistillationConfig = DistillationConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    run: RunConfig = RunConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _has_a_term(self) -> Config:
        if not any(term.weight != 0 for term in self.objective.values()):
            raise ValueError("objective needs at least one term with a weight other than 0")
        for taken in ("total", "distillation"):
            if taken in self.objective:
                raise ValueError(f"objective: a term cannot be called {taken!r}, which names another part of the sum")
        return self

    def to_toml(self) -> str:
        """The complete configuration as TOML that `load_recipe` reads back."""
        return _to_toml(self.model_dump(mode="json", exclude_none=True))

    def __str__(self) -> str:
        return self.to_toml()


def recipe_names() -> list[str]:
    """Names of the recipes that come with passerby, sorted."""
    return sorted(p.name[:-5] for p in resources.files("passerby.recipes").iterdir() if p.name.endswith(".toml"))


def load_recipe(name: str | Path) -> Config:
    """Read a recipe by name, or from a TOML file.

    Args:
        name: a name of `recipe_names()`, or the path of a .toml file.

    Raises:
        ConfigError: no such recipe, not TOML, or a key or value that does not fit (with the nearest known key).
    """
    text, where = _recipe_text(name)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not TOML ({error})") from None
    return parse_config(content, where=where)


def _recipe_text(name: str | Path) -> tuple[str, str]:
    if str(name).endswith(".toml"):
        try:
            return Path(name).read_text("utf-8"), str(name)
        except OSError as error:
            raise ConfigError(f"{name}: the recipe file cannot be read ({error.strerror})") from None
    if str(name) not in recipe_names():
        raise ConfigError(unknown_name("recipe", str(name), recipe_names()) + ", or the path of a .toml file")
    return (resources.files("passerby.recipes") / f"{name}.toml").read_text("utf-8"), f"recipe {name}"


def parse_config(content: Mapping[str, Any], *, where: str) -> Config:
    """Check a mapping against the settings; `where` is what error messages call it.

    Raises:
        ConfigError: an unknown key (with the nearest known one) or a value that does not fit.
    """
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{where}: " + "; ".join(_explain(e) for e in error.errors())) from None


def _explain(error: Any) -> str:
    location = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return unknown_name("setting", location, _setting_names(error["loc"]))
    return f"{location or 'recipe'}: {error['msg']} (found {error['input']!r})" if location else str(error["msg"])


def _setting_names(location: tuple[str | int, ...]) -> list[str]:
    """Dotted names of the settings beside the unknown one."""
    model: Any = Config
    for part in location[:-1]:
        if model is Config and part == "objective":
            model = TermConfig
        elif isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[str(part)].annotation
    prefix = "".join(f"{part}." for part in location[:-1])
    return [prefix + name for name in model.model_fields]


def _to_toml(content: Mapping[str, Any]) -> str:
    lines: list[str] = []
    _write_table(content, (), lines)
    return "\n".join(lines).strip() + "\n"


def _write_table(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    # "arguments" stay inline: they belong to one term and may be empty
    nested = {k: v for k, v in table.items() if isinstance(v, Mapping) and k != "arguments"}
    plain = {k: v for k, v in table.items() if k not in nested and v != {}}
    if path and (plain or not nested):
        lines += ["", f"[{'.'.join(path)}]"]
    lines += [f"{key} = {_value(value)}" for key, value in plain.items()]
    for key, value in nested.items():
        _write_table(value, (*path, key), lines)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)  # strings, numbers and booleans are written alike in JSON and TOML
