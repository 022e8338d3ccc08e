"""Finding a dataset's folder and parsing the names of the files in it.

Three rules that every reader follows: the file name alone is parsed, with an anchored pattern; names are sorted
bytewise before anything is drawn or labelled; a file with the right extension that does not parse is an error.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from passerby.errors import DataError
from passerby.images.decode import EXTENSIONS, HEIC_EXTENSIONS

NOT_READ = "not read"
"""First words of a note, or a warning, about what lies there and was left out."""
_NAMED = 3  # examples in such a note
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar", ".gz")
_LITTER = frozenset({"thumbs.db", ".ds_store", "desktop.ini", "__macosx"})


def is_litter(name: str) -> bool:
    """Whether an operating system left this file or folder behind (`Thumbs.db`, `.DS_Store`, `._x`, `__MACOSX`)."""
    return name.lower() in _LITTER or name.startswith("._")


def is_image_name(name: str) -> bool:
    """Whether the extension, in either case, is one of an image in a format that is decoded here."""
    return name.lower().endswith(_extensions())


@functools.cache
def _extensions() -> tuple[str, ...]:
    return EXTENSIONS + (HEIC_EXTENSIONS if importlib.util.find_spec("pillow_heif") else ())


def entries(folder: Path) -> list[str]:
    """Names in a folder, sorted bytewise, without what operating systems leave behind.

    Raises:
        DataError: the folder is missing, not a folder, or cannot be read.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        raise DataError(f"{folder}: no such folder") from None
    except NotADirectoryError:
        raise DataError(f"{folder}: not a folder{_unpack(folder)}") from None
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
    return sorted((name for name in names if not is_litter(name)), key=os.fsencode)


def subfolders(folder: Path, pattern: str = "") -> list[str]:
    """Names of the folders in a folder, sorted bytewise; those that match the whole `pattern` if one is given."""
    known = re.compile(pattern or ".*", re.DOTALL)
    return [name for name in entries(folder) if known.fullmatch(name) and (folder / name).is_dir()]


def person_folders(folder: Path, pattern: str, example: str, *, dataset: str) -> list[str]:
    """Names of the folders of persons in a folder, sorted bytewise; none where no name matches.

    Args:
        folder: where they lie.
        pattern: regular expression for the whole name.
        example: a right name, for the error message.
        dataset: the dataset's name, for the error message.

    Raises:
        DataError: other folders, or images, lie beside them, whose persons nobody would know.
    """
    names = subfolders(folder, pattern)
    known = set(names)
    others = [n for n in entries(folder) if n not in known and (is_image_name(n) or (folder / n).is_dir())]
    if names and others:
        raise DataError(
            f"{dataset}: {len(others):,} of {len(others) + len(names):,} names in {folder} are no folders like "
            f"{example}: {', '.join(others[:_NAMED])}{', ...' if len(others) > _NAMED else ''}"
        )
    return names


def refuse_absent(paths: Iterable[Path], listed: Path, *, dataset: str) -> None:
    """Refuse images that a list names and that do not exist; each folder is read once.

    Args:
        paths: of the images.
        listed: what names them, for the error message.
        dataset: the dataset's name, for the error message.

    Raises:
        DataError: some do not exist.
    """
    held: dict[Path, frozenset[str]] = {}
    absent = []
    for path in paths:
        if path.parent not in held:
            held[path.parent] = frozenset(os.listdir(path.parent) if path.parent.is_dir() else ())
        if path.name not in held[path.parent]:
            absent.append(path)
    if absent:
        raise DataError(f"{dataset}: {len(absent):,} images that {listed} lists are missing, first {absent[0]}")


def image_names(folder: Path) -> list[str]:
    """Names of the image files directly in a folder, sorted bytewise; a folder may be called like an image."""
    folders = _folders_like_images(folder)
    return [name for name in entries(folder) if is_image_name(name) and name not in folders]


