"""What the scripts about element-facemap share: its `make` methods, called without a database and without Facemap.

They need element-facemap 0.3.0 (installed from its repository), element-interface, DataJoint 0.14 and pandas.
"""

import sys
import tempfile
import types
from pathlib import Path

import numpy as np

FRAMES, COMPONENTS, HEIGHT, WIDTH = 1000, 5, 12, 16


class Table(list):
    """Stands in for a table: answers queries with fixed values, and keeps what is inserted."""

    def __init__(self, **values):
        super().__init__()
        self.values = values
        self.asked = []

    def __and__(self, condition):
        self.asked.append(condition)
        return self

    def __mul__(self, other):
        return other

    def __call__(self):
        return self

    def fetch1(self, *names):
        found = tuple(self.values[name] for name in names)
        return found if len(names) > 1 else found[0]

    def fetch(self, *names, as_dict=False, **options):
        self.asked.append(options)
        return [self.values] if as_dict else self.values[names[0]]

    def insert(self, rows):
        self.extend(rows)

    def insert1(self, row):
        self.append(row)

    def update1(self, row):
        self.values.update(row)


def proc(rois=0, movie=False):
    """Return a result as Facemap 1.0.8 saves it: the full frame, and motion ROIs."""
    rng, regions = np.random.default_rng(0), 1 + rois
    projections = [rng.normal(size=(FRAMES, COMPONENTS)) for _ in range(regions)]
    masks = [rng.normal(size=(HEIGHT, WIDTH, COMPONENTS)) for _ in range(regions)]
    ranges = {"yrange": np.arange(HEIGHT), "xrange": np.arange(WIDTH)}
    return {
        "fullSVD": True,
        "sbin": 1,
        "Ly": [HEIGHT],
        "Lx": [WIDTH],
        "avgframe_reshape": masks[0][..., 0],
        "avgmotion_reshape": masks[0][..., 0],
        "rois": [{"rtype": "motion SVD", "iROI": i, **ranges} for i in range(rois)] or None,
        "motion": [np.full(FRAMES, 100.0 * region) for region in range(regions)],
        "motSVD": projections,
        "motMask_reshape": masks,
        "motSv": np.arange(COMPONENTS, dtype=np.float32),
        "movSVD": projections if movie else [],
        "movMask_reshape": masks,
        "movSv": np.zeros(COMPONENTS, np.float32),
    }


def facial_signal(result):
    """Return what `FacialSignal.make` inserts for a result, by part."""
    from element_facemap import facial_behavior_estimation as fbe

    folder = Path(tempfile.mkdtemp())
    np.save(folder / "video_proc.npy", result)
    fbe.FacemapTask = Table(facemap_output_dir="")
    fbe.find_full_path = lambda _roots, _path: folder
    fbe.get_facemap_root_data_dir = lambda: [folder]
    inserted = Table()
    for part in ("Region", "MotionSVD", "MovieSVD", "Summary"):
        setattr(inserted, part, Table())
    fbe.FacialSignal.make(inserted, {})
    return inserted


def processing(files=("video.avi",), present=(), **task):
    """Return how `FacemapProcessing.make` calls Facemap, and what it asks of the tables."""
    from element_facemap import facial_behavior_estimation as fbe

    folder, calls = Path(tempfile.mkdtemp()), []
    for name in present or ("video_proc.npy",):
        np.save(folder / name, {})

    def run(filenames, sbin=1, motSVD=True, movSVD=False, GUIobject=None, parent=None, proc=None, savepath=None):
        calls.append(dict(locals()))

    module = types.ModuleType("facemap.process")
    module.run = run
    sys.modules["facemap"], sys.modules["facemap.process"] = types.ModuleType("facemap"), module
    recording = Table()
    recording.File = Table(file_path=list(files))
    fbe.VideoRecording = recording
    defaults = {"task_mode": "trigger", "facemap_output_dir": "out", "facemap_params": {}}
    fbe.FacemapTask = Table(**{**defaults, **task})
    fbe.find_full_path = lambda _roots, path: folder if path == "out" else folder / path
    fbe.get_facemap_root_data_dir = lambda: [folder]
    fbe.FacemapProcessing.make(Table(), {})
    return calls, recording.File.asked


def inference(files=("first.avi", "second.avi"), bbox=None):
    """Return how `FacemapInference.make` calls Facemap, and which file it reads afterwards."""
    from element_facemap import facemap_inference as inf

    folder, calls, read = Path(tempfile.mkdtemp()), [], []

    class Pose:
        def __init__(self, filenames, bbox, bbox_set, model_name):
            calls.append({"filenames": filenames, "bbox": bbox, "bbox_set": bbox_set})

        def run(self):
            pass

    pose, loader = types.ModuleType("facemap.pose.pose"), types.ModuleType("facemap.pose.model_loader")
    pose.Pose, loader.get_models_dir = Pose, lambda: folder / "models"
    package = types.ModuleType("facemap.pose")
    package.pose, package.model_loader = pose, loader
    sys.modules |= {"facemap": types.ModuleType("facemap"), "facemap.pose": package}
    recording = types.SimpleNamespace(File=Table(file_path=list(files)))
    inf.fbe = types.SimpleNamespace(VideoRecording=recording, get_facemap_root_data_dir=lambda: [folder])
    inf.find_full_path = lambda _roots, path: folder if path == "out" else folder / path
    inf.shutil = types.SimpleNamespace(copy=lambda _source, _target: None)
    inf.FacemapInferenceTask = Table(task_mode="trigger", facemap_inference_output_dir="out", bbox=bbox)
    inf.FacemapModel = types.SimpleNamespace(File=Table(model_file="model.pt"))
    inf._load_facemap_results = lambda _key, path, _metadata: (read.append(path.name) or [], 0.0, 0, None)
    made = Table()
    made.BodyPartPosition = Table()
    inf.FacemapInference.make(made, {"model_id": 0})
    return calls, read
