"""Definitions of our own tables, in DataJoint 2's types: what each attribute is.

:mod:`fmdj_cloud.pipeline.ddl` says them to MySQL and MariaDB in the lab's format.
"""

from __future__ import annotations

VERSION = """
# Version of these tables: one row
version_id : int8
---
version    : int32
fmdj       : varchar(32)  # that made or migrated them
since      : datetime(6)
"""
PIPELINE = """
# Pipelines that a controller has seen
name       : varchar(24)
---
first_seen : datetime(6)
brake      : bool         # whether the first-start brake holds its tasks
engine     : varchar(16)  # fixed at first sight
basis      : varchar(32)  # likewise
"""
LEADER = """
# Who leads: one row
leader_id : int8
---
holder    : varchar(255)
epoch     : int64         # raised whenever leadership changes or was lost
expires   : datetime(6)
"""
REQUEST = """
# What people ask a running controller for
request_id : char(32)
---
what       : varchar(64)
asked_by   : varchar(255)
state      : varchar(16)
sentence   : varchar(2000)
created    : datetime(6)
updated    : datetime(6)
index(state)
"""
RUN = """
# What is computed for a task
run_id             : varchar(32)
---
kind               : varchar(8)
task_kind          : varchar(8)     # of the task table
pipeline           : varchar(24)
task               : varchar(4000)  # canonical key
task_digest        : varchar(64)
content_digest     : varchar(64)
param_digest       : varchar(64)
state              : varchar(16)
wanted             : varchar(8)
attempt            : int32
priority           : int32          # lower is more urgent
output_dir         : varchar(1500)
manifest_sha256=null : varchar(64)
failure_class=null : varchar(16)
sentence           : varchar(2000)
not_before=null    : datetime(6)
failures           : varchar(1000)  # JSON: failed attempts by class
estimate           : varchar(1000)  # JSON
profile            : varchar(32)    # asked for by name; empty is the kind's own
shards=null        : int32          # at most; null computes in one piece
plan               : bytes          # JSON
created            : datetime(6)
updated            : datetime(6)
index(state, priority)
index(task_digest)
index(content_digest)
"""
ATTEMPT = """
# A numbered try of a run
-> master
attempt      : int32
---
folder       : varchar(1500)
spec_sha256  : varchar(64)
started      : datetime(6)
finished=null : datetime(6)
outcome=null : varchar(16)
sentence     : varchar(2000)
evidence     : varchar(4000)  # JSON
limits       : varchar(1000)  # JSON
stage        : varchar(16)    # that it has come to
"""
JOB = """
# A Job of an attempt
-> master.Attempt
stage        : varchar(16)
---
launcher     : varchar(32)
job_name     : varchar(63)
job_uid=null : varchar(255)
shards       : int32          # pods that it takes in all
pods         : int32          # and at a time
node=null    : varchar(255)
outcome=null : varchar(16)
gpu_seconds=null : float64
"""
ACCEPTANCE = """
# Checks that a person has overridden for a task
task_digest  : varchar(64)
check_name   : varchar(32)
---
param_digest : varchar(64)   # of the task as it was then: an edit ends it
accepted_by  : varchar(255)
accepted     : datetime(6)
"""
QUALITY = """
# What quality control found in the outputs of a run: one row per check and part of the file
run_id         : varchar(32)
check_no       : int32          # in the order in which they were made
---
attempt        : int32          # whose outputs
check_name     : varchar(32)
part           : varchar(128)   # what was looked at: a region's signal, a body part; empty is the whole file
roi_no=null    : int32          # as in FacialSignal.Region, where it is about one
value=null     : float64        # what was found; null where it is no number
threshold=null : float64        # what it is judged by; null where it is no number
verdict        : varchar(8)     # pass, warn or fail
accepted       : bool           # whether it failed, and a person had accepted that by name
sentence       : varchar(2000)  # what is wrong and what to do; empty where it passed
checked        : datetime(6)
index(check_name)
"""
RECOMPUTE = """
# Tasks that are to be computed anew when they are planned next, whatever outputs there are
task_digest : varchar(64)
---
asked_by    : varchar(255)
asked       : datetime(6)
"""
CLAIM = """
# The FacemapRun that a task belongs to
task_digest        : varchar(64)
---
owner              : varchar(64)    # UID of the FacemapRun
owner_name         : varchar(253)
pipeline           : varchar(24)
kind               : varchar(8)
task               : varchar(4000)  # canonical key
priority=null      : int32          # what it asks for; null leaves it as it is
profile            : varchar(32)    # likewise; empty is the kind's own
time_budget_s=null : float64        # likewise; null is by the estimate
shards             : varchar(16)    # likewise
held               : bool           # whether the FacemapRun is suspended
stopped            : bool           # whether the run is held for that
leaving            : bool           # no longer wanted: the run is being cancelled
since              : datetime(6)
index(owner)
"""
BINDING = """
---
task_digest        : varchar(64)
state              : varchar(16)
since              : datetime(6)
next_look=null     : datetime(6)
failure_class=null : varchar(16)
sentence           : varchar(2000)
priority           : int32        # lower is more urgent
wanted             : varchar(8)
param_digest       : varchar(64)
changed            : int32        # new plans after an input changed
run_id=null        : varchar(32)
unique index(task_digest)
index(run_id)
"""