def _folders_like_images(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as found:
            return {entry.name for entry in found if is_image_name(entry.name) and entry.is_dir()}
    except OSError:  # `entries` says what is wrong
        return set()


def not_read(what: str, names: Sequence[str]) -> str:
    """A note on what was left out: how many of what, and the first few by name."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{NOT_READ}: {len(names):,} {what}: {', '.join(names[:_NAMED])}{more}"


def not_read_by_extension(names: Sequence[str]) -> str:
    """The note on files whose extension is none of an image, counted by extension."""
    return not_read(f"file(s) by extension ({by_extension(names)})", names)


def by_extension(names: Sequence[str]) -> str:
    """How many files have each extension, in words, the most frequent first."""
    counts = Counter(os.path.splitext(name)[1].lower() or "none" for name in names)
    return ", ".join(f"{end}: {n:,}" for end, n in counts.most_common())


def parse_names(
    folder: Path, pattern: str, example: str, *, dataset: str, others: str = "refuse"
) -> Iterator[tuple[Path, re.Match[str]]]:
    """Match every image name of a folder against the dataset's grammar.

    Args:
        folder: where the images lie.
        pattern: regular expression for the whole file name; letters match in either case.
        example: a right name, for the error message.
        dataset: the dataset's name, for the error message.
        others: "refuse" names that do not match, or "skip" them (where masks lie beside the images).

    Yields:
        (path of the image, match) in bytewise order of the names.

    Raises:
        DataError: a name does not match, or there is no image at all.
    """
    grammar = re.compile(pattern, re.IGNORECASE)
    matches = [(name, grammar.fullmatch(name)) for name in image_names(folder)]
    if not matches:
        raise DataError(f"{dataset}: {folder} holds no image; expected files like {example}")
    wrong = [name for name, match in matches if match is None]
    if wrong and (others == "refuse" or len(wrong) == len(matches)):
        raise DataError(
            f"{dataset}: {len(wrong):,} of {len(matches):,} image names in {folder} are not like {example}: "
            f"{', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''}. "
            "Is this another dataset, another version of it, or a file that does not belong here?"
        )
    for name, match in matches:
        if match is not None:
            yield folder / name, match


def find_folder(root: str | os.PathLike[str], needs: Sequence[str], known: Sequence[str], *, dataset: str) -> Path:
    """The folder that holds what a dataset needs: `root` itself, or a folder of a known name in it.

    Args:
        root: what the user named; `~` is expanded.
        needs: names that must exist in the folder (`a/b` for nested ones).
        known: usual names of the dataset's folder, tried in `root` in this order.
        dataset: the dataset's name, for the error message.

    Raises:
        DataError: `root` does not exist, or neither it nor a known folder in it holds what is needed.
    """
    top = Path(root).expanduser()
    if not top.exists():
        raise DataError(f"{dataset}: {top} does not exist; give the folder that holds {known[0]} (or that one itself)")
    if not top.is_dir():
        raise DataError(
            f"{dataset}: {top} is a file{_unpack(top)}; give the folder that holds {known[0]} (or that one itself)"
        )
    candidates = [top, *(top / name for name in known)]
    for folder in candidates:
        if all((folder / need).exists() for need in needs):
            return folder
    nearest = max(candidates, key=lambda folder: sum((folder / need).exists() for need in needs))
    missing = [need for need in needs if not (nearest / need).exists()]
    found = ", ".join(entries(nearest)[:8]) or "nothing"
    raise DataError(
        f"{dataset}: {nearest} does not hold {', '.join(missing)} (it holds {found}). Expected {', '.join(needs)} "
        f"in {top} or in its folder {' or '.join(known)}"
    )


def _unpack(path: Path) -> str:
    """Nothing unpacks archives here: their names, links and sizes are the business of the user's own program."""
    return ", an archive to be unpacked first" if path.name.lower().endswith(_ARCHIVES) else ""
