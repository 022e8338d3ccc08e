"""Encoders on the Hugging Face hub, fetched by its own client (extra `hub`)."""

from __future__ import annotations

from pathlib import Path

from passerby.errors import MissingExtraError, NetworkError, WeightsError
from passerby.models.sources import CHECKPOINTS, DESCRIPTIONS, GRAPHS

_WANTED = (*GRAPHS, *CHECKPOINTS, *DESCRIPTIONS, ".bin")
_DESCRIBED = ("encoder.json", "encoder.toml")


def find_on_hugging_face(place: str) -> Path:
    """Fetch an encoder; what its client has fetched before is not fetched again.

    Args:
        place: "hf:USER/MODEL" or "hf:USER/MODEL/FILE".

    Returns:
        The folder, where it describes its encoder (encoder.json, encoder.toml); else the model file.

    Raises:
        WeightsError: not such a name, no such model or file, or not exactly one model file there.
        NetworkError: no connection.
        MissingExtraError: huggingface_hub is not installed.
    """
    parts = place.removeprefix("hf:").split("/")
    if len(parts) < 2 or not all(parts):
        raise WeightsError(f"{place}: expected hf:USER/MODEL or hf:USER/MODEL/FILE")
    repository, file = "/".join(parts[:2]), "/".join(parts[2:])
    folder = _fetch(place, repository, file)
    if file:
        return folder / file
    if any((folder / name).is_file() for name in _DESCRIBED):
        return folder
    models = sorted(path for path in folder.rglob("*") if path.suffix.startswith((*GRAPHS, *CHECKPOINTS)))
    if len(models) != 1:
        found = ", ".join(path.relative_to(folder).as_posix() for path in models) or "none"
        raise WeightsError(f"{place}: expected encoder.json, encoder.toml or one model file, found {found}; name one: "
                           f"hf:{repository}/FILE")  # fmt: skip
    return models[0]


def _fetch(place: str, repository: str, file: str) -> Path:
    try:
        import huggingface_hub
        from huggingface_hub.errors import (
            EntryNotFoundError,
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "hub", f"fetching {place}") from error
    beside = [str(Path(file).with_suffix(".bin"))] if file.endswith(".xml") else []
    wanted = [file, *beside] if file else [f"*{end}*" for end in _WANTED]
    try:
        folder = Path(huggingface_hub.snapshot_download(repository, allow_patterns=wanted))
    except LocalEntryNotFoundError as error:
        raise NetworkError(
            f"{place}: cannot be fetched ({error}); fetch it from https://huggingface.co/{repository} and give the file"
        ) from error
    except (RepositoryNotFoundError, EntryNotFoundError, HFValidationError) as error:
        raise WeightsError(f"{place}: no such model on the Hugging Face hub ({str(error).splitlines()[0]})") from error
    except HfHubHTTPError as error:
        raise NetworkError(f"{place}: cannot be fetched ({error})") from error
    if file and not (folder / file).is_file():
        raise WeightsError(f"{place}: https://huggingface.co/{repository} has no file {file}")
    return folder
