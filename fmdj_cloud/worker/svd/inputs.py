"""Whether Facemap can compute what is asked for: it hangs, crashes or makes up numbers where it can't."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fmdj_cloud.contracts import Roi, RoiKind, SvdParams
from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.svd.geometry import (
    Size,
    binned_box,
    binned_pixels,
    binned_size,
    has_full_frame,
    has_svd,
    layout_pixels,
)

PICKLE_MAX_BYTES = (1 << 32) - 1
"""Largest array that Facemap can save."""
MAX_COMPONENTS = 500
MIN_BINNED = 2
"""Binned pixels of a region: Facemap keeps one component fewer than pixels."""


def check_params(
    params: SvdParams,
    sizes: Sequence[Size],
    nframes: int,
    accept: Iterable[str],
    *,
    largest: int | None = PICKLE_MAX_BYTES,
) -> tuple[str, ...]:
    """Check parameters and ROIs against the videos.

    Parameters
    ----------
    params : SvdParams
    sizes : sequence of (int, int)
        Height and width of every view.
    nframes : int
        Frames that count.
    accept : iterable of str
        Checks that a person has overridden: ``roi_drawn_on`` can be.
    largest : int, optional
        Bytes of the largest array that can be saved; None for no limit.

    Returns
    -------
    tuple of str
        Warnings.

    Raises
    ------
    InputError
        Checks ``sbin``, ``roi_drawn_on``, ``roi_view``, ``roi_inside``, ``roi_size``, ``roi_edge``, ``roi_ellipse``,
        ``roi_reflector``, ``roi_saturation``, ``roi_sigma``, ``output_size``.
    """
    _check_sbin(params, sizes)
    warnings = _check_drawn_on(params, sizes, frozenset(accept))
    for index, roi in enumerate(params.rois):
        _check_place(params, index, sizes)
        if roi.kind is RoiKind.MOTION_SVD and has_svd(params):
            _check_bins(params, index, sizes)
        if roi.kind in (RoiKind.PUPIL, RoiKind.BLINK):
            _check_eye(params, index)
    if largest is not None:
        _check_output(params, sizes, nframes, largest)
    return warnings


def components(pixels: int, nframes: int) -> int:
    """Return the components that Facemap computes for a region of so many binned pixels."""
    return min(MAX_COMPONENTS, nframes - 1, max(1, pixels - 1))


def _check_sbin(params: SvdParams, sizes: Sequence[Size]) -> None:
    for view, size in enumerate(sizes):
        if 0 in binned_size(size, params.sbin):
            raise InputError(
                f"sbin is {params.sbin} and view {view} is only {size[1]}x{size[0]} pixels: not one bin fits; set sbin "
                f"to at most {min(size)} (4 is usual).",
                check="sbin",
            )
    if has_full_frame(params) and binned_pixels(sizes, params.sbin) < MIN_BINNED:
        raise InputError(
            f"With sbin {params.sbin} a single binned pixel is left of the whole frame: set sbin to a smaller number "
            "(4 is usual).",
            check="sbin",
        )


def _check_drawn_on(params: SvdParams, sizes: Sequence[Size], accepted: frozenset[str]) -> tuple[str, ...]:
    if params.drawn_on is None or not params.rois:
        return ()
    drawn, found = _sizes(params.drawn_on), _sizes(sizes)
    if tuple(params.drawn_on) == tuple(sizes):
        return ()
    sentence = f"The ROIs were drawn on video of {drawn} and this recording is {found} pixels"
    if "roi_drawn_on" in accepted:
        return (f"{sentence}; they are used as they are.",)
    raise InputError(
        f"{sentence}: draw them again on this recording, or accept the check roi_drawn_on to use them as they are.",
        check="roi_drawn_on",
    )


def _sizes(sizes: Sequence[Size]) -> str:
    return " and ".join(f"{x}x{y}" for y, x in sizes)


def _name(params: SvdParams, index: int) -> str:
    return f"ROI {index} ({params.rois[index].kind.value})"


def _check_place(params: SvdParams, index: int, sizes: Sequence[Size]) -> None:
    roi = params.rois[index]
    if roi.view >= len(sizes):
        raise InputError(
            f"{_name(params, index)} lies in view {roi.view} and the recording has {len(sizes)} view(s), numbered from "
            "0: say with facemap_params['views'] which files are simultaneous, or draw the ROI again.",
            check="roi_view",
        )
    height, width = sizes[roi.view]
    if roi.y1 > height or roi.x1 > width:
        raise InputError(
            f"{_name(params, index)} spans y {roi.y0} to {roi.y1 - 1} and x {roi.x0} to {roi.x1 - 1}, beyond view "
            f"{roi.view} of {width}x{height} pixels: draw it again inside the frame.",
            check="roi_inside",
        )


def _check_bins(params: SvdParams, index: int, sizes: Sequence[Size]) -> None:
    roi, sbin = params.rois[index], params.sbin
    box = binned_box(roi, sbin)
    if box.pixels < MIN_BINNED:
        raise InputError(
            f"{_name(params, index)} is {roi.x1 - roi.x0}x{roi.y1 - roi.y0} pixels, of which {box.width}x{box.height} "
            f"binned pixels are left with sbin {sbin}: draw it larger, or set a smaller sbin.",
            check="roi_size",
        )
    height, width = binned_size(sizes[roi.view], sbin)
    if box.y1 > height or box.x1 > width:
        raise InputError(
            f"{_name(params, index)} reaches x {roi.x1 - 1}, into the columns that sbin {sbin} leaves over at the "
            f"right edge, and Facemap can't compute it: draw it to end at x {width * sbin} or before, or set an "
            f"sbin that divides the width of {sizes[roi.view][1]}.",
            check="roi_edge",
        )


def _check_eye(params: SvdParams, index: int) -> None:
    roi = params.rois[index]
    name = _name(params, index)
    extent = (roi.y1 - roi.y0, roi.x1 - roi.x0)
    if roi.ellipse is None:
        raise InputError(
            f"{name} has no ellipse, the mask of the pixels that count: save the ROIs again with the Facemap GUI.",
            check="roi_ellipse",
        )
    if (roi.ellipse.height, roi.ellipse.width) != extent:
        raise InputError(
            f"{name} is {extent[1]}x{extent[0]} pixels and its ellipse {roi.ellipse.width}x{roi.ellipse.height}: they "
            "must be the same; save the ROIs again with the Facemap GUI.",
            check="roi_ellipse",
        )
    if roi.saturation is None or not 0 < roi.saturation <= 255:
        raise InputError(
            f"{name} has saturation {roi.saturation}, which must be a gray level above 0 and at most 255: set it with "
            "the GUI's slider.",
            check="roi_saturation",
        )
    if roi.kind is RoiKind.PUPIL and (roi.pupil_sigma is None or not roi.pupil_sigma > 0):
        raise InputError(
            f"{name} has pupil_sigma {roi.pupil_sigma}, which must be a number above 0 (the GUI's default is "
            "2): set it in the GUI.",
            check="roi_sigma",
        )
    _check_reflectors(roi, name)


def _check_reflectors(roi: Roi, name: str) -> None:
    for reflector in roi.reflectors:
        extent = (reflector.y1 - reflector.y0, reflector.x1 - reflector.x0)
        if (reflector.ellipse.height, reflector.ellipse.width) != extent:
            raise InputError(
                f"A corneal reflection of {name} is {extent[1]}x{extent[0]} pixels and its ellipse "
                f"{reflector.ellipse.width}x{reflector.ellipse.height}: they must be the same; save the ROIs again.",
                check="roi_reflector",
            )


def _check_output(params: SvdParams, sizes: Sequence[Size], nframes: int, largest: int) -> None:
    if not has_svd(params):
        return
    regions = [
        (_name(params, index), pixels, pixels)
        for index, roi in enumerate(params.rois)
        if roi.kind is RoiKind.MOTION_SVD and (pixels := binned_box(roi, params.sbin).pixels)
    ]
    if has_full_frame(params):
        regions.append(("the full frame", binned_pixels(sizes, params.sbin), layout_pixels(sizes, params.sbin)))
    for name, pixels, laid_out in regions:
        count = components(pixels, nframes)
        for what, length, remedy in (
            ("masks", laid_out, "set a larger sbin"),
            ("projections", nframes, "split the recording"),
        ):
            size = 4 * length * count
            if size > largest:
                raise InputError(
                    f"The {what} of {name} would be {length} x {count} numbers, {size / 2**30:.1f} GiB, and Facemap "
                    f"can't save more than 4 GiB in one array: {remedy}.",
                    check="output_size",
                )
