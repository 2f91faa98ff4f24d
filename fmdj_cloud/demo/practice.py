"""A lab to practise on: a database and a bucket on this computer, the Element's tables, and generated recordings.

The tutorials use it wherever a reader has no lab at hand; whoever wants to try something may, too::

    from fmdj_cloud.demo.practice import start_practice_lab

    lab = start_practice_lab("practice")
    recording = lab.add_recording(1, frames=600)
    facemap = dj.VirtualModule("facemap", lab.behavior_schema, connection=lab.connection)
    ...
    lab.stop()

Commands of ``fmdj`` that are called afterwards from the same process or notebook work on it: ``FMDJ_CONFIG`` names its
settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fmdj_cloud.demo.entries import Bench, place_of
from fmdj_cloud.demo.keeper import CONFIG, running_keeper
from fmdj_cloud.demo.recordings import Recording, RecordingSpec, generate
from fmdj_cloud.demo.world import PIPELINE, demo_servers, stop_servers
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import open_store


class PracticeLab:
    """A lab whose servers run, with one subject, one session and one camera, and no recordings.

    Parameters
    ----------
    folder : Path
        Of recordings, logs and settings.
    settings : Settings
        With which its servers are reached.

    Attributes
    ----------
    folder : Path
    settings : Settings
    database : Database
    store : Store
        Reaches the bucket.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self.database = Database(settings.database)
        self.store = open_store(settings.storage)
        self._bench = Bench(self.database, self.store, settings.pipeline(PIPELINE))

    @property
    def config(self) -> Path:
        """The YAML file with its settings."""
        return self.folder / CONFIG

    @property
    def connection(self) -> Any:
        """DataJoint's connection, for ``dj.VirtualModule(..., connection=lab.connection)``."""
        return self.database.connection

    @property
    def behavior_schema(self) -> str:
        """Schema of the Element's ``facial_behavior_estimation``."""
        return self.settings.pipeline(PIPELINE).behavior_schema

    @property
    def inference_schema(self) -> str:
        """Schema of the Element's ``facemap_inference``."""
        return str(self.settings.pipeline(PIPELINE).inference_schema)

    @property
    def element(self) -> Element:
        """Tables of the Element's ``facial_behavior_estimation``."""
        return self._bench.element

    @property
    def video_root(self) -> str:
        """URI that file paths are relative to."""
        return self.settings.pipeline(PIPELINE).video_roots[0]

    @property
    def processed_root(self) -> str:
        """URI below which outputs go."""
        return self.settings.pipeline(PIPELINE).processed_root

    def add_recording(
        self, recording_id: int, *, frames: int = 600, width: int = 320, height: int = 240, seed: int | None = None
    ) -> Recording:
        """Generate a recording, upload its video to the bucket, and insert its rows; a task is up to you.

        Parameters
        ----------
        recording_id : int
            Its key is ``{"subject": "m1", "session_id": 1, "recording_id": recording_id}``.
        frames : int
            At least 2.
        width, height : int
            Pixels; even.
        seed : int, optional
            Of what the subject does; `recording_id` by default.

        Returns
        -------
        Recording
            Its videos on this computer, its ROIs, and what is true of it.
        """
        spec = RecordingSpec(
            f"face-{recording_id}",
            width=width,
            height=height,
            nframes=(frames,),
            seed=recording_id if seed is None else seed,
        )
        recording = generate(spec, self.folder / "recordings")
        self._bench.add_recording(recording, recording_id)
        return recording

    def place(self, recording: Recording) -> str:
        """Return a recording's folder, relative to the video root and the processed root alike."""
        return place_of(recording)

    def stop(self) -> None:
        """Stop the servers; what they hold goes with them, and the folder stays."""
        self.database.close()
        stop_servers(self.folder)


def start_practice_lab(folder: str | Path, *, database: str = "postgresql") -> PracticeLab:
    """Start a lab to practise on; one that still runs in the folder is stopped first, so that each start is afresh.

    Parameters
    ----------
    folder : str or Path
        Made if missing.
    database : str
        ``postgresql``, or ``mariadb`` where that server is installed.

    Returns
    -------
    PracticeLab
        Its servers run until :meth:`PracticeLab.stop`, or ``fmdj demo --stop --output-dir FOLDER``.

    Raises
    ------
    ConfigError
        If a server doesn't start.
    """
    workdir = Path(folder).resolve()
    (workdir / "recordings").mkdir(parents=True, exist_ok=True)
    if running_keeper(workdir) is not None:
        stop_servers(workdir)
    with demo_servers(workdir, database=database, keep=True) as settings:
        return PracticeLab(workdir, settings)
