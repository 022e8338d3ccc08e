"""What is asked of golden files; each question opens them with today's code and returns plain values."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import passerby as pb

Answer = dict[str, Any]
THRESHOLD = 0.45
_ONE_OF_EACH_KIND = (
    "osnet_x1_0", "osnet_ibn_x1_0", "osnet_ain_x1_0", "resnet18", "resnet50", "resnet50_ibn_a", "resnet50_ibn_b",
    "se_resnet50", "resnext50", "se_resnext50", "mobilenet_v2", "inception_v2",
)  # fmt: skip
_NOT_WRITTEN_BY_THE_PACKAGE = (".py", ".pyc", "answers.json")


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every golden file, by its path inside the folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(_NOT_WRITTEN_BY_THE_PACKAGE))
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def plain(value: Any) -> Any:
    """As JSON would give it back: tuples are lists, keys are texts, arrays are lists of numbers with seven digits."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, np.ndarray):
        value = [float(f"{x:.7g}") for x in value] if value.ndim == 1 and value.dtype.kind == "f" else list(value)
    if isinstance(value, np.integer):
        value = int(value)
    return json.loads(json.dumps(value, default=plain))


def unpack(folder: Path, target: Path) -> Path:
    """A copy of the golden files to open, which may change them; what is compressed there is not in the copy."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for packed in target.rglob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    return target


# -- data -----------------------------------------------------------------------------------------------------------


def dataset_of(folder: Path, name: str) -> Answer:
    data = pb.load_dataset(folder / name)
    parts = {
        part: [[s.path.relative_to(folder).as_posix(), s.pid, s.camid, s.time, s.tracklet] for s in data.part(part)]
        for part in ("train", "query", "gallery")
    }
    found: Answer = plain({"protocol": data.protocol, "fingerprint": data.fingerprint(), **parts})
    return found


def drawn_folder(folder: Path) -> Answer:
    """The drawn dataset is complete: nothing is drawn again."""
    before = digests(folder / "people")
    data = pb.load_dataset("synthetic", folder / "people")
    counts = {part: len(data.part(part)) for part in ("train", "query", "gallery")}
    unchanged = digests(folder / "people") == before
    return {"protocol": data.protocol, "fingerprint": data.fingerprint(), **counts, "unchanged": unchanged}


# -- settings -------------------------------------------------------------------------------------------------------


def recipes(folder: Path) -> Answer:
    return {name: pb.load_recipe(folder / f"{name}.toml").model_dump(mode="json") for name in ("complete", "minimal")}


# -- models ---------------------------------------------------------------------------------------------------------


def encoder_of(folder: Path, place: str, engine: str | None = None) -> Answer:
    encoder = pb.load_encoder(folder / place, engine=engine)
    pictures = sorted((folder / "probes").glob("*.png"))
    crops = [sample.path for sample in pb.load_dataset(folder / "people.csv").query[:3]]
    found: Answer = plain(
        {
            "fingerprint": encoder.fingerprint,
            "dim": encoder.dim,
            "threshold": encoder.threshold,
            "calibration": encoder.calibration,
            "provenance": encoder.provenance,
            "vectors": encoder.encode([*pictures, *crops]),
            "vectors_without_flip": encoder.encode(pictures, flip=False),
        }
    )
    return found


def run_folder(folder: Path) -> Answer:
    config = pb.load_recipe(folder / "run" / "config.toml")
    run = pb.Run(folder / "run", config)
    return {"config": config.model_dump(mode="json"), "metrics": run.metrics[-2:], **encoder_of(folder, "run")}


def backbones(_: Path) -> Answer:
    """Weights of 0.1 fit the backbones, and mean the same: names and shapes in full size, vectors in small size."""
    return {name: {"weights": _weights_of(name), "vector": _vector_of(name)} for name in _ONE_OF_EACH_KIND}


def _model(backbone: str, **settings: Any) -> Any:
    return pb.build_model(pb.Config().model.model_copy(update={"backbone": backbone, **settings}))


def _weights_of(name: str) -> str:
    with torch.device("meta"):
        state = _model(name).state_dict()
    lines = sorted(f"{key} {tuple(tensor.shape)} {tensor.dtype}" for key, tensor in state.items())
    return f"{len(lines)} tensors, {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()[:16]}"


def _vector_of(name: str) -> Any:
    model = _model(f"tiny:{name}", pooling="gem", fc_dims=(24, 8)).eval()
    state = {key: _numbers(key, tensor) for key, tensor in model.state_dict().items()}
    model.load_state_dict(state)
    with torch.no_grad():
        return plain(F.normalize(model(_numbers("images", torch.empty(1, 3, 64, 32))).embedding)[0].numpy())


def _numbers(name: str, like: torch.Tensor) -> torch.Tensor:
    """Weights that depend on the name alone."""
    if not like.is_floating_point():
        return like
    drawn = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(tuple(like.shape))
    if like.ndim > 1:
        return torch.from_numpy(drawn * (2 / like[0].numel()) ** 0.5).to(like.dtype)
    centre = 1.0 if name.endswith(("weight", "running_var", "p")) else 0.0
    return torch.from_numpy(centre + 0.1 * np.abs(drawn)).to(like.dtype)


# -- vectors --------------------------------------------------------------------------------------------------------


def embeddings(folder: Path) -> Answer:
    answer = {}
    for part in ("query", "gallery"):
        read = pb.Embeddings.from_parquet(folder / "embeddings" / f"{part}.parquet")
        answer[part] = {name: getattr(read, name) for name in ("vectors", "pids", "camids", "paths", "fingerprint")}
        answer[part] |= {"tracklets": read.tracklets, "times": read.times}
    found: Answer = plain(answer)
    return found


# -- galleries ------------------------------------------------------------------------------------------------------


def gallery_answers(gallery: pb.Gallery, probes: dict[str, Any]) -> Answer:
    """All that a gallery says; `probes` are vectors or pictures by name."""
    observations = gallery.observations()
    vectors = gallery.vectors([o.id for o in observations])
    thumbnails = [gallery.thumbnail(o.id) for o in observations]
    ways: dict[str, dict[str, Any]] = {
        "plain": {"threshold": THRESHOLD, "top": 3},
        "at the gate": {"threshold": THRESHOLD, "camera": "gate"},
        "in a window": {"threshold": 0.2, "after": "2026-01-01", "before": 1_767_225_700, "top": 3},
        "by mean": {"threshold": THRESHOLD, "score": "mean", "exclude_camera": ["hall", 4], "top": 2},
        "by centroid": {"threshold": THRESHOLD, "score": "centroid", "top": 2},
    }
    found: dict[str, Any] = {}
    for name, probe in probes.items():
        for way, arguments in ways.items():
            answer = gallery.identify(probe, **arguments)
            found[f"{name}, {way}"] = {
                "known": answer.known,
                "identity": answer.identity,
                "threshold": answer.threshold,
                "considered": answer.considered,
                "excluded": answer.excluded,
                "matches": answer.matches,
            }
    everything: Answer = plain(
        {
            "size": len(gallery),
            "fingerprint": gallery.fingerprint,
            "dim": gallery.dim,
            "observation_count": gallery.observation_count,
            "identities": [dataclasses.asdict(identity) for identity in gallery.identities()],
            "observations": [dataclasses.asdict(observation) for observation in observations],
            "vectors": vectors,
            "thumbnails": [None if t is None else hashlib.sha256(t).hexdigest() for t in thumbnails],
            "history": [dataclasses.asdict(event) for event in gallery.history()],
            "history_of": {i.name: [e.id for e in gallery.history(i.name)] for i in gallery.identities()},
            "identify": found,
        }
    )
    return everything


def probes_of(folder: Path) -> dict[str, Any]:
    read = pb.Embeddings.from_parquet(folder / "embeddings" / "query.parquet")
    pictures = {name: folder / "probes" / f"{name}.png" for name in ("known", "stranger")}
    return {"query": read.vectors[0], **pictures}


def gallery_of(folder: Path, name: str) -> Answer:
    path = folder / "galleries" / f"{name}.gallery"
    with pb.Gallery.open(path, pb.load_encoder(folder / "encoder")) as gallery:
        gallery.check()
        answers = gallery_answers(gallery, probes_of(folder))
    with pb.Gallery.open(path) as gallery:  # without the encoder, whose threshold might stand in
        return {**answers, "own_threshold": gallery.threshold}


def gallery_of_bare_vectors(folder: Path) -> Answer:
    drawn = np.random.default_rng(6).standard_normal((2, 5)).astype(np.float32)
    with pb.Gallery.open(folder / "galleries" / "format-2-float16.gallery") as gallery:
        gallery.check()
        return {**gallery_answers(gallery, {"one": drawn[0], "other": drawn[1]}), "own_threshold": gallery.threshold}


def exported_gallery(folder: Path) -> Answer:
    """Identities get new moments and numbers when they are imported, so only what was exported is compared."""
    with pb.Gallery.open(folder / "imported", pb.load_encoder(folder / "encoder")) as gallery:
        count = gallery.import_parquet(folder / "galleries" / "exported.parquet")
        answers = gallery_answers(gallery, probes_of(folder))
        kept = ("fingerprint", "dim", "observation_count", "identities", "observations", "vectors", "thumbnails")
        return {"imported": count, **{name: answers[name] for name in kept}}


QUESTIONS: dict[str, Callable[[Path], Answer]] = {
    "manifest (CSV)": lambda folder: dataset_of(folder, "people.csv"),
    "manifest (Parquet)": lambda folder: dataset_of(folder, "people.parquet"),
    "drawn dataset": drawn_folder,
    "recipes": recipes,
    "run": run_folder,
    "encoder": lambda folder: encoder_of(folder, "encoder"),
    "encoder (ONNX)": lambda folder: encoder_of(folder, "encoder", "onnxruntime"),
    "encoder (int8)": lambda folder: encoder_of(folder, "encoder-int8"),
    "backbones": backbones,
    "embeddings": embeddings,
    "gallery (format 1)": lambda folder: gallery_of(folder, "format-1"),
    "gallery (format 2)": lambda folder: gallery_of(folder, "format-2"),
    "gallery (format 2, float16)": gallery_of_bare_vectors,
    "gallery (exported)": exported_gallery,
}
