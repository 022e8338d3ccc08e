"""A path that is not there is named before torch is imported, which takes longer than everything else together."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from passerby.gallery.gallery import Gallery

SOURCE = Path(__file__).resolve().parents[2] / "src"

REFUSED = """
evaluate missing
evaluate missing.onnx --data.name people
evaluate encoder --data.name missing.csv
evaluate encoder --data.name market1501 --data.root missing
calibrate missing
calibrate missing --people people
calibrate encoder --people missing
cross-domain missing --on market1501=people
cross-domain encoder --on market1501=missing
embed missing --out new --images people
embed encoder --out new --images missing
embed encoder --out new --data.name missing.csv
report missing
report encoder --data.name missing.csv
report encoder --data.name people --gallery missing
track missing.mp4 --encoder encoder --boxes boxes.txt --out new
track frames --encoder missing --boxes boxes.txt --out new
track frames --encoder encoder --boxes missing --out new
track frames --encoder encoder --detector missing.xml --out new
track frames --encoder encoder --boxes boxes.txt --truth frames=missing --out new
track frames --encoder encoder --boxes boxes.txt --calibration missing --out new
track frames --encoder encoder --boxes boxes.txt --tracking.travel-times missing --out new
watch missing.mp4 --gallery gallery --encoder encoder --camera c --boxes boxes.txt
watch frames --gallery gallery --encoder missing --camera c --boxes boxes.txt
watch frames --gallery new --encoder encoder --camera c --boxes missing
watch frames --gallery new --encoder encoder --camera c --detector missing.xml
evaluate-tracks missing --truth boxes.txt
train finetune --data.name missing.csv
train finetune --data.name people --model.weights missing.pth
compare missing.toml
compare finetune --data.name missing.csv
adapt missing --data people --out new
adapt encoder --data missing --out new
rank missing.npz vectors.npz
rank vectors.npz vectors.npz --similarity learned --run missing
score vectors.npz missing.npz
verify missing.npz vectors.npz
open-set missing.npz vectors.npz
data look-alikes missing.npz
enroll new bob missing.png --encoder encoder
enroll new bob people/a/0.png --encoder missing
enroll new --people missing --encoder encoder
identify missing people/a/0.png --encoder encoder
identify gallery missing.png --encoder encoder
identify gallery people/a/0.png --encoder missing --engine torch
observe new missing.png --encoder encoder
observe-tracks new missing.csv --encoder encoder
gallery find-sightings gallery missing.png --encoder encoder
gallery calibration gallery --encoder missing
serve gallery --encoder missing
serve gallery --encoder encoder --keys missing
export missing --to onnx
export encoder --to onnx --images missing
bench-encoder missing
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What the commands name beside the path that is missing; the encoder is never read."""
    for folder in ("encoder", "people/a", "frames"):
        (tmp_path / folder).mkdir(parents=True)
    for picture in ("people/a/0.png", "people/a/1.png", "frames/1.png"):
        Image.new("RGB", (16, 32)).save(tmp_path / picture)
    (tmp_path / "boxes.txt").write_text("1,1,1,1,5,5,1\n")
    np.savez(tmp_path / "vectors.npz", vector=np.eye(4, dtype=np.float32), pid=np.arange(4) + 1)
    with Gallery.open(tmp_path / "gallery") as gallery:
        gallery.enroll("ann", vectors=np.eye(4, dtype=np.float32)[0])
    return tmp_path


def test_a_missing_path_is_named_without_torch(place: Path) -> None:
    script = (
        "import sys\n"
        "from passerby.cli import run\n"
        "for words in sys.stdin.read().strip().splitlines():\n"
        "    print('--', words, file=sys.stderr)\n"
        "    print(run(words.split()), 'torch' in sys.modules, words)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", script], input=REFUSED, capture_output=True, text=True, env=environment, cwd=place
    )
    wanted = [f"2 False {words}" for words in REFUSED.strip().splitlines()]
    assert done.stdout.splitlines() == wanted, done.stderr
    for said in done.stderr.split("-- ")[1:]:
        words, error = said.splitlines()
        assert error.startswith("error: "), words
        assert "missing" in error, words
    assert not (place / "new").exists()
