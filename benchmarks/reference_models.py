"""The whole evaluation path on published models and real data: their figures must come out again.

    python -m benchmarks.reference_models --root DIR --weights DIR

`--root` is the folder with Market-1501 (as `load_dataset("market1501", root)` takes it), `--weights` one with
person-reidentification-retail-0277.xml and -0287.xml (with their .bin) of OpenVINO's Open Model Zoo. Reader, decoding,
preprocessing, encoder and evaluation are passerby's own. Exits with 1 where a figure is off by more than 0.3 points.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from passerby.data.datasets import load_dataset
from passerby.embedding.embed import embed
from passerby.evaluation.closed_set.protocols import evaluate_embeddings
from passerby.models.encoder import load_encoder

# published (step) mAP and rank-1 in percent, from the models' documentation
PUBLISHED = {"0277": (87.7, 96.2), "0287": (76.6, 92.9)}
TOLERANCE = 0.3
_DESCRIPTION = 'file = "{file}"\nheight = 256\nwidth = 128\ncolors = "BGR"\nscale = 1.0\nlicence = "Apache-2.0"\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--models", nargs="+", choices=PUBLISHED, default=list(PUBLISHED))
    parser.add_argument("--save", type=Path, help="folder for the vectors, as Parquet files")
    options = parser.parse_args()
    data = load_dataset("market1501", options.root)
    off = []
    for model in options.models:
        weights = (options.weights / f"person-reidentification-retail-{model}.xml").resolve()
        with tempfile.TemporaryDirectory() as folder:
            description = Path(folder) / f"{model}.toml"
            description.write_text(_DESCRIPTION.format(file=weights))
            encoder = load_encoder(description)
        query, gallery = (embed(encoder, part, flip=False) for part in (data.query, data.gallery))
        if options.save:
            query.to_parquet(options.save / f"{model}_query.parquet")
            gallery.to_parquet(options.save / f"{model}_gallery.parquet")
        arrays = (query.vectors, gallery.vectors, query.pids, gallery.pids, query.camids, gallery.camids)
        step, trapezoid = (evaluate_embeddings(*arrays, metric="cosine", ap=ap) for ap in ("step", "trapezoid"))
        reranked = evaluate_embeddings(*arrays, metric="cosine", rerank="k_reciprocal")
        print(f"\nperson-reidentification-retail-{model}\n{step}")
        print(f"trapezoid mAP {trapezoid.mAP:.4f}; re-ranked mAP {reranked.mAP:.4f}, rank-1 {reranked.rank(1):.4f}")
        for name, found, published in zip(("mAP", "rank-1"), (step.mAP, step.rank(1)), PUBLISHED[model], strict=True):
            print(f"{name}: {100 * found:.2f}, published {published}")
            if abs(100 * found - published) > TOLERANCE:
                off.append(f"{model}: {name} {100 * found:.2f} is not the published {published}")
    sys.exit("\n".join(off) or 0)


if __name__ == "__main__":
    main()
