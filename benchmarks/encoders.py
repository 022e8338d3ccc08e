"""How fast each engine runs an encoder, against torch in float32, in one run.

    python -m benchmarks.encoders [--backbone osnet_x0_25] [--encoder runs/first] [--batch-size 32] [--threads 2]

Without --encoder an untrained one is made: speed does not depend on what the weights are.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from passerby.config import InputConfig, ModelConfig
from passerby.experiments.benchmark_encoder import bench_encoder
from passerby.models.encoder import Encoder
from passerby.models.model import build_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="osnet_x0_25")
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.encoder
        if folder is None:
            folder = Path(temporary) / "encoder"
            config = ModelConfig(backbone=arguments.backbone)
            Encoder.from_model(build_model(config).eval(), InputConfig(), config).save(folder)
        print(bench_encoder(folder, batch_size=arguments.batch_size, rounds=arguments.rounds))


if __name__ == "__main__":
    main()
