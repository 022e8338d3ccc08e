"""`passerby embed` on a folder of images, against the encoder alone on the same images, decoded, in memory.

    python -m benchmarks.embedding --images MARKET/bounding_box_train [--n 2000] [--backbone osnet_x0_25] [--rounds 3]

`command` is the whole command but for starting Python: listing, reading and decoding files, encoding, writing Parquet.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import tempfile
from pathlib import Path

import torch

from benchmarks.measure import interleaved
from passerby.cli import run
from passerby.cli.image_folder import images_below
from passerby.config import InputConfig, ModelConfig
from passerby.models.encoder import Encoder, load_encoder
from passerby.models.image_batches import prepared_batches
from passerby.models.model import build_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--backbone", default="osnet_x0_25")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    samples = images_below(arguments.images)[: arguments.n]
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        config = ModelConfig(backbone=arguments.backbone)
        Encoder.from_model(build_model(config).eval(), InputConfig(), config).save(place / "encoder")
        (place / "images").mkdir()
        for number, sample in enumerate(samples):
            os.symlink(sample.path.absolute(), place / "images" / f"{number:06}{sample.path.suffix}")
        encoder = load_encoder(place / "encoder")
        batches = list(prepared_batches([s.path for s in samples], 256, 128, arguments.batch_size))

        def alone() -> None:
            for images in batches:
                encoder.encode_batch(images, flip=True).cpu()

        def command() -> None:
            shutil.rmtree(place / "out", ignore_errors=True)
            words = ["embed", str(place / "encoder"), "--images", str(place / "images"), "--out", str(place / "out")]
            with contextlib.redirect_stdout(io.StringIO()):
                if run([*words, "--batch-size", str(arguments.batch_size)]):
                    raise SystemExit("passerby embed failed")

        seconds = interleaved({"alone": alone, "command": command}, rounds=arguments.rounds)
    for name, value in seconds.items():
        print(f"{name:8} {len(samples) / value:8.1f} images/s")
    print(f"command / alone: {seconds['alone'] / seconds['command']:.3f} of the encoder's throughput")


if __name__ == "__main__":
    main()
