"""A job that was taken over is ended by whoever lost it.

Needs DataJoint 2 and a server (DJ_HOST ...); makes a schema and drops it. It ends with an AssertionError where
the fault is.
"""

import uuid

import datajoint as dj

schema = dj.Schema(f"fmdj_{uuid.uuid4().hex[:8]}")


@schema
class Wanted(dj.Manual):
    definition = "wanted_id : int32"


@schema
class Done(dj.Computed):
    definition = "-> Wanted"

    def make(self, key):
        self.insert1(key)


try:
    key = {"wanted_id": 1}
    Wanted.insert1(key)
    jobs = Done.jobs
    jobs.refresh()
    assert jobs.reserve(key), "the first process has it"
    # It seems to be dead: somebody clears its reservation, and a second process takes the job.
    (jobs & key).delete_quick()
    jobs.refresh()
    assert jobs.reserve(key), "the second process has it"
    jobs.error(key, "The first process wakes up, and fails.")
    status = (jobs & key).fetch1("status")
finally:
    schema.drop(prompt=False)

assert status == "reserved", f"the second process is computing, and its reservation has become {status!r}"
