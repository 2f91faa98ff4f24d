"""A lab's tables as its own DataJoint 0.14 declared them: a Session by any key, and the Element in two shapes.

The names, keys and types are those of element-facemap 0.1.7 and 0.3.0; definitions are ours.
"""

import datajoint as dj

OLD, NEW = "0.1", "0.3"


def declare(prefix, session_key, shape=NEW, names=None):
    """Declare the schemas of a lab; return its tables by name.

    Parameters
    ----------
    prefix : str
        Of all schemas: ``<prefix>lab``, ``<prefix>behavior`` and, in the newer shape, ``<prefix>inference``.
    session_key : str
        Lines of the definition of Session's primary key.
    shape : str
        OLD or NEW.
    names : dict, optional
        Where the tables go by name, too.
    """
    made = {}
    _add(made, dj.Schema(prefix + "lab"), "Session", dj.Manual, session_key)
    _add(made, dj.Schema(prefix + "lab"), "Device", dj.Lookup, "device : varchar(32)")
    made["Device"].insert1({"device": "cam"}, skip_duplicates=True)
    behavior = dj.Schema(prefix + "behavior")
    for name, tier, definition, parts in _behavior(shape):
        _add(made, behavior, name, tier, definition, parts)
    if shape == NEW:
        inference = dj.Schema(prefix + "inference")
        for name, tier, definition, parts in _INFERENCE:
            _add(made, inference, name, tier, definition, parts)
    if names is not None:
        names.update(made)
    return made


def opened(schema):
    """Return the tables of a schema that somebody else declared, parts as ``Master.Part``."""
    return dj.VirtualModule(schema, schema)


def _add(made, schema, name, tier, definition, parts=None):
    members = {part: type(part, (dj.Part,), {"definition": text}) for part, text in (parts or {}).items()}
    if issubclass(tier, dj.autopopulate.AutoPopulate):
        members["make"] = _make
    made[name] = schema(type(name, (tier,), {"definition": definition, **members}), context=made)


def _make(self, key):
    raise NotImplementedError("nobody computes here")


def _behavior(shape):
    component = "component_id" if shape == NEW else "pc_no"
    optional = "=null" if shape == NEW else ""

    def svd(mask):
        return f"""
        -> master.Region
        {component} : int
        ---
        singular_value=null : float
        {mask} : longblob
        projection : longblob
        """

    return (
        (
            "VideoRecording",
            dj.Manual,
            """
            -> Session
            recording_id : int
            ---
            -> Device
            """,
            {
                "File": """
                -> master
                file_id : smallint
                ---
                file_path : varchar(255)  # below the lab's root
                """
            },
        ),
        (
            "RecordingInfo",
            dj.Imported,
            """
            -> VideoRecording
            ---
            px_height : int
            px_width : int
            nframes : int
            fps : int
            recording_duration : float
            recording_time=null : datetime
            """,
            {},
        ),
        (
            "FacemapTask",
            dj.Manual,
            """
            # What is wanted
            -> VideoRecording
            facemap_task_id : smallint
            ---
            facemap_output_dir='' : varchar(255)
            task_mode='load' : enum('load', 'trigger')
            facemap_params : longblob  # what Facemap gets
            do_mot_svd=1 : bool
            do_mov_svd=0 : bool
            task_description='' : varchar(128)
            """,
            {},
        ),
        (
            "FacemapProcessing",
            dj.Computed,
            """
            -> FacemapTask
            ---
            processing_time : datetime
            package_version='' : varchar(16)
            """,
            {},
        ),
        (
            "FacialSignal",
            dj.Imported,
            """
            -> FacemapProcessing
            """,
            {
                "Region": f"""
                -> master
                roi_no : int
                ---
                roi_name='' : varchar(16)
                xrange{optional} : longblob
                yrange{optional} : longblob
                xrange_bin{optional} : longblob
                yrange_bin{optional} : longblob
                motion{optional} : longblob
                """,
                "MotionSVD": svd("motmask"),
                "MovieSVD": svd("movmask"),
                "Summary": """
                -> master
                ---
                sbin : int
                avgframe : longblob
                avgmotion : longblob
                """,
            },
        ),
    )


_INFERENCE = (
    (
        "BodyPart",
        dj.Lookup,
        """
        body_part : varchar(32)
        ---
        body_part_description='' : varchar(1000)
        """,
        {},
    ),
    (
        "FacemapModel",
        dj.Manual,
        """
        model_id : int
        ---
        model_name : varchar(64)
        model_description='' : varchar(1000)
        """,
        {
            "BodyPart": """
            -> master
            -> BodyPart
            """,
            "File": """
            -> master
            ---
            model_file : attach
            """,
        },
    ),
    (
        "FacemapInferenceTask",
        dj.Manual,
        """
        -> VideoRecording
        -> FacemapModel
        ---
        facemap_inference_output_dir : varchar(255)
        task_description='' : varchar(128)
        task_mode='load' : enum('load', 'trigger')
        bbox=null : longblob
        """,
        {},
    ),
    (
        "FacemapInference",
        dj.Computed,
        """
        -> FacemapInferenceTask
        ---
        inference_completion_time : datetime
        inference_run_duration : float
        total_frame_count : int
        """,
        {
            "BodyPartPosition": """
            -> master
            -> FacemapModel.BodyPart
            ---
            x_pos : longblob
            y_pos : longblob
            likelihood : longblob
            """
        },
    ),
)
