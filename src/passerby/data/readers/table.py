"""One reader a benchmark: `read(root, split=...) -> ReIDDataset`, `scan(root) -> every image on the disk`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from passerby.data.readers import cuhk, cuhk03, cuhk_sysu, drawn_protocols, market, market_like, msmt17, video
from passerby.data.readers import two_cameras as pairs
from passerby.data.readers.options import options_of
from passerby.data.records import ReIDDataset, Sample


@dataclass(frozen=True)
class Reader:
    """How one benchmark is read.

    Attributes:
        read: `read(root, split=0, ...) -> ReIDDataset`.
        scan: `scan(root) -> {folder or part: samples}`, everything on the disk, whatever the split; keyword arguments
            are some of the reader's.
        ignores: regular expression for names of files beside the images that are none of the dataset's own images.
    """

    read: Callable[..., ReIDDataset]
    scan: Callable[..., Mapping[str, tuple[Sample, ...]]]
    ignores: str = ""

    def options(self) -> dict[str, Any]:
        """The reader's own arguments and their defaults."""
        return options_of(self.read)


READERS: dict[str, Reader] = {
    "market1501": Reader(market.read_market1501, market.scan_market1501),
    "dukemtmc_reid": Reader(market.read_dukemtmc, market.scan_dukemtmc),
    "occluded_duke": Reader(market_like.read_occluded_duke, market_like.scan_occluded_duke),
    "veri776": Reader(market_like.read_veri776, market_like.scan_veri776),
    "cuhk01": Reader(cuhk.read_cuhk01, cuhk.scan_cuhk01),
    "cuhk02": Reader(cuhk.read_cuhk02, cuhk.scan_cuhk02),
    "cuhk03": Reader(cuhk03.read_cuhk03, cuhk03.scan_cuhk03),
    "cuhk03_np": Reader(market_like.read_cuhk03_np, market_like.scan_cuhk03_np),
    "cuhk_sysu": Reader(cuhk_sysu.read_cuhk_sysu, cuhk_sysu.scan_cuhk_sysu),
    "msmt17": Reader(msmt17.read_msmt17, msmt17.scan_msmt17),
    "viper": Reader(pairs.read_viper, pairs.scan_viper),
    "grid": Reader(pairs.read_grid, pairs.scan_grid),
    "prid450s": Reader(pairs.read_prid450s, pairs.scan_prid450s, ignores=r"mask_\d+\.png"),
    "caviar4reid": Reader(drawn_protocols.read_caviar4reid, drawn_protocols.scan_caviar4reid),
    "raid": Reader(drawn_protocols.read_raid, drawn_protocols.scan_raid),
    "ilids": Reader(drawn_protocols.read_ilids, drawn_protocols.scan_ilids),
    "3dpes": Reader(drawn_protocols.read_threedpes, drawn_protocols.scan_threedpes),
    "ethz": Reader(drawn_protocols.read_ethz, drawn_protocols.scan_ethz),
    "prid2011_single": Reader(pairs.read_prid2011_single, pairs.scan_prid2011_single),
    "prid2011": Reader(video.read_prid2011, video.scan_prid2011),
    "ilids_vid": Reader(video.read_ilids_vid, video.scan_ilids_vid),
    "mars": Reader(video.read_mars, video.scan_mars),
}
