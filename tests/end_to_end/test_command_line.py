"""The commands as a newcomer types them, on drawn people with a tiny network."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image
from tests.forked import Forked, command

from passerby.cli import run
from passerby.embedding.embeddings import Embeddings

pytestmark = pytest.mark.slow

TINY = [
    "--input.height", "64", "--input.width", "32", "--model.backbone", "tiny:osnet_x0_25", "--sampler.identities", "4",
    "--schedule.epochs", "2", "--schedule.warmup-epochs", "0", "--data.held-out-identities", "6",
]  # fmt: skip


def command_that_dies(*words: str) -> None:
    """A command that is killed after the first file of vectors."""
    write = Embeddings.to_parquet

    def write_and_die(vectors: Embeddings, path: Path) -> None:
        write(vectors, path)
        os.kill(os.getpid(), signal.SIGKILL)

    with patch.object(Embeddings, "to_parquet", write_and_die):
        command(*words)


class Said:
    """What a command printed and returned."""

    def __init__(self, capsys: pytest.CaptureFixture[str], code: int) -> None:
        self.code = code
        self.out, self.err = capsys.readouterr()


def say(capsys: pytest.CaptureFixture[str], *words: object) -> Said:
    capsys.readouterr()
    try:
        code = run([str(word) for word in words])
    except SystemExit as end:
        code = int(end.code or 0)
    return Said(capsys, code)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn people and a run trained on them."""
    folder = tmp_path_factory.mktemp("world")
    assert run(["data", "draw", str(folder / "people"), "--identities", "24", "--train-identities", "16"]) == 0
    data = ["--data.name", "synthetic", "--data.root", str(folder / "people")]
    assert run(["train", "demo", *data, "--out", str(folder / "run"), *TINY]) == 0
    return folder


