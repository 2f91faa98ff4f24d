"""Definitions of the tables of element-facemap 0.3.0's facial_behavior_estimation, in DataJoint 2 core types.

Names, keys and meanings are the Element's, so that its tables and these are the same to whoever reads
them; the types are the portable ones of DataJoint 2.
"""

from __future__ import annotations

import re
from typing import Any

import datajoint as dj

from fmdj_cloud.pipeline.populate import Runner, makers, refuse_populate

VIDEO_RECORDING = """
# A video of an animal's face, recorded in a session
-> Session
recording_id : int32      # number of the recording within its session
---
-> Device
"""
VIDEO_FILE = """
# One file of a recording
-> master
file_id      : int16         # order of the file
---
file_path    : varchar(255)  # relative to a root directory
"""
RECORDING_INFO = """
# What the video files say of themselves
-> VideoRecording
---
px_height           : int32        # pixels
px_width            : int32        # pixels
nframes             : int32        # frames over all files
fps                 : int32        # frames per second
recording_duration  : float32      # seconds
recording_time=null : datetime     # start of the recording
"""
FACEMAP_TASK = """
# A recording paired with Facemap parameters: what is wanted
-> VideoRecording
facemap_task_id       : int16                    # number of the task within its recording
---
facemap_output_dir='' : varchar(255)             # where outputs lie, relative to the processed root
task_mode='load'      : enum('load', 'trigger')  # load existing outputs, or compute them
facemap_params        : <blob>                   # arguments of Facemap, or a whole _proc.npy dict
do_mot_svd=1          : bool                     # SVD of the motion
do_mov_svd=0          : bool                     # SVD of the movie
task_description=''   : varchar(128)             # for people
"""
FACEMAP_PROCESSING = """
# Facemap ran, or its outputs were found
-> FacemapTask
---
processing_time    : datetime     # when the results were made
package_version='' : varchar(16)  # version of Facemap
"""
FACIAL_SIGNAL = """
# Facemap's results are in the tables below
-> FacemapProcessing
"""
REGION = """
# A region of the picture: the full frame or a ROI
-> master
roi_no          : int32        # 0 is the full frame if there is one
---
roi_name=''     : varchar(16)  # for people
xrange=null     : <blob>       # x pixels
yrange=null     : <blob>       # y pixels
xrange_bin=null : <blob>       # binned x pixels
yrange_bin=null : <blob>       # binned y pixels
motion=null     : <blob>       # (nframes) motion energy
"""
MOTION_SVD = """
# Components of the motion
-> master.Region
component_id        : int32    # number of the component
---
singular_value=null : float32  # where it is known
motmask             : <blob>   # (y, x) spatial mask
projection          : <blob>   # (nframes) time course
"""
MOVIE_SVD = """
# Components of the movie
-> master.Region
component_id        : int32    # number of the component
---
singular_value=null : float32  # where it is known
movmask             : <blob>   # (y, x) spatial mask
projection          : <blob>   # (nframes) time course
"""
SUMMARY = """
# Averages over the movie
-> master
---
sbin      : int32   # pixels per bin
avgframe  : <blob>  # (y, x) mean frame
avgmotion : <blob>  # (y, x) mean motion
"""


def table_class(name: str, tier: type, definition: str, doc: str, **members: Any) -> type:
    """Return a new table class; every declaration needs its own, since a class belongs to one connection."""
    return type(tier)(name, (tier,), {"definition": definition, "__doc__": doc, **members})


def _kept(definition: str, store: str | None) -> str:
    return definition if store is None else re.sub(r"(?m)^(projection +: <blob)>", rf"\1@{store}>", definition)


def element_classes(runner: Runner | None = None, projections: str | None = None) -> dict[str, Any]:
    """Return fresh classes of all master tables by name, in the order in which they are declared.

    Parameters
    ----------
    runner : Runner, optional
        Does the work of ``populate()``.
    projections : str, optional
        DataJoint store in which projections are kept.
    """
    classes: dict[str, Any] = {}

    def with_files(table: str) -> property:
        return property(lambda _self: classes[table] & classes["VideoRecording"].File)

    video_file = table_class("File", dj.Part, VIDEO_FILE, "A file of a recording.")
    classes["VideoRecording"] = table_class(
        "VideoRecording", dj.Manual, VIDEO_RECORDING, "Videos recorded in a session.", File=video_file
    )
    classes["RecordingInfo"] = table_class(
        "RecordingInfo",
        dj.Imported,
        RECORDING_INFO,
        "Size, length and frame rate of a recording.",
        key_source=with_files("VideoRecording"),
        make=refuse_populate,
    )
    classes["FacemapTask"] = table_class("FacemapTask", dj.Manual, FACEMAP_TASK, "What is to be processed, and how.")
    classes["FacemapProcessing"] = table_class(
        "FacemapProcessing",
        dj.Computed,
        FACEMAP_PROCESSING,
        "What was processed.",
        key_source=with_files("FacemapTask"),
        **makers(runner, lambda does, key: does.process(key)),
    )
    parts = {
        "Region": table_class("Region", dj.Part, REGION, "A region and its motion."),
        "MotionSVD": table_class("MotionSVD", dj.Part, _kept(MOTION_SVD, projections), "Components of the motion."),
        "MovieSVD": table_class("MovieSVD", dj.Part, _kept(MOVIE_SVD, projections), "Components of the movie."),
        "Summary": table_class("Summary", dj.Part, SUMMARY, "Averages."),
    }
    classes["FacialSignal"] = table_class(
        "FacialSignal",
        dj.Imported,
        FACIAL_SIGNAL,
        "Facemap's results.",
        **parts,
        **makers(runner, lambda does, key: does.extract(key)),
    )
    return classes
