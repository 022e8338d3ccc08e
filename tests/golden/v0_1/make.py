"""The golden files beside this script: what passerby 0.1.0 writes, and what it answers when it opens them.

Run with passerby 0.1.0, from the repository's root (OUT is emptied first; all but this script was copied from there):

    python -m tests.golden.v0_1.make OUT

NEVER RERUN WITH LATER VERSIONS: the files are the proof that those read what 0.1.0 wrote. A later version gets a folder
of its own. The people are drawn; no photograph is in these files.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from tests.golden.answers import QUESTIONS, digests, unpack

import passerby as pb
from passerby.config import parse_config
from passerby.data.pedestrian import Camera, Person, draw_person
from passerby.data.synthetic import draw_dataset
from passerby.gallery.gallery import Gallery
from passerby.gallery.records import Note
from passerby.gallery.service.keys import add_key
from passerby.gallery.stores.schema import VECTORS_PER_BLOCK
from passerby.training.losses_seen import LossesSeen

PEOPLE = Path("people")
ANSWERS = Path("answers.json")
PACKED = ("galleries/*.gallery", "*/checkpoint.pt", "*/encoder.onnx")
DAY = 1_767_225_600.0  # 2026-01-01, in seconds since 1970
THRESHOLD = 0.45


def main(out: Path) -> None:
    assert pb.__version__ == "0.1.0", "these files are those of version 0.1.0"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    os.chdir(out)  # no path of the machine gets into the files
    torch.set_num_threads(1)
    draw_dataset(PEOPLE, identities=12, train_identities=8, cameras=2, images_per_camera=2, distractors=2, seed=41)
    probes()
    manifests()
    recipes()
    data = pb.load_dataset("people.csv")
    pb.train(settings("golden", ema=0.0, epochs=40), data, out="run")
    interrupted(settings("golden-interrupted", ema=0.9, epochs=2), data)
    for folder in (Path("run"), Path("run-interrupted")):
        shutil.rmtree(folder / "tensorboard", ignore_errors=True)
    encoders(data)
    embeddings(data)
    galleries()
    reports(data)
    for name, role, rate in (("front-desk", "write", None), ("audit", "admin", 2.5)):
        add_key("keys.json", name, role=role, rate=rate)  # the tokens are thrown away
    for place in PACKED:
        for file in Path().glob(place):
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))
            file.unlink()
    content: dict[str, Any] = {"passerby": pb.__version__, "files": digests(Path())}
    for name, question in QUESTIONS.items():
        with tempfile.TemporaryDirectory() as copy:
            content[name] = question(unpack(Path(), Path(copy) / "golden"))
    lines = [f"{json.dumps(name)}: {json.dumps(answer, ensure_ascii=False)}" for name, answer in content.items()]
    ANSWERS.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def probes() -> None:
    """Lossless pictures, so that what is asked does not depend on a JPEG decoder: a known person and a stranger."""
    Path("probes").mkdir()
    for name, pid in (("known", 9), ("stranger", 77)):
        picture = draw_person(Person.of(41, pid), Camera.of(41, 1), np.random.default_rng(pid))
        Image.fromarray(picture).resize((48, 96)).save(f"probes/{name}.png", optimize=True)


def manifests() -> None:
    """people.csv names cameras, and has times and tracklets; people.parquet names persons, and has numbered cameras."""
    rows = []
    parts = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
    for folder, part in parts.items():
        for number, path in enumerate(sorted((PEOPLE / folder).glob("*.jpg"))):
            pid, camera = path.name.split("_")[:2]
            row = {"path": path.as_posix(), "pid": int(pid), "camid": int(camera[1]) - 1, "split": part}
            rows.append(row | {"time": DAY + 60.0 * number, "tracklet": int(pid) if number % 3 == 0 else None})
    with open("people.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            named = {"camid": ("door", "hall")[row["camid"]], "tracklet": "" if row["tracklet"] is None else "walk"}
            writer.writerow(row | named)
    people = [row | {"pid": f"person {row['pid']}"} for row in rows if row["pid"] > 0]
    pq.write_table(pa.Table.from_pylist(people), "people.parquet")


def settings(name: str, *, ema: float, epochs: int) -> pb.Config:
    return parse_config(
        {
            "name": name,
            "description": "Drawn people – “golden” files of 0.1",
            "data": {"name": "people.csv", "held_out_identities": 4},
            "input": {"height": 64, "width": 32, "mean": [0.5, 0.45, 0.4], "std": [0.25, 0.25, 0.25]},
            "augment": {"erasing": 0.25, "color_jitter": 0.1},
            "sampler": {"identities": 4, "images": 2},
            "model": {"backbone": "tiny:mobilenet_v2", "fc_dims": [16], "dropout": 0.05},
            "objective": {
                "softmax": {"arguments": {"label_smoothing": 0.1}},
                "trihard": {"loss": "batch_hard_triplet", "weight": 0.5, "arguments": {"margin": 0.3}},
            },
            "optimizer": {"lr": 2e-3, "ema_decay": ema},
            "schedule": {"epochs": epochs, "warmup_epochs": 1, "decay": "cosine", "per": "step"},
            "run": {"seed": 3, "device": "cpu", "threads": 1, "evaluate_epochs": 10, "checkpoint_minutes": 1e-9},
        },
        where="make.py",
    )


def recipes() -> None:
    """Those that come with 0.1.0 as anybody may have copied them, one that sets nearly all, and one nearly nothing."""
    Path("recipes").mkdir()
    shipped = Path(pb.__file__).parent / "recipes"
    for name in pb.recipe_names():
        shutil.copyfile(shipped / f"{name}.toml", f"recipes/{name}.toml")
    Path("minimal.toml").write_text('name = "minimal"\n', "utf-8")
    complete = settings("complete", ema=0.5, epochs=7).model_dump(mode="json", exclude_none=True)
    complete["data"] |= {"root": "datasets", "split": 1, "arguments": {"mode": "labeled", "shots": 2}}
    complete["input"] |= {"cache": "disk", "cache_dir": "cache"}
    complete["sampler"] |= {"kind": "hard_identity", "linkage": "average", "candidates": 9, "refresh_epochs": 2}
    complete["model"] |= {"backbone": "resnet50_ibn_a", "pooling": "gem", "weights": "weights.pth"}
    complete["objective"]["mine"] = {"loss": "my.losses:Mine", "reads": "embedding", "weight": 0.25}
    complete["distillation"] |= {"vectors": "teacher.parquet", "weight": 2.0}
    complete["optimizer"] |= {"name": "sgd", "clip_norm": 5.0, "head_lr_factor": 10.0}
    complete["schedule"] |= {"decay": "step", "milestones": [3, 5], "small_until": 0.5, "freeze_backbone_epochs": 1}
    complete["run"] |= {"precision": "bfloat16", "micro_batch": 4, "recompute": True, "compile": True}
    complete["evaluation"] |= {"protocol": "no_cameras", "metric": "cosine", "flip": False}
    Path("complete.toml").write_text(parse_config(complete, where="complete").to_toml(), "utf-8")


class Killed(BaseException):
    """Ends the training in the middle of an epoch."""


def interrupted(config: pb.Config, data: pb.ReIDDataset) -> None:
    record: Callable[..., None] = LossesSeen.record
    steps = 0

    def record_and_die(self: LossesSeen, terms: dict[str, torch.Tensor]) -> None:
        nonlocal steps
        steps += 1
        if steps == 4:  # two steps an epoch: the checkpoint is that of the first step of the second epoch
            raise Killed
        record(self, terms)

    LossesSeen.record = record_and_die
    try:
        pb.train(config, data, out="run-interrupted")
    except Killed:
        return
    finally:
        LossesSeen.record = record
    raise RuntimeError("the training was not interrupted")


def encoders(data: pb.ReIDDataset) -> None:
    """The run's encoder in a folder of its own with a threshold and its ONNX file, and its int8 file as another."""
    from passerby.export import export

    _, people = data.hold_out(4, seed=0)
    pb.calibrate("run", people, far=0.1, progress=False)
    shutil.copytree("run/encoder", "encoder")
    images = [sample.path for sample in data.train]
    export("encoder", "onnx", images=images[:4])
    export("encoder", "onnx", out="encoder-int8", int8=True, images=images)
    for folder in ("encoder", "encoder-int8"):  # the exporter notes for each node where the sources lie on the machine
        model = onnx.load(f"{folder}/encoder.onnx")
        for node in model.graph.node:
            del node.metadata_props[:]
        onnx.save_model(model, f"{folder}/encoder.onnx")


