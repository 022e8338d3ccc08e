"""People in a table: a camera is one in all its writings, and -1 is none."""

from pathlib import Path

from PIL import Image
from tests.contracts.galleries import TinyEncoder, picture

from passerby.gallery.enroll_people import REPEATED, enroll_people
from passerby.gallery.gallery import Gallery
from passerby.gallery.people_files import read_people


def table(folder: Path, *rows: tuple[str, str, str]) -> Path:
    lines = ["path,pid,camid"]
    for seed, (name, pid, camid) in enumerate(rows):
        Image.fromarray(picture(seed)).save(folder / name)
        lines.append(f"{name},{pid},{camid}")
    (folder / "people.csv").write_text("\n".join(lines) + "\n")
    return folder / "people.csv"


def test_writings_of_cameras_and_people_are_one(tmp_path: Path) -> None:
    file = table(tmp_path, ("a.png", "1", "2"), ("b.png", "1.0", "2.0"), ("c.png", "01", "02"))
    with Gallery.open(tmp_path / "people.gallery", TinyEncoder()) as gallery:
        enroll_people(gallery, file, progress=False)
        assert [(one.name, one.cameras, one.observations) for one in gallery.identities()] == [("1", ("2",), 3)]


def test_one_picture_of_one_person_in_two_writings_is_repeated(tmp_path: Path) -> None:
    file = table(tmp_path, ("a.png", "1", "2"), ("b.png", "1.0", "2.0"))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    with Gallery.open(tmp_path / "people.gallery", TinyEncoder()) as gallery:
        found = enroll_people(gallery, file, progress=False)
        assert (len(found.observations), found.left_out, found.under_two_names) == (1, {REPEATED: 1}, ())
        assert enroll_people(gallery, file, progress=False).left_out == {REPEATED: 2}


def test_minus_one_is_no_camera(tmp_path: Path) -> None:
    file = table(tmp_path, ("a.png", "1", "-1"), ("b.png", "2", "-1.0"), ("c.png", "3", ""), ("d.png", "4", "-2"))
    assert [picture.camera for picture in read_people(file).pictures] == [None, None, None, "-2"]
    folder = tmp_path / "folders"
    (folder / "ada" / "-1").mkdir(parents=True)
    Image.fromarray(picture(0)).save(folder / "ada" / "-1" / "a.png")
    assert [picture.camera for picture in read_people(folder).pictures] == [None]
