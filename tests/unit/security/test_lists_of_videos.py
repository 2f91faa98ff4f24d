"""A file that only names others is no video: what it names need not be the task's."""

from __future__ import annotations

import pytest

from fmdj_cloud.demo.recordings import RecordingSpec, generate
from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.header_index import header_index
from fmdj_cloud.worker.index import read_index
from fmdj_cloud.worker.video import read_facts


@pytest.fixture(scope="module")
def anothers(tmp_path_factory):
    """A video that isn't the task's."""
    spec = RecordingSpec(name="other", width=96, height=72, nframes=(20,), codec="h264")
    return generate(spec, tmp_path_factory.mktemp("others")).videos[0][0]


def from_header(path):
    with path.open("rb") as file:
        return header_index(path.name, file, path.stat().st_size)


@pytest.mark.parametrize("read", [read_facts, read_index, from_header])
@pytest.mark.parametrize("name", ["cam.m3u8", "cam.avi", "cam.mp4"])
@pytest.mark.parametrize("way", ["{}", "file://{}"])
def test_a_list_of_others_is_refused(tmp_path, anothers, name, read, way):
    path = tmp_path / name
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{way.format(anothers)}\n#EXT-X-ENDLIST\n")
    with pytest.raises(InputError) as refused:
        read(path)
    assert refused.value.check == "readable"


@pytest.mark.parametrize("read", [read_facts, read_index, from_header])
def test_a_list_of_files_beside_it_is_refused_too(tmp_path, anothers, read):
    (tmp_path / "next.mp4").write_bytes(anothers.read_bytes())
    path = tmp_path / "cam.avi"
    path.write_text("ffconcat version 1.0\nfile 'next.mp4'\n")
    with pytest.raises(InputError, match=r"list of other files|can't be read as a video"):
        read(path)


def test_the_video_itself_is_read(anothers):
    assert read_facts(anothers).frames == read_index(anothers).facts.frames == 20
