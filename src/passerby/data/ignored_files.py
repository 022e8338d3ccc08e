"""What lies in folders of persons and is not read: other files, loose images, deeper folders, empty persons."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from passerby.data.readers.tree import entries, is_image_name, is_litter, not_read, not_read_by_extension, subfolders

_WHERE = "a person's images lie directly in the person's folder; a manifest lists any others"


def left_out(top: Path, parts: Sequence[str], *, cameras: bool = False) -> list[str]:
    """Notes on what `read_folder` leaves out, one for each reason, with the number and the first few names.

    Args:
        top: the dataset's folder.
        parts: names of the folders of parts in it; none if the persons' folders lie in `top`.
        cameras: images lie in folders of cameras in those of persons.
    """
    empty: list[str] = []
    deeper: list[str] = []
    loose: list[str] = []
    others: list[str] = []
    for base in [top / part for part in parts] or [top]:
        persons = [base / person for person in subfolders(base)]
        if cameras:
            loose += [_below(top, path) for person in persons for path in _entries(person)[0]]
            others += [_below(top, path) for person in persons for path in _entries(person)[1] if not path.is_dir()]
        for holder in [person / name for person in persons for name in subfolders(person)] if cameras else persons:
            images, rest = _entries(holder)
            if not images:
                empty.append(_below(top, holder))
            for path in rest:
                (deeper if path.is_dir() else others).append(_below(top, path))
    for base in [top, *(top / part for part in parts)]:
        images, rest = _entries(base)
        loose += [_below(top, path) for path in images]
        others += [_below(top, path) for path in rest if not path.is_dir()]
    notes = [not_read("folder(s) of a person without an image directly in it", empty)] if empty else []
    if deeper:
        found = sum(_images_in(top / name) for name in deeper)
        notes.append(f"{not_read(f'folder(s) in those of persons, with {found:,} image(s)', deeper)}; {_WHERE}")
    if loose:
        notes.append(f"{not_read('image(s) outside any folder of a person', sorted(loose))}; {_WHERE}")
    if others:
        notes.append(not_read_by_extension(sorted(others)))
    return notes


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """(images by their names, everything else) directly in a folder."""
    paths = [folder / name for name in entries(folder)]
    return [p for p in paths if is_image_name(p.name)], [p for p in paths if not is_image_name(p.name)]


def _below(top: Path, path: Path) -> str:
    return str(path.relative_to(top))


def _images_in(folder: Path) -> int:
    return sum(is_image_name(n) and not is_litter(n) for _, _, names in os.walk(folder) for n in names)
