"""Known public encoders by name: where their files are, what they read, what was published and measured of them.

The entries are facts in hub_encoders.toml, impostor laws (see docs/open-set.md) in hub_laws.json beside it. What is
absent there was not published, or not found.
"""

from __future__ import annotations

import json
import logging
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator

from passerby.config.encoder import EncoderSettings
from passerby.errors import WeightsError, unknown_name
from passerby.files import cache_folder
from passerby.models.hub_files import HubFile, take_file, where_to_get
from passerby.models.hugging_face import find_on_hugging_face
from passerby.models.sources import EncoderSource, is_hub_name

log = logging.getLogger("passerby")

_ENTRIES = Path(__file__).with_name("hub_encoders.toml")
_LAWS = Path(__file__).with_name("hub_laws.json")


class Figure(BaseModel):
    """Accuracy on a dataset, in percent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    mAP: float
    rank1: float
    how: str = ""
    """What was measured: definition of AP, mirror images."""
    command: str = ""
    """The command that gives the figure again."""

    def __str__(self) -> str:
        more = "; ".join(part for part in (self.how, self.command) if part)
        return f"{self.data}: {self.mAP:g} mAP, {self.rank1:g} rank-1" + (f" ({more})" if more else "")


class HubEncoder(BaseModel):
    """A public encoder; `print` shows what is known of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str
    licence: str
    """Of the weights."""
    source: str
    """The page that publishes it."""
    settings: EncoderSettings
    """How its file is read."""
    files: tuple[HubFile, ...]
    """The first one is the model; others lie beside it."""
    trained_on: str = ""
    data_terms: str = ""
    """Terms of the training data."""
    published: tuple[Figure, ...] = ()
    measured: tuple[Figure, ...] = ()
    """By this package."""
    laws: str = ""
    """Key of its impostor laws, and of what its distances of tracklets mean."""
    note: str = ""

    @model_validator(mode="after")
    def _has_files(self) -> Self:
        if not self.files:
            raise ValueError("files: expected at least one")
        return self

    @property
    def folder(self) -> Path:
        """Where its files lie, or will."""
        return cache_folder("hub") / self.name

    @property
    def is_here(self) -> bool:
        """Whether all its files are in the cache."""
        return all((self.folder / file.name).is_file() for file in self.files)

    @property
    def calibration(self) -> dict[str, Any]:
        """Its impostor laws and its law of tracklets, and of which people they are; {} where there are none."""
        return dict(_laws()[self.laws]) if self.laws else {}

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values; of the laws, the people they come from and the sizes of galleries."""
        laws = self.calibration
        sizes = [law["identities"] for law in laws.get("impostor_laws", {}).get("identify", [])]
        return {
            **self.model_dump(mode="json", exclude={"laws", "settings"}),
            "settings": self.settings.given(),
            "impostor_laws": {"people": laws["people"], "identities": sizes} if laws else None,
            "folder": str(self.folder),
            "here": self.is_here,
        }

    def __str__(self) -> str:
        unknown = "not published, or not found"
        laws = self.calibration
        lines = [
            f"{self.name}: {self.summary}",
            f"licence: {self.licence}",
            f"training data: {self.trained_on or unknown}; terms: {self.data_terms or unknown}",
            f"source: {self.source}",
            f"input: {', '.join(f'{k} {v}' for k, v in self.settings.given().items())}",
            *[f"published: {figure}" for figure in self.published],
            *([f"measured: {figure}" for figure in self.measured] or ["measured: not by us"]),
            f"impostor laws: {'of ' + laws['people'] if laws else 'none; `passerby calibrate` makes them'}",
            *[str(file) for file in self.files],
            f"here: {'yes' if self.is_here else 'no'}, {self.folder}",
        ]
        return "\n".join([*lines, *([f"note: {self.note}"] if self.note else [])])


@dataclass(frozen=True)
class FoundInHub:
    """A hub's encoder on this machine.

    Attributes:
        source: its file and settings, for `load_encoder`.
        provenance: what is known of it.
        calibration: its impostor laws, {} where there are none.
    """

    source: EncoderSource
    provenance: dict[str, Any]
    calibration: dict[str, Any]


def hub_encoders() -> list[HubEncoder]:
    """The known public encoders, by name."""
    return [entry for _, entry in sorted(_entries().items())]


def hub_info(name: str) -> HubEncoder:
    """What is known of one.

    Args:
        name: of `hub_encoders`, with or without "hub:".

    Raises:
        WeightsError: an unknown name (with the nearest known one).
    """
    known = _entries()
    name = name.removeprefix("hub:")
    if name not in known:
        raise WeightsError(unknown_name("encoder of the hub", name, known))
    return known[name]


def hub_get(name: str, *, files: Iterable[Path] = (), progress: bool = True) -> HubEncoder:
    """Bring the files of a public encoder into the cache: from their addresses, a mirror, or this machine.

    A download goes on where it stopped; size and checksum are compared, where they are published.
    `PASSERBY_HUB_URL` names a mirror, with the files at URL/NAME/FILE.

    Args:
        name: of `hub_encoders`, with or without "hub:".
        files: local files to take instead, or a folder that holds them; any file name will do for an encoder of one.
        progress: show a bar on stderr.

    Returns:
        The encoder; `load_encoder("hub:NAME")` reads it.

    Raises:
        WeightsError: an unknown name, or a local file that is not the one published.
        NetworkError: no address, no connection, or a damaged download (the message says what to fetch, and where to
            put it).
        StorageError: the cache cannot be written.
    """
    entry = hub_info(name)
    local = list(files)
    for file in entry.files:
        if local:
            take_file(file, entry.folder, local, single=len(entry.files) == 1)
        elif not (entry.folder / file.name).is_file():
            from passerby.models.hub_download import fetch_file

            fetch_file(file, entry.folder, entry.name, advice=where_to_get(entry.files, entry.folder, entry.name),
                       progress=progress)  # fmt: skip
    return entry


def find_in_hub(place: str) -> FoundInHub:
    """An encoder by its name in a hub, brought here where it is not yet.

    Args:
        place: "hub:NAME", "hf:USER/MODEL" or "hf:USER/MODEL/FILE".

    Raises:
        WeightsError: an unknown name, or nothing there that is an encoder.
        NetworkError: it cannot be fetched.
        MissingExtraError: "hf:" without huggingface_hub.
    """
    if place.startswith("hf:"):
        return FoundInHub(EncoderSource(str(find_on_hugging_face(place))), {"source": place}, {})
    entry = hub_get(place)
    source = EncoderSource(str(entry.folder / entry.files[0].name), entry.settings)
    return FoundInHub(source, _provenance(entry), entry.calibration)


def file_of_model(place: str | os.PathLike[str]) -> Path:
    """The file that a path names (which may not be there), or a hub's name, whose files are brought here.

    Raises:
        WeightsError: an unknown name of the hub.
        NetworkError: it cannot be fetched.
    """
    return Path(find_in_hub(os.fspath(place)).source) if is_hub_name(place) else Path(place).expanduser()


def recognise_file(source: EncoderSource) -> FoundInHub | None:
    """A model file that is a known public encoder's, by its checksum and whatever its name.

    Settings that nobody gave are those of the entry. Where somebody gave others, a warning says so, and the entry's
    impostor laws do not count: they are of vectors of other pixels.

    Args:
        source: a graph or a checkpoint.

    Returns:
        The file with all its settings; None: not a file that is known.
    """
    entry = next((entry for entry in hub_encoders() if _is_of(Path(source), entry)), None)
    if entry is None:
        return None
    known, given = entry.settings.given(), source.settings.given()
    others = {name: value for name, value in given.items() if name in known and value != known[name]}
    if others:
        log.warning(
            "%s: this file is hub:%s, which reads %s; given is %s, with which its vectors are worse and its impostor "
            "laws do not count",
            source,
            entry.name,
            _listed({name: known[name] for name in others}),
            _listed(others),
        )
    settings = EncoderSettings.model_validate({**known, **given})
    provenance = {} if others else _provenance(entry)
    return FoundInHub(EncoderSource(source.place, settings), provenance, {} if others else entry.calibration)


def _is_of(model: Path, entry: HubEncoder) -> bool:
    """Whether a file, and the weights beside an .xml, have the checksums of an entry's files."""
    here = [model, *([model.with_suffix(".bin")] if model.suffix == ".xml" else [])]
    return len(here) == len(entry.files) and all(
        file.checksum[0] and path.is_file() and not file.problem_of(path)
        for path, file in zip(here, entry.files, strict=True)
    )


def _listed(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _provenance(entry: HubEncoder) -> dict[str, Any]:
    return {"hub": entry.name, "licence": entry.licence, "source": entry.source, "data_terms": entry.data_terms}


@cache
def _entries() -> dict[str, HubEncoder]:
    content = tomllib.loads(_ENTRIES.read_text("utf-8"))
    return {name: HubEncoder.model_validate({"name": name, **values}) for name, values in content.items()}


@cache
def _laws() -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = json.loads(_LAWS.read_text("utf-8"))
    return content
