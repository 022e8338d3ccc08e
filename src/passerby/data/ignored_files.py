"""What lies beside images that are read, and is not: other files, loose images, deeper folders, empty persons."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from passerby.data.readers.tree import (
    entries,
    image_names,
    is_image_name,
    is_litter,
    not_read,
    not_read_by_extension,
    subfolders,
)

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


@dataclass(frozen=True)
class Beside:
    """Paths of what lies beside images that are read, each kind in order.

    Attributes:
        litter: what operating systems leave behind.
        files: files that are no image by their names.
        images: images by their names.
        folders: folders without any image that is read.
    """

    litter: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)

    @property
    def images_in_folders(self) -> int:
        """How many images, by their names, lie anywhere in the folders."""
        return sum(_images_in(Path(folder)) for folder in self.folders)


def beside(read: Iterable[str | os.PathLike[str]], *, holders_too: bool = True) -> Beside:
    """What lies in the folders of images that are read, and in those that hold these folders.

    The folder that holds all of them, where it holds no image itself, may hold anything else, and is not looked at.

    Args:
        read: paths of the images.
        holders_too: look at folders that hold those of images; not where the images are of several datasets.
    """
    known = {os.fspath(path) for path in read}
    folders = {os.path.dirname(path) for path in known}
    holders = {str(parent) for folder in folders for parent in Path(folder).parents}
    top = Path(os.path.commonpath(map(os.path.abspath, folders))) if folders else Path()
    inner = {holder for holder in holders if holders_too and top in Path(holder).absolute().parents}
    found = Beside()
    for folder in sorted(folders | inner):
        for name in sorted(os.listdir(folder), key=os.fsencode) if os.path.isdir(folder) else ():
            path = os.path.join(folder, name)
            if path in known or path in folders or path in holders:
                continue
            if is_litter(name):
                found.litter.append(path)
            elif os.path.isdir(path):
                found.folders.append(path)
            else:
                (found.images if is_image_name(name) else found.files).append(path)
    return found


def notes_beside(top: Path, found: Beside) -> list[str]:
    """Notes on it, one for each reason, with the number and the first few names.

    Args:
        top: the dataset's folder.
        found: by `beside`.
    """
    files, images, folders = (
        [_below(top, Path(path)) for path in paths] for paths in (found.files, found.images, found.folders)
    )
    notes = [not_read_by_extension(files)] if files else []
    if images:
        notes.append(not_read("image(s) beside the folders of the parts", images))
    if folders:
        notes.append(not_read(f"folder(s) beside the images, with {found.images_in_folders:,} image(s)", folders))
    return notes


def images_in_tree(folder: Path) -> tuple[list[Path], list[str]]:
    """Every image file below a folder, in order of its path, and notes on what is left out, one for each reason.

    Links to images are followed; folders behind links are not, since they may hold the folder itself.

    Args:
        folder: which is there.
    """
    files: list[Path] = []
    linked: list[str] = []
    closed: list[str] = []
    for place, folders, names in os.walk(folder, onerror=lambda error: closed.append(str(error.filename))):
        folders[:] = [name for name in folders if not is_litter(name)]
        linked += [_below(folder, Path(place) / name) for name in folders if (Path(place) / name).is_symlink()]
        files += [Path(place) / name for name in names if not is_litter(name)]
    others = [_below(folder, file) for file in sorted(files) if not is_image_name(file.name)]
    notes = [not_read_by_extension(others)] if others else []
    if linked:
        notes.append(not_read("folder(s) behind symbolic links", sorted(linked)))
    if closed:
        names = sorted(_below(folder, Path(name)) for name in closed)
        notes.append(not_read("folder(s) that cannot be opened", names))
    return sorted(file for file in files if is_image_name(file.name)), notes


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """(images by their names, everything else) directly in a folder."""
    names = image_names(folder)
    known = set(names)
    return [folder / name for name in names], [folder / name for name in entries(folder) if name not in known]


def _below(top: Path, path: Path) -> str:
    return str(path.relative_to(top))


def _images_in(folder: Path) -> int:
    return sum(is_image_name(n) and not is_litter(n) for _, _, names in os.walk(folder) for n in names)