def embeddings(data: pb.ReIDDataset) -> None:
    encoder = pb.load_encoder("run")
    Path("embeddings").mkdir()
    for part in ("query", "gallery"):
        pb.embed(encoder, data.part(part), progress=False).to_parquet(f"embeddings/{part}.parquet")


def galleries() -> None:
    Path("galleries").mkdir()
    encoder = pb.load_encoder("encoder")
    with Gallery.open("galleries/format-2.gallery", encoder) as gallery:
        fill(gallery, own_threshold=True)
        gallery.check()
        gallery.export_parquet("galleries/exported.parquet")
    with Gallery.open("galleries/format-1.gallery", encoder) as gallery:
        fill(gallery, own_threshold=False)
        gallery.check()
    to_format_1(Path("galleries/format-1.gallery"))
    with Gallery.open("galleries/format-2-float16.gallery", storage="float16") as gallery:
        vectors = np.random.default_rng(5).standard_normal((135, 5)).astype(np.float32)  # more than one block of slots
        gallery.enroll_many(
            [f"person {row % 7}" for row in range(135)], vectors, cameras=[row % 3 for row in range(135)]
        )
        gallery.forget("person 4")
        gallery.enroll("person 2", vectors=vectors[3], camera="yard")  # in a slot that was given back


def fill(gallery: Gallery, *, own_threshold: bool) -> None:
    """Everything that can happen to a gallery."""

    def pictures(pid: int, camera: int) -> list[str]:
        found = sorted(str(path) for path in PEOPLE.glob(f"*/{pid:04d}_c{camera}*.jpg"))
        assert len(found) == 2, found
        return found

    assert gallery._encoder is not None
    vectors = np.asarray(gallery._encoder.encode([path for pid in (3, 4, 5) for path in pictures(pid, 1)]))
    gallery.enroll(
        "Ada", pictures(9, 1), camera="door", time=[DAY, DAY + 1.5], notes="Ausweis 17 – Straße", consent="signed",
        expires="2031-01-01", actor="desk",
    )  # fmt: skip
    gallery.enroll("Ada", pictures(9, 2)[:1], camera="hall", time="2026-01-01T12:00:00+01:00", actor="desk")
    gallery.enroll("Béla", pictures(10, 1), camera=2, time=DAY + 60, tracklet=True)
    jpeg = Path(pictures(3, 1)[0]).read_bytes()
    gallery.enroll_many(
        ["Chidi", "Chidi", "Dora", 7, "Dora", "Chidi"], vectors, cameras=["yard", None, "yard", 4, "hall", "hall"],
        times=[DAY + 5, None, DAY + 6, None, DAY + 7, 12.5], thumbnails=[jpeg, None, None, None, jpeg, None],
        actor="import",
    )  # fmt: skip
    gallery.set_threshold(0.3)
    gallery.set_threshold(THRESHOLD, actor="boss")
    near, far = np.asarray(vectors[0]), np.asarray(-vectors[0])
    sightings = [
        gallery.observe(near, camera="gate", time=DAY + 100),  # Chidi, not kept
        gallery.observe(far, camera="gate", time=DAY + 101, actor="camera"),  # unknown-1
        gallery.observe(far + 0.01, camera="hall", time=DAY + 102),  # unknown-1 again
        gallery.observe(near, camera="gate", time=DAY + 103, keep=True),  # Chidi, kept
        gallery.observe(pictures(1, 1)[0], camera="gate", time=DAY + 104, threshold=0.0),  # unknown-2, with a thumbnail
        gallery.observe(np.roll(far, 3), camera="gate", threshold=0.0),  # unknown-3
    ]
    assert [s.identity for s in sightings] == ["Chidi", "unknown-1", "unknown-1", "Chidi", "unknown-2", "unknown-3"]
    assert [s.new for s in sightings] == [False, True, False, False, True, True]
    gallery.rename("unknown-2", "Farid", actor="desk")
    gallery.merge("Ada", "unknown-1", actor="desk")
    gallery.merge("Dora", "Chidi")
    gallery.undo()
    gallery.split("Chidi", [gallery.observations("Chidi")[1].id], name="Chidi’s twin")
    gallery.enroll("Mistake", vectors=vectors[1])
    gallery.undo(actor="desk")  # what was deleted is back out, as if it had never been
    gallery.split("7", [gallery.enroll(7, pictures(2, 2)[0], camera=1)[0]])  # unknown-4
    gallery.undo()  # and so is the new unknown
    gallery.enroll("Hidden", pictures(12, 1), camera="door")
    gallery.forget("Hidden", actor="boss")
    gallery.enroll("Guest", pictures(11, 1), camera="door", expires="2026-02-01", consent="oral")
    gallery.purge("2026-03-01")
    gallery.update("Béla", name="Béla B.", notes="limps")
    gallery.update("Béla B.", notes="does not limp", expires="never")
    gallery.undo()
    gallery.log("asked", identity="Ada", actor="desk", reason="visit", minutes=3.5)
    gallery.log_many([Note("asked", "Béla B.", "desk"), Note("asked", "nobody", "desk", {"place": "gate"})])
    if not own_threshold:
        gallery.set_threshold(None)


