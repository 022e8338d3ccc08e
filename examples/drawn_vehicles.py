"""Objects that are not people: drawn cars, seen by three cameras, a wide input.

python examples/drawn_vehicles.py FOLDER
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import passerby as pb

CAMERAS = ((1.0, 1.0, 1.0), (0.75, 0.85, 1.0), (1.1, 0.9, 0.7))
"""What each camera makes of red, green and blue."""
RECIPE = """
name = "vehicles"
[input]
height = 64
width = 128
[sampler]
kind = "pk"
identities = 8
images = 4
[model]
backbone = "{backbone}"
neck = "bnneck"
[objective.softmax]
[objective.batch_hard_triplet]
[optimizer]
name = "adam"
lr = 2e-3
[schedule]
epochs = {epochs}
[run]
evaluate_epochs = 0
threads = 1
"""


def draw_car(car: int, camera: int, shot: int) -> Image.Image:
    """One view of a car: its body, cabin, stripe and rims have the car's colours, all else is the camera's."""
    own, view = np.random.default_rng(car), np.random.default_rng((car, camera, shot))
    body, stripe, rims = (tuple(int(v) for v in own.integers(20, 255, 3)) for _ in range(3))
    cabin, roof = own.uniform(0.35, 0.6), own.uniform(0.15, 0.35)
    picture = Image.new("RGB", (160, 80), tuple(int(v) for v in view.integers(90, 170, 3)))
    pen = ImageDraw.Draw(picture)
    left, top = (int(v) for v in view.integers(4, 14, 2))
    right, bottom = 150 + int(view.integers(-8, 6)), 62 + int(view.integers(-4, 6))
    middle = top + int((bottom - top) * roof) + 8
    pen.polygon(
        [(left + 25, middle), (left + 40, top), (int(left + 40 + 100 * cabin), top), (right - 20, middle)], body
    )
    pen.rounded_rectangle((left, middle, right, bottom), 8, body)
    pen.rectangle((left + 4, (middle + bottom) // 2, right - 4, (middle + bottom) // 2 + 5), stripe)
    for x in (left + 28, right - 34):
        pen.ellipse((x - 10, bottom - 10, x + 10, bottom + 10), (20, 20, 20))
        pen.ellipse((x - 5, bottom - 5, x + 5, bottom + 5), rims)
    seen = np.asarray(picture.filter(ImageFilter.GaussianBlur(float(view.uniform(0, 1.2)))), np.float64)
    if view.random() < 0.5:
        seen = seen[:, ::-1]
    noisy = seen * CAMERAS[camera] + view.normal(0, 6, seen.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def write_dataset(folder: Path, *, cars: int = 24, shots: int = 3) -> Path:
    """Pictures and a manifest of them; the last third of the cars is for testing, one shot a camera is a query."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cars.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "pid", "camid", "split"])
        for car in range(1, cars + 1):
            for camera in range(len(CAMERAS)):
                for shot in range(shots):
                    name = f"{car:03d}-c{camera + 1}-{shot}.jpg"
                    draw_car(car, camera, shot).save(folder / name, quality=90)
                    part = "train" if car <= cars * 2 // 3 else "query" if shot == 0 else "gallery"
                    rows.writerow([name, car, camera, part])
    return folder / "cars.csv"


def main(folder: Path, *, backbone: str = "osnet_x0_25", epochs: int = 12) -> pb.Report:
    """Draw, train for seconds, evaluate."""
    manifest = write_dataset(folder / "cars")
    recipe = folder / "vehicles.toml"
    recipe.write_text(RECIPE.format(backbone=backbone, epochs=epochs), "utf-8")
    data = pb.load_dataset(manifest)
    run = pb.train(pb.load_recipe(recipe), data, out=folder / "run")
    return pb.evaluate(run.encoder, data)


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))
