"""The table of commands: where each is defined, and one line about it.

It drives lazy loading, the overview, the documentation and the contract tests. A new command is one file and one line.
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """One command.

    Attributes:
        function: import path "module:function"; its signature is the command's arguments.
        section: heading in the overview; empty for the actions of a group.
        summary: one line.
        json: whether it prints a result, and so takes `--json`.
    """

    function: str
    section: str
    summary: str
    json: bool = True


GROUPS = {
    "data": ("Data", "list, describe, check and write datasets; crop tracklets from a video; find look-alikes"),
    "gallery": ("Gallery", "administer a gallery: list, history, merge, split, purge, backup, ..."),
    "hub": ("Encoders", "known public encoders: list, what is known of one, bring one here"),
    "keys": ("Service", "API keys of a service: add, list, remove"),
}
"""Commands with actions: section and summary. Their actions stand in `COMMANDS` as "GROUP ACTION"."""

_CLI = "passerby.cli."

COMMANDS: dict[str, Command] = {
    "demo": Command(
        _CLI + "demo:demo", "Start", "draw people, train, evaluate, enrol, identify: a few minutes, no data needed"
    ),
    "doctor": Command(_CLI + "doctor:doctor", "Start", "what is installed, what this machine can do, what is missing"),
    "completion": Command(
        _CLI + "completion:completion", "Start", "print the script that completes commands in a shell", json=False
    ),
    "data list": Command(_CLI + "data:list_datasets", "", "the datasets that passerby reads"),
    "data info": Command(
        _CLI + "data:dataset_info", "", "what a dataset is, how to get it, its terms and published counts"
    ),
    "data check": Command(
        _CLI + "data:check_dataset", "", "whether what lies in a folder is the dataset, whole and sound"
    ),
    "data draw": Command(_CLI + "data:draw_dataset", "", "draw a dataset of pedestrians, deterministic from a seed"),
    "data write": Command(
        _CLI + "data:write_layout",
        "",
        "write drawn pedestrians in the layout of any dataset, to try its protocol without its data",
    ),
    "data from-video": Command(_CLI + "data:crop_video", "", "crop tracklets from a video and a tracker's boxes"),
    "data look-alikes": Command(
        _CLI + "data:look_alikes", "", "the pairs of identities that look most alike, with pictures"
    ),
    "track": Command(
        _CLI + "track:track", "Film", "follow people through films: one number a person, over time and cameras"
    ),
    "watch": Command(
        _CLI + "watch:watch", "Film", "watch a film or a camera: who is seen, as JSON lines, with a gallery", json=False
    ),
    "evaluate-tracks": Command(
        _CLI + "evaluate_tracks:evaluate_tracks", "Film", "IDF1, MOTA and HOTA of tracks, over one camera or several"
    ),
    "recipes": Command(_CLI + "recipes:recipes", "Training", "list the recipes, or show one with every setting"),
    "train": Command(_CLI + "train:train", "Training", "train a recipe, or resume a training that was interrupted"),
    "compare": Command(
        _CLI + "compare:compare",
        "Training",
        "train recipes under equal conditions: a table with spread and significance",
    ),
    "adapt": Command(
        _CLI + "adapt:adapt", "Training", "let an encoder learn a new place from its crops, without labels"
    ),
    "evaluate": Command(
        _CLI + "evaluate:evaluate", "Evaluation", "mAP, CMC and mINP of a trained encoder under a protocol"
    ),
    "cross-domain": Command(
        _CLI + "cross_domain:cross_domain", "Evaluation", "evaluate several encoders on several datasets: a matrix"
    ),
    "embed": Command(_CLI + "embed:embed", "Evaluation", "turn a dataset or a folder of images into vectors (Parquet)"),
    "report": Command(
        _CLI + "report:report", "Evaluation", "write one HTML file with curves, histograms and ranked lists"
    ),
    "calibrate": Command(
        _CLI + "calibrate:calibrate",
        "Evaluation",
        "choose the distance threshold for a false accept rate on held-out identities",
    ),
    "rank": Command(
        _CLI + "rank:rank", "Vectors", "rank a gallery for every query; score the ranking where ids are known"
    ),
    "score": Command(_CLI + "score:score", "Vectors", "mAP, CMC and mINP of anyone's vectors"),
    "verify": Command(
        _CLI + "verify:verify", "Vectors", "pairs of images: true positive rate at given false positive rates"
    ),
    "open-set": Command(
        _CLI + "open_set:open_set",
        "Vectors",
        "detection and identification rate at given false accept rates, thresholds by camera",
    ),
    "enroll-stream": Command(
        _CLI + "enroll_stream:enroll_stream",
        "Vectors",
        "recognise or enrol vectors one after the other, starting from nobody",
    ),
    "export-vectors": Command(
        _CLI + "export_vectors:export_vectors", "Vectors", "write vectors as an .npy file or a FAISS index"
    ),
    "enroll": Command(_CLI + "enroll:enroll", "Gallery", "add images of a known person to a gallery"),
    "identify": Command(_CLI + "identify:identify", "Gallery", "who is this? ranked candidates, or unknown"),
    "observe": Command(_CLI + "observe:observe", "Gallery", "identify, and enrol whoever is unknown as a new identity"),
    "observe-tracks": Command(
        _CLI + "observe_tracks:observe_tracks", "Gallery", "observe tracks of people; nobody is two tracks at once"
    ),
    "forget": Command(_CLI + "forget:forget", "Gallery", "erase a person from every byte of a gallery's files"),
    "gallery list": Command(_CLI + "gallery:identities", "", "identities with their observations, cameras and dates"),
    "gallery observations": Command(_CLI + "gallery:observations", "", "stored observations with camera and time"),
    "gallery sightings": Command(
        _CLI + "gallery_sightings:sightings", "", "who was seen by which camera, when; also as Parquet or CSV"
    ),
    "gallery import-sightings": Command(
        _CLI + "gallery_sightings:import_sightings", "", "add sightings from Parquet or CSV; undo takes them back"
    ),
    "gallery find-sightings": Command(
        _CLI + "gallery_sightings:find_sightings", "", "rank all past sightings by likeness to a person"
    ),
    "gallery keep-sightings": Command(
        _CLI + "gallery_sightings:keep_sightings", "", "show or set what is stored of sightings, and how long"
    ),
    "gallery thin-templates": Command(
        _CLI + "gallery_sightings:thin_templates", "", "leave few observations of each person and camera"
    ),
    "gallery consolidate": Command(
        _CLI + "gallery_sightings:consolidate", "", "which unknowns are one person; --apply makes them one"
    ),
    "gallery history": Command(_CLI + "gallery:history", "", "what happened, newest first"),
    "gallery update": Command(
        _CLI + "gallery_changes:update", "", "change an identity's notes, consent or retention date"
    ),
    "gallery rename": Command(_CLI + "gallery_changes:rename", "", "give an identity another name"),
    "gallery merge": Command(_CLI + "gallery_changes:merge", "", "make two identities one"),
    "gallery split": Command(_CLI + "gallery_changes:split", "", "move observations to a new identity"),
    "gallery undo": Command(_CLI + "gallery_changes:undo", "", "take the last change back, or a given one"),
    "gallery purge": Command(_CLI + "gallery_changes:purge", "", "forget everyone whose retention date has passed"),
    "gallery threshold": Command(
        _CLI + "gallery_changes:threshold", "", "show or set the distance below which a match is accepted"
    ),
    "gallery calibration": Command(
        _CLI + "gallery_calibration:calibration", "", "the distance at which a false accept rate is reached here"
    ),
    "gallery comparison": Command(
        _CLI + "gallery_calibration:comparison", "", "show or set how vectors are compared and distances judged"
    ),
    "gallery duplicates": Command(
        _CLI + "gallery_calibration:duplicates", "", "pairs of identities that may be one person"
    ),
    "gallery judge": Command(
        _CLI + "gallery_calibration:judge", "", "two identities are different people, or one person"
    ),
    "gallery check": Command(_CLI + "gallery_files:check", "", "read and verify everything"),
    "gallery compact": Command(
        _CLI + "gallery_files:compact", "", "give the space of forgotten observations back to the file system"
    ),
    "gallery backup": Command(_CLI + "gallery_files:backup", "", "copy a gallery while it is in use"),
    "gallery restore": Command(_CLI + "gallery_files:restore", "", "bring a backup back as a gallery's file"),
    "gallery salvage": Command(_CLI + "gallery_files:salvage", "", "save what can still be read of a damaged gallery"),
    "gallery export": Command(_CLI + "gallery_files:export_parquet", "", "write the gallery as Parquet"),
    "gallery import": Command(_CLI + "gallery_files:import_parquet", "", "add what `gallery export` wrote"),
    "gallery migrate": Command(
        _CLI + "gallery_files:migrate", "", "copy a gallery into another store, and verify the copy"
    ),
    "serve": Command(
        _CLI + "serve:serve", "Service", "serve a gallery over HTTP, with a page for the operator", json=False
    ),
    "keys add": Command(_CLI + "keys:add", "", "make a key and print it once"),
    "keys list": Command(_CLI + "keys:list_keys", "", "names, roles and rates of the keys"),
    "keys remove": Command(_CLI + "keys:remove", "", "take a key back"),
    "export": Command(_CLI + "export:export", "Encoders", "write an encoder as ONNX, OpenVINO or an exported program"),
    "bench-encoder": Command(
        _CLI + "bench_encoder:bench_encoder", "Encoders", "find the fastest way to run an encoder here"
    ),
    "hub list": Command(_CLI + "hub:list_encoders", "", "the known public encoders, with published accuracy"),
    "hub info": Command(
        _CLI + "hub:encoder_info", "", "what is known of one: files, licence, terms of its data, input, figures"
    ),
    "hub get": Command(_CLI + "hub:get", "", "bring one here; then hub:NAME is an encoder in every command"),
}
