"""Files that Facemap has written elsewhere: where a task's lie."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fmdj_cloud.contracts import VideoRef
from fmdj_cloud.control.places import file_ref
from fmdj_cloud.control.views import base_name
from fmdj_cloud.errors import InputError, InputMissingError, ObjectMissingError
from fmdj_cloud.names import POSE_SUFFIX, PROC_SUFFIX, pose_metadata
from fmdj_cloud.storage import uri as uris
from fmdj_cloud.storage.base import ObjectInfo, Store


@dataclass(frozen=True)
class VideoPlace:
    """A video as the lab names it, and where it lies or would lie.

    Attributes
    ----------
    path : str
        Its ``file_path``.
    uri : str
    """

    path: str
    uri: str

    @property
    def stem(self) -> str:
        """What Facemap calls its files after."""
        return PurePosixPath(base_name(self.path)).stem


def find_proc(folders: Sequence[str], video: VideoPlace, store: Store) -> tuple[VideoRef, ...]:
    """Return the ``_proc.npy`` in the first folder that holds one.

    Parameters
    ----------
    folders : sequence of str
        URIs, the first to look at first.
    video : VideoPlace
        The first one.
    store : Store

    Raises
    ------
    InputMissingError
        If there is none; the sentence names all places.
    InputError
        If a folder holds several, and none is called after the video (check ``output``).
    """
    found = _find(folders, video.stem, PROC_SUFFIX, store)
    return (file_ref(found, base_name(found.uri)),)


def find_keypoints(folders: Sequence[str], videos: Sequence[VideoPlace], store: Store) -> tuple[VideoRef, ...]:
    """Return the ``_FacemapPose.h5`` of every video of a view, each with its metadata where there are any.

    Facemap's own inference writes them beside the video: that is looked at last. Videos of one name in different
    folders have theirs only there.

    Parameters
    ----------
    folders : sequence of str
        URIs, the first to look at first.
    videos : sequence of VideoPlace
        In the order in which they follow each other.
    store : Store

    Raises
    ------
    InputMissingError
        If one has none; the sentence names all places.
    InputError
        If it can't be told which of several is meant (check ``output``).
    """
    stems = Counter(video.stem for video in videos)
    found: list[ObjectInfo] = []
    for video in videos:
        shared = folders if stems[video.stem] == 1 else ()
        beside = uris.parent(video.uri)
        found.append(_find(shared, video.stem, POSE_SUFFIX, store, sole=len(videos) == 1, also=(beside,)))
    repeated = [uri for uri, count in Counter(info.uri for info in found).items() if count > 1]
    if repeated:
        raise InputError(
            f"{repeated[0]} would be the output of several videos of the recording, which have the same name: put each "
            "one's into its video's folder.",
            check="output",
        )
    apart = len({base_name(info.uri).casefold() for info in found}) == len(found)
    refs = []
    for number, info in enumerate(found):
        name = base_name(info.uri) if apart else f"file{number}_{base_name(info.uri)}"
        refs.append(file_ref(info, name))
        with contextlib.suppress(ObjectMissingError):
            refs.append(file_ref(store.head(pose_metadata(info.uri)), pose_metadata(name)))
    return tuple(refs)


def _find(
    folders: Sequence[str], stem: str, suffix: str, store: Store, *, sole: bool = True, also: Sequence[str] = ()
) -> ObjectInfo:
    """Return the first output of a video.

    Parameters
    ----------
    folders : sequence of str
        A task's own.
    stem, suffix : str
        What the output should be called.
    store : Store
    sole : bool
        Whether the only output in a folder of the task's own counts, whatever it is called.
    also : sequence of str
        Folders that the task shares with others.
    """
    folders = list(dict.fromkeys(folders))
    for folder in folders:
        try:
            return store.head(uris.join(folder, f"{stem}{suffix}"))
        except ObjectMissingError:
            pass
        lying = [info for info in store.list(folder) if _lies_in(info.uri, folder, suffix)] if sole else []
        if len(lying) == 1:
            return store.head(lying[0].uri)  # a listing knows neither version nor checksum
        if lying:
            there = ", ".join(sorted(base_name(info.uri) for info in lying))
            raise InputError(
                f"{folder} holds several Facemap outputs ({there}) and none is called {stem}{suffix}, after the video: "
                "leave the right one there, or name its folder in the task's output directory.",
                check="output",
            )
    for folder in also:
        try:
            return store.head(uris.join(folder, f"{stem}{suffix}"))
        except ObjectMissingError:
            pass
    raise InputMissingError(
        f"There is no Facemap output for the task: looked for {stem}{suffix} in {', '.join((*folders, *also))}. Upload "
        "it there, correct the task's output directory, or set task_mode='trigger' to have it computed.",
        check="output",
    )


def _lies_in(uri: str, folder: str, suffix: str) -> bool:
    name = uris.relative(uri, folder)
    return name is not None and "/" not in name and name.endswith(suffix)