def test_evaluate_embed_rank_and_report_agree(world: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    evaluated = json.loads(say(capsys, "evaluate", world / "run", "--json").out)
    assert evaluated["queries"] == 8 * 4
    assert 0 < evaluated["mAP"] < 1
    assert say(capsys, "embed", world / "run", "--out", tmp_path).code == 0
    ranked = say(capsys, "rank", tmp_path / "query.parquet", tmp_path / "gallery.parquet", "--json")
    report = json.loads(ranked.out)["report"]
    assert report["mAP"] == pytest.approx(evaluated["mAP"], abs=1e-6)
    assert report["cmc"] == pytest.approx(evaluated["cmc"], abs=1e-6)
    said = say(capsys, "report", world / "run", "--out", tmp_path / "report.html")
    assert said.code == 0
    assert "<html" in (tmp_path / "report.html").read_text()


def test_vectors_of_any_program_score_alike(world: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert say(capsys, "embed", world / "run", "--out", tmp_path).code == 0
    own = json.loads(say(capsys, "score", tmp_path / "query.parquet", tmp_path / "gallery.parquet", "--json").out)
    for side in ("query", "gallery"):
        assert say(capsys, "export-vectors", tmp_path / f"{side}.parquet", tmp_path / f"{side}.npy").code == 0
    labels = ["--labels", tmp_path / "query.labels.csv", tmp_path / "gallery.labels.csv"]
    arrays = [tmp_path / "query.npy", tmp_path / "gallery.npy"]
    assert json.loads(say(capsys, "score", *arrays, *labels, "--json").out) == own
    assert json.loads(say(capsys, "rank", *arrays, *labels, "--json").out)["report"] == own
    expanded = json.loads(say(capsys, "rank", *arrays, *labels, "--expand-queries", "2", "--json").out)["report"]
    assert "queries expanded by their 2 nearest (alpha 0)" in expanded["notes"]
    assert "one for each file" in say(capsys, "score", *arrays, *labels[:2]).err


def test_a_folder_is_embedded_in_parts(world: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["embed", world / "run", "--images", world / "people", "--batch-size", "16", "--shard-size", "16"]
    assert "images.parquet: " in say(capsys, *words, "--out", tmp_path / "whole").out
    for part in ("2/3", "1/3"):
        assert (
            "files of other parts are not there yet"
            in say(capsys, *words, "--out", tmp_path / "parts", "--shard", part).out
        )
    assert "images.parquet: " in say(capsys, *words, "--out", tmp_path / "parts", "--shard", "3/3").out
    whole, parts = (Embeddings.from_parquet(tmp_path / name / "images.parquet") for name in ("whole", "parts"))
    assert np.array_equal(whole.vectors, parts.vectors)
    assert whole.paths == parts.paths
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["images.parquet"]
    assert say(capsys, *words, "--out", tmp_path / "parts", "--shard", "4/3").code == 2


def test_an_embedding_that_was_killed_goes_on(world: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """kill -9 between two files; what is there is not made again, and the vectors are those of one pass."""
    words = ["embed", world / "run", "--images", world / "people" / "query", "--batch-size", "4", "--shard-size", "4"]
    shards = tmp_path / "killed/images.shards"
    process = Forked(command_that_dies, *map(str, words), "--out", str(tmp_path / "killed"))
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in shards.glob("shard-*.parquet")}
    assert not (tmp_path / "killed/images.parquet").exists()
    with patch.object(shutil, "rmtree"):  # leave the parts where they can be looked at
        assert say(capsys, *words, "--out", tmp_path / "killed").code == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(list(shards.glob("shard-*.parquet"))) > len(kept)
    assert say(capsys, *words, "--out", tmp_path / "whole").code == 0
    killed, whole = (Embeddings.from_parquet(tmp_path / name / "images.parquet") for name in ("killed", "whole"))
    assert killed.paths == whole.paths
    assert np.array_equal(killed.vectors, whole.vectors)


def test_reranking_is_named_in_the_result(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(say(capsys, "evaluate", world / "run", "--rerank", "k_reciprocal", "--json").out)
    assert said["rerank"]["k1"] == 20
    trapezoid = json.loads(say(capsys, "evaluate", world / "run", "--ap", "trapezoid", "--json").out)
    assert trapezoid["ap_definition"] == "trapezoid"


def test_calibrate_enroll_identify_forget(world: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    calibrated = json.loads(say(capsys, "calibrate", world / "run", "--far", "0.2", "--json").out)
    assert calibrated["value"] > 0
    assert [row["identities"] for row in calibrated["expected_far"]] == [10, 30, 100, 300]
    kept = json.loads((world / "run" / "encoder" / "threshold.json").read_text())
    assert {law["source"] for law in kept["impostor_laws"]["identify"]} == {"encoder"}
    gallery, encoder = tmp_path / "people.gallery", ["--encoder", world / "run"]
    pictures = sorted((world / "people" / "bounding_box_test").glob("0*_c1*.jpg"))
    person = [p for p in pictures if p.name.startswith(pictures[-1].name[:4])]
    assert say(capsys, "enroll", gallery, "visitor-17", *person[:2], *encoder, "--camera", "door").code == 0
    found = json.loads(say(capsys, "identify", gallery, person[0], *encoder, "--camera", "hall", "--json").out)
    assert found[0]["matches"][0]["identity"] == "visitor-17"
    assert found[0]["matches"][0]["distance"] == pytest.approx(0, abs=2e-3)
    assert "visitor-17" in say(capsys, "gallery", "list", gallery).out
    copy = say(capsys, "gallery", "backup", gallery, tmp_path / "copy.gallery")
    assert "2 observations copied to" in copy.out
    (tmp_path / "copy.gallery").unlink()  # it would keep the name that is forgotten below
    assert "no change" in say(capsys, "gallery", "undo", gallery, "999").err
    assert say(capsys, "forget", gallery, "visitor-17").code == 0
    assert "visitor-17" not in say(capsys, "gallery", "list", gallery).out
    assert b"visitor-17" not in b"".join(p.read_bytes() for p in tmp_path.iterdir())


def test_observe_enrols_strangers(world: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = min((world / "people" / "query").iterdir())
    words = ["observe", tmp_path / "g.gallery", picture, "--encoder", world / "run", "--threshold", "0.01"]
    assert "unknown-1" in say(capsys, *words).out


def test_a_run_resumes_by_the_same_command(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data.name", "synthetic", "--data.root", world / "people"]
    said = say(capsys, "train", "demo", *data, "--out", world / "run", *TINY)
    assert said.code == 0
    other = say(capsys, "train", "demo", *data, "--out", world / "run", *TINY, "--optimizer.lr", "0.5")
    assert other.code == 2
    assert "other settings (optimizer.lr: 0.004 -> 0.5)" in other.err


def test_ones_own_data_in_one_line(world: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = ["path,pid,camid,split"]
    for part, folder in (("train", "bounding_box_train"), ("query", "query"), ("gallery", "bounding_box_test")):
        for picture in sorted((world / "people" / folder).glob("0*.jpg")):
            pid, camera = int(picture.name[:4]), int(picture.name[6])
            if pid:
                rows.append(f"{picture},{pid},{camera},{part}")
    manifest = tmp_path / "mine.csv"
    manifest.write_text("\n".join(rows) + "\n")
    said = say(capsys, "evaluate", world / "run", "--data.name", manifest, "--json")
    assert json.loads(said.out)["queries"] == 32
    manifest.write_text("\n".join(",".join(row.split(",")[i] for i in (0, 1, 3)) for row in rows) + "\n")
    said = say(capsys, "evaluate", world / "run", "--data.name", manifest, "--json")
    assert json.loads(said.out)["protocol"] == "no_cameras"


def test_a_film_is_evaluated_by_tracklet_and_over_all_splits(
    world: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert say(capsys, "data", "write", "mars", tmp_path / "mars").code == 0
    mars = ["--data.name", "mars", "--data.root", tmp_path / "mars", "--data.arguments", "verify=false", "frames=2"]
    for pooling in ("mean", "sharpness"):
        said = json.loads(say(capsys, "evaluate", world / "run", *mars, "--pooling", pooling, "--json").out)
        assert said["protocol"] == "video"
        assert said["queries"] == 20
    assert say(capsys, "train", "demo", *mars, "--out", tmp_path / "r", *TINY, "--schedule.epochs", "1").code == 0
    assert "at most 2 frames" in say(capsys, "evaluate", tmp_path / "r").out
    assert say(capsys, "data", "write", "viper", tmp_path / "viper").code == 0
    viper = ["--data.name", "viper", "--data.root", tmp_path / "viper", "--data.arguments", "verify=false"]
    said = json.loads(say(capsys, "evaluate", world / "run", *viper, "--all-splits", "--json").out)
    assert said["repeats"] == 10
    assert said["std"]["mAP"] > 0


def test_encoders_times_datasets(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = say(capsys, "cross-domain", world / "run", world / "run" / "encoder", "--on", world / "people")
    assert said.code == 0
    first, second = said.out.splitlines()[1:3]
    assert first.split()[-3:] == second.split()[-3:]


def test_a_refused_training_leaves_no_folder(world: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    data = ["--data.name", "synthetic", "--data.root", world / "people"]
    said = say(capsys, "train", "demo", *data, "--out", tmp_path / "r", *TINY, "--sampler.identities", "64")
    assert said.code == 2
    assert "fewer than the 64" in said.err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "did you mean 'train'"),
        (["recipes", "strong_baselin"], "did you mean 'strong_baseline'"),
        (["train", "strong_baselin"], "did you mean 'strong_baseline'"),
        (["gallery", "undo", "nowhere.gallery", "x"], "unable to convert"),
        (["gallery", "purge", "nowhere.gallery", "ann"], "surplus argument: 'ann'"),
        (["identify", "nowhere.gallery", "--encoder", "nowhere"], "missing: IMAGE"),
        (["train", "demo", "--optimizer.lrr", "1"], "lrr"),
        (["train", "demo", "--optimizer.lr", "-1"], "greater than 0"),
        (["evaluate", "nowhere"], "nowhere"),
        (["data", "check", "market1501", "--root", "nowhere"], "nowhere"),
        (["data", "check", "market1502", "--root", "."], "did you mean 'market1501'"),
        (["data", "chekc"], "did you mean 'check'"),
        (["identify", "nowhere.gallery", "x.jpg", "--encoder", "nowhere"], "nowhere"),
        (["rank", "nowhere.parquet", "nowhere.parquet"], "nowhere.parquet"),
    ],
)
def test_wrong_usage_is_one_clear_error_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    said = say(capsys, *words)
    assert said.code == 2
    assert message in said.err + said.out  # a check says it in its table
    assert "Traceback" not in said.err


def test_bad_data_is_one_clear_error(world: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    encoder = world / "run"
    truncated = tmp_path / "cut.jpg"
    truncated.write_bytes(min((world / "people" / "query").iterdir()).read_bytes()[:300])
    empty = tmp_path / "empty.jpg"
    empty.touch()
    bomb = tmp_path / "bomb.png"
    Image.fromarray(np.zeros((8000, 8000), np.uint8)).save(bomb)
    for picture, message in (
        (truncated, "cut.jpg"),
        (empty, "0 bytes"),
        (bomb, "limit"),
        (tmp_path / "no.jpg", "no such"),
    ):
        said = say(capsys, "enroll", tmp_path / "g.gallery", "x", picture, "--encoder", encoder)
        assert (said.code, message in said.err) == (2, True), said.err
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,person\na.jpg,1\n")
    said = say(capsys, "evaluate", encoder, "--data.name", manifest)
    assert (said.code, "pid" in said.err) == (2, True), said.err
    manifest.write_text("path,pid,split\na.jpg,one,query\n")
    said = say(capsys, "evaluate", encoder, "--data.name", manifest)
    assert (said.code, "m.csv" in said.err) == (2, True), said.err


def test_another_encoders_gallery_is_refused(world: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = min((world / "people" / "query").iterdir())
    gallery = tmp_path / "g.gallery"
    assert say(capsys, "enroll", gallery, "x", picture, "--encoder", world / "run").code == 0
    data = ["--data.name", "synthetic", "--data.root", world / "people"]
    other = tmp_path / "other"
    assert say(capsys, "train", "demo", *data, "--out", other, *TINY, "--run.seed", "1").code == 0
    said = say(capsys, "identify", gallery, picture, "--encoder", other)
    assert said.code == 2
    assert "encoder" in said.err
    gallery.write_bytes(b"not a gallery" * 500)
    said = say(capsys, "identify", gallery, picture, "--encoder", world / "run")
    assert said.code == 2
    assert "g.gallery" in said.err


def test_help_imports_no_torch_and_answers_at_once() -> None:
    script = "import sys, passerby, passerby.cli; passerby.cli.run(['--help']); assert 'torch' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": "src"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, stdout=subprocess.DEVNULL)
