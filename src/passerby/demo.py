"""`passerby demo`: everything once on drawn people, from images to "this is visitor-07" and "unknown"."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from passerby.config import load_recipe
from passerby.data.datasets import load_dataset
from passerby.data.records import ReIDDataset, Sample
from passerby.data.synthetic.dataset import draw_dataset
from passerby.data.synthetic.film import DrawnFilm, draw_films
from passerby.embedding.embed import embed
from passerby.embedding.embeddings import Embeddings
from passerby.evaluation.closed_set.result import Report
from passerby.evaluation.evaluate import score
from passerby.evaluation.open_set.calibration import calibrate
from passerby.evaluation.open_set.curves import OpenSetPoint, OpenSetReport, evaluate_open_set
from passerby.evaluation.open_set.thresholds import Threshold
from passerby.evaluation.tracks import TrackReport
from passerby.gallery.gallery import Gallery
from passerby.models.encoder import Encoder, load_encoder
from passerby.report.html_page import Picture, Section, Strip
from passerby.report.report import write_report
from passerby.tracking.films import read_frames
from passerby.tracking.result import TrackedFilm
from passerby.tracking.track import track
from passerby.tracking.tracklet_calibration import calibrate_tracklets
from passerby.tracking.writers.annotated_film import draw_identities
from passerby.training.run import Run
from passerby.training.trainer import train

log = logging.getLogger("passerby")

FALSE_ALARMS = 0.01
"""Asked false accept rate: share of the pictures of people who are not enrolled that may be taken for somebody."""
_NO_FILM = "no film was tracked: that needs pip install 'passerby[track]'"
TRAINED = 660
"""Drawn people of the training set; the recipe holds 200 of them out for the calibration."""
OUTFITS = 60
"""Nearly half of all people wear one of so many outfits, about five people each."""
ENROLLED = 20
"""People of the test set that the demo's gallery knows."""
IMPOSTORS = 220
"""The other people of the test set, whom it does not know."""
ENROLLING_CAMERAS = (0, 1, 2)
"""Where they were seen when they were enrolled; the demo asks about pictures from the other camera."""


@dataclass(frozen=True)
class Identified:
    """What the gallery answered for pictures of enrolled people and of impostors.

    Attributes:
        recognised: pictures of enrolled people that were recognised.
        confused: of those, taken for another enrolled person.
        missed: of those, called unknown.
        impostors_refused: pictures of people who are not enrolled that were called unknown.
        impostors_accepted: of those, taken for somebody.
        impostors: people who are not enrolled.
        best: the same pictures with the threshold that accepts just the asked share of these impostors, which only the
            test can know: what the network's vectors would allow.
        rank1: share of the pictures of enrolled people whose nearest person is the right one.
    """

    recognised: int
    confused: int
    missed: int
    impostors_refused: int
    impostors_accepted: int
    impostors: int
    best: OpenSetPoint
    rank1: float

    @property
    def detection_rate(self) -> float:
        """Share of the pictures of enrolled people that were recognised (DIR)."""
        return self.recognised / (self.recognised + self.confused + self.missed)

    @property
    def false_accept_rate(self) -> float:
        """Share of the pictures of people who are not enrolled that were taken for somebody (FAR)."""
        return self.impostors_accepted / (self.impostors_refused + self.impostors_accepted)

    def __str__(self) -> str:
        known = self.recognised + self.confused + self.missed
        impostors = self.impostors_refused + self.impostors_accepted
        return (
            f"{ENROLLED} people enrolled by {len(ENROLLING_CAMERAS)} cameras, {self.impostors} people who are not, "
            f"pictures of another camera; asked false accept rate {FALSE_ALARMS:.0%}:\n"
            f"{known} pictures of enrolled people: {self.recognised} recognised (DIR {self.detection_rate:.1%}), "
            f"{self.confused} taken for somebody else, {self.missed} called unknown\n"
            f"{impostors} pictures of people who are not enrolled: {self.impostors_refused} called unknown, "
            f"{self.impostors_accepted} taken for somebody (FAR {self.false_accept_rate:.1%})\n"
            f"with the test's own best threshold: DIR {self.best.dir[1]:.1%} at a FAR of {self.best.far:.1%}; the "
            f"nearest person is the right one for {self.rank1:.1%} of the enrolled people's pictures"
        )


