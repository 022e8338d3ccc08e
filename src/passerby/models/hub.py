from passerby.models.sources import EncoderSource
from dataclasses import dataclass
@dataclass(frozen=True)
class FoundInHub:
    source: EncoderSource
    provenance: dict
    calibration: dict
def find_in_hub(name): raise NotImplementedError
