"""A model file: weights and nothing else, into Facemap's network class."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fmdj_cloud.errors import InputError

_LEVELS = 5
"""Convolution blocks that halve the picture: with any other number the maps aren't 64 pixels wide."""
_MAX_CHANNELS = 4096
_KERNEL = 3
_BLOCK = re.compile(r"Conv\.conv(\d+)\.conv\.conv_1\.2\.weight")
_HEAD = "Conv2_1x1.conv0.weight"


@dataclass(frozen=True)
class Model:
    """Weights that fit Facemap's network.

    Attributes
    ----------
    state : dict of str to Tensor
    channels : tuple of int
        Of every convolution block, as Facemap's parameter file names them.
    body_parts : tuple of str
        In the order of the network's outputs.
    """

    state: dict[str, torch.Tensor]
    channels: tuple[int, ...]
    body_parts: tuple[str, ...]


def read_model(path: Path, declared: tuple[str, ...]) -> Model:
    """Read a model file without running anything that it may hold.

    Parameters
    ----------
    path : Path
        As ``torch.save(net.state_dict(), path)`` or Facemap's GUI writes it.
    declared : tuple of str
        Body parts that the model is declared to find, in any order.

    Raises
    ------
    InputError
        Check ``model``: what is wrong with it, in one sentence.
    """
    state = _weights(path)
    found = [int(match[1]) for name in state if (match := _BLOCK.fullmatch(name))]
    if _HEAD not in state or sorted(found) != list(range(_LEVELS)):
        raise _refused(
            f"holds the weights of another network than Facemap's ({len(state)} tensors, {len(found)} of its {_LEVELS} "
            "convolution blocks)",
        )
    channels = tuple(int(state[f"Conv.conv{k}.conv.conv_1.2.weight"].shape[0]) for k in range(_LEVELS))
    model = Model(state, channels, _outputs(int(state[_HEAD].shape[0]), declared))
    _check_shapes(model)
    return model


def build(model: Model) -> torch.nn.Module:
    """Return Facemap's network with a model's weights, in single precision on the CPU, for inference."""
    with torch.device("cpu"):
        network = _network(model)
    network.load_state_dict(model.state)
    return network.float().eval().requires_grad_(False)


def facemap_home(home: Path, model: Model) -> None:
    """Put the two files where Facemap looks for them when it is imported, and downloads them if they aren't there.

    Parameters
    ----------
    home : Path
        Folder that becomes ``$HOME``, of this process too.
    model : Model
    """
    folder = home / ".facemap" / "models"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"params": {"channels": list(model.channels)}}, folder / "facemap_model_params.pth")
    torch.save(model.state, folder / "facemap_model_state.pt")
    os.environ["HOME"] = str(home)


def facemap_parts() -> tuple[str, ...]:
    """Return Facemap's body parts in the order of its networks' outputs, which isn't the alphabet's."""
    from facemap.utils import BODYPARTS

    return tuple(BODYPARTS)


def _network(model: Model) -> torch.nn.Module:
    from facemap.pose.facemap_network import FMnet

    network: torch.nn.Module = FMnet(
        img_ch=1,
        output_ch=len(model.body_parts),
        labels_id=list(model.body_parts),
        channels=list(model.channels),
        kernel=_KERNEL,
        device=torch.device("cpu"),
    )
    return network


def _weights(path: Path) -> dict[str, torch.Tensor]:
    if _holds_more_than_its_bytes(path):
        raise _refused("unpacks to more bytes than its file has, which none of torch's does")
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if _is_noise(error):
            raise _unreadable(path) from error
        raise _refused("holds more than weights, which could run as a program and so isn't loaded") from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise _unreadable(path) from error
    if not isinstance(loaded, Mapping) or not loaded:
        raise _refused(f"holds a {type(loaded).__name__} where the weights of a network should be")
    wrong = [name for name, value in loaded.items() if not isinstance(name, str) or not isinstance(value, torch.Tensor)]
    if wrong:
        raise _refused(f"holds {wrong[0]!r}, which is no weight of a network")
    for name, value in loaded.items():
        # A file of few bytes may claim a large tensor, all of whose elements are the same one in memory
        if value.is_sparse or value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise _refused(f"claims more numbers for {name} than it holds")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise _refused(f"has weights in {name} that are no numbers")
    return dict(loaded)


def _holds_more_than_its_bytes(path: Path) -> bool:
    # torch keeps weights as they are in the ZIP files that it writes; a packed one may fill any memory
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size
    except (zipfile.BadZipFile, OSError, ValueError):
        return False  # what it is instead is found out by torch


def _is_noise(error: pickle.UnpicklingError) -> bool:
    # Programs are refused by what they name; anything else that can't be unpickled is no pickle, or half of one
    return not any(sign in str(error) for sign in ("Unsupported global", "Unsupported class", "Trying to"))


def _outputs(count: int, declared: tuple[str, ...]) -> tuple[str, ...]:
    """Return the body parts of a network's outputs, if they are those declared."""
    parts = facemap_parts()
    if count != len(parts):
        raise _refused(f"finds {count} body parts, and Facemap's networks find {len(parts)}")
    missing = [part for part in parts if part not in declared]
    unknown = [part for part in declared if part not in parts]
    if missing or unknown:
        wrong = f"{', '.join(missing)} missing" if missing else f"{', '.join(unknown)} unknown to it"
        raise InputError(
            f"The task's model finds Facemap's {len(parts)} body parts and is declared with {len(declared)}, {wrong}: "
            "correct FacemapModel.BodyPart.",
            check="model",
        )
    return parts


def _check_shapes(model: Model) -> None:
    if max(model.channels) > _MAX_CHANNELS or min(model.channels) < 1:
        raise _refused(f"has {max(model.channels)} channels, more than any network of Facemap's")
    with torch.device("meta"):  # shapes alone, without memory for numbers
        wanted = {name: tuple(value.shape) for name, value in _network(model).state_dict().items()}
    for name, shape in wanted.items():
        if name not in model.state:
            raise _refused(f"lacks {name}, which Facemap's network has")
        if tuple(model.state[name].shape) != shape:
            found = tuple(model.state[name].shape)
            raise _refused(f"has channels that don't fit each other ({name} is {found} and should be {shape})")
    more = sorted(set(model.state) - set(wanted))
    if more:
        raise _refused(f"has {more[0]}, which Facemap's network doesn't")


def _unreadable(path: Path) -> InputError:
    return InputError(
        f"The task's model can't be read as a file of torch ({path.stat().st_size} bytes): it is cut off or something "
        "else; insert the model's file into FacemapModel.File again.",
        check="model",
    )


def _refused(what: str) -> InputError:
    return InputError(
        f"The task's model {what}: insert the file that Facemap's GUI saved, or torch.save(net.state_dict(), ...), "
        "into FacemapModel.File.",
        check="model",
    )