@dataclass(frozen=True)
class Demo:
    """What a demo found and where it is."""

    folder: Path
    report: Path
    plain: Report
    reranked: Report
    threshold: Threshold
    identified: Identified
    tracked: TrackReport | None
    seconds: float
    probe: Path
    """A picture of an enrolled person by a camera that did not enrol them."""
    camera: str
    """Which one."""

    def __str__(self) -> str:
        return f"""
{self.plain}

re-ranked: mAP {self.reranked.mAP:.3f}, rank-1 {self.reranked.rank(1):.3f}
{self.threshold}
{self.identified}
{_NO_FILM if self.tracked is None else f"two drawn films: {self.tracked}"}

{self.seconds:.0f} s in all. The report to look at: {self.report}

next:
  passerby identify {self.folder / "people.gallery"} {self.probe} --encoder {self.folder / "run"} --camera {self.camera}
  passerby serve {self.folder / "people.gallery"} --encoder {self.folder / "run"}
  passerby recipes
  passerby data check market1501 --root FOLDER
  passerby train strong_baseline --data.name market1501 --data.root FOLDER"""


def demo(out: str | os.PathLike[str] = "demo", *, seed: int = 0) -> Demo:
    """Draw people, train, evaluate, calibrate, enrol, identify, track in films, and write a report.

    Args:
        out: folder of everything; run again, the demo goes on where it stopped.
        seed: of the drawing and the training.

    Returns:
        The numbers, and the paths of the gallery and the report; prints well.

    Raises:
        StorageError: the folder cannot be written.
    """
    started = time.monotonic()
    folder = Path(out)
    recipe = load_recipe("demo")
    log.info("drawing people under four cameras")
    identities = TRAINED + ENROLLED + IMPOSTORS
    root = draw_dataset(
        folder / "people", identities=identities, train_identities=TRAINED, cameras=4, seed=seed, common_outfits=OUTFITS
    )
    config = recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"root": root}),
            "run": recipe.run.model_copy(update={"seed": seed}),
        }
    )
    data = load_dataset("synthetic", root)
    run = train(config, data, out=folder / "run")
    # Calibrate on people who served neither training nor the test: a threshold chosen on the test is optimistic.
    threshold = calibrate(run.path, run.held_out, far=FALSE_ALARMS)
    encoder = load_encoder(run.path)

    query = embed(encoder, data.query)
    gallery = embed(encoder, data.gallery)
    plain = score(query, gallery, protocol=data.protocol)
    reranked = score(query, gallery, protocol=data.protocol, rerank="k_reciprocal")
    identified, open_set = _use(folder / "people.gallery", encoder, query, gallery)
    films = _track(folder, encoder, run, seed)
    report = write_report(
        folder / "report.html",
        title="passerby demo: drawn people under four cameras",
        reports={"plain": plain, "re-ranked": reranked},
        query=query,
        gallery=gallery,
        open_set=open_set,
        threshold=threshold,
        metrics=run.path / "metrics.jsonl",
        encoder=encoder,
        notes=str(identified).splitlines(),
        extra_sections=() if films is None else (films[1],),
    )
    tracked = None if films is None else films[0]
    probe = _probe(data)
    return Demo(
        folder,
        report,
        plain,
        reranked,
        threshold,
        identified,
        tracked,
        time.monotonic() - started,
        Path(probe.path),
        _camera(probe.camid),
    )


def _track(folder: Path, encoder: Encoder, run: Run, seed: int) -> tuple[TrackReport, Section] | None:
    """Follow people whom the encoder does not know through two drawn films; None without the extra `track`."""
    if any(importlib.util.find_spec(name) is None for name in ("av", "trackers", "trackeval")):
        return None
    log.info("drawing films of two cameras, and following people through them")
    films = draw_films(folder / "films", people=4, cameras=2, seconds=10, seed=seed + 1)
    boxes = [_without_identities(film) for film in films]
    held_out = run.held_out
    law = calibrate_tracklets(embed(encoder, [*held_out.query, *held_out.gallery], progress=False))
    out = folder / "tracked"
    shutil.rmtree(out, ignore_errors=True)
    sources = [film.film for film in films]
    result = track(sources, encoder=encoder, boxes=boxes, calibration=law, out=out, progress=False)
    report = result.evaluate({film.camera: film.truth for film in films})
    strip = Strip("The frame with the most people", None, tuple(_fullest_frame(film) for film in result.films))
    return report, Section("Two drawn films", text=(str(result), str(report)), strips=(strip,))