def to_format_1(path: Path) -> None:
    """Format 1 had a row for each vector, where format 2 has one for each block of slots."""
    database = sqlite3.connect(path, isolation_level=None)
    blocks = database.execute("SELECT block, data FROM vectors").fetchall()
    (size,) = database.execute("SELECT 4 * dim FROM settings").fetchone()
    stored = {slot for (slot,) in database.execute("SELECT slot FROM observations")}
    database.execute("BEGIN")
    database.execute("DROP TABLE vectors")
    database.execute("CREATE TABLE vectors (slot INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    for block, data in blocks:
        for place in range(VECTORS_PER_BLOCK):
            slot = VECTORS_PER_BLOCK * block + place
            if slot in stored:
                database.execute("INSERT INTO vectors VALUES (?, ?)", (slot, data[size * place : size * (place + 1)]))
    database.execute("PRAGMA user_version = 1")
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def reports(data: pb.ReIDDataset) -> None:
    Path("reports").mkdir()
    query, gallery = (pb.Embeddings.from_parquet(f"embeddings/{part}.parquet") for part in ("query", "gallery"))
    encoder = pb.load_encoder("run")
    evaluated = pb.evaluate(encoder, data, progress=False)
    reranked = pb.evaluate(
        encoder, data, rerank={"k1": 4, "k2": 2, "lambda_value": 0.3}, ap="trapezoid", progress=False
    )
    enrolled = gallery.select(np.isin(gallery.pids, (9, 11)))
    open_set = pb.evaluate_open_set(
        query.vectors, enrolled.vectors, query.pids, enrolled.pids, query.camids, enrolled.camids,
        far=(0.0, 0.25, 0.5), ranks=(1, 2),
    )  # fmt: skip
    write: dict[str, Any] = {
        "evaluate": evaluated.to_dict(per_query=True),
        "evaluate-reranked": reranked.to_dict(),
        "open-set": open_set.to_dict(),
        "rank": pb.rank(query, gallery, top=3).to_dict(),
    }
    for name, content in write.items():
        Path(f"reports/{name}.json").write_text(json.dumps(content) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