def _without_identities(film: DrawnFilm) -> Path:
    """A detector's file: the true boxes."""
    path = film.truth.with_name(f"{film.camera}_boxes.txt")
    rows = [line.split(",") for line in film.truth.read_text("utf-8").splitlines()]
    path.write_text("".join(",".join([frame, "-1", *rest]) + "\n" for frame, _, *rest in rows), "utf-8")
    return path


def _fullest_frame(film: TrackedFilm) -> Picture:
    """The frame of a film in which most people are, with their boxes and numbers."""
    frames, counts = np.unique(film.rows.frames, return_counts=True)
    number = int(frames[counts.argmax()])
    wanted = read_frames(film.source, wanted=lambda index: index == number, last=number, bits=film.bits)
    image = [frame.image for frame in wanted][-1]
    places = np.flatnonzero(film.rows.frames == number).tolist()
    drawn = None if image is None else draw_identities(image, film.rows, places)
    return Picture(drawn, f"{film.name}, frame {number}, with a box and a number for each person", (film.name,))


def _use(path: Path, encoder: Encoder, query: Embeddings, gallery: Embeddings) -> tuple[Identified, OpenSetReport]:
    """Enrol some people under some cameras, then identify pictures of them and of impostors from the other camera."""
    known = {pid: f"visitor-{n:02d}" for n, pid in enumerate(np.unique(query.pids)[:ENROLLED].tolist(), 1)}
    enrolled = gallery.select(
        np.isin(gallery.pids, list(known)) & np.isin(gallery.camids, ENROLLING_CAMERAS)
    )  # the test set's queries stay probes
    probes = _joined(query, gallery)
    probes = probes.select((probes.pids > 0) & ~np.isin(probes.camids, ENROLLING_CAMERAS))
    path.unlink(missing_ok=True)
    with Gallery.open(path, encoder, far=FALSE_ALARMS) as people:
        for pid, name in known.items():
            own = enrolled.select(enrolled.pids == pid)
            people.enroll(name, list(own.paths), camera=[f"camera-{camera + 1}" for camera in own.camids])
        cameras = [f"camera-{camera + 1}" for camera in probes.camids]
        found = people.identify_many(vectors=probes.vectors, cameras=cameras)
    answers = [(known.get(pid), one.identity) for pid, one in zip(probes.pids.tolist(), found, strict=True)]
    genuine = [(name, said) for name, said in answers if name is not None]
    impostors = [said for name, said in answers if name is None]
    open_set = evaluate_open_set(
        probes.vectors, enrolled.vectors, probes.pids, enrolled.pids, probes.camids, enrolled.camids,
        far=(FALSE_ALARMS, 0.1), exclude="same_camera",
    )  # fmt: skip
    identified = Identified(
        recognised=sum(name == said for name, said in genuine),
        confused=sum(said is not None and name != said for name, said in genuine),
        missed=sum(said is None for _, said in genuine),
        impostors_refused=sum(said is None for said in impostors),
        impostors_accepted=sum(said is not None for said in impostors),
        impostors=len(np.unique(probes.pids)) - len(known),
        best=open_set.at(FALSE_ALARMS),
        rank1=open_set.at(1.0).dir[1],
    )
    return identified, open_set


def _enrolled(data: ReIDDataset) -> list[int]:
    return sorted({s.pid for s in data.query})[:ENROLLED]


def _probe(data: ReIDDataset) -> Sample:
    known = set(_enrolled(data))
    return next(s for s in data.query if s.pid in known and s.camid not in ENROLLING_CAMERAS)


def _camera(camid: int) -> str:
    return f"camera-{camid + 1}"


def _joined(one: Embeddings, other: Embeddings) -> Embeddings:
    return Embeddings(
        vectors=np.concatenate([one.vectors, other.vectors]),
        pids=np.concatenate([one.pids, other.pids]),
        camids=np.concatenate([one.camids, other.camids]),
        paths=(*one.paths, *other.paths),
        fingerprint=one.fingerprint,
    )
