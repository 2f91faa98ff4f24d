"""Quality control at the command line: shown by explain, overridden by retry."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import RunState

pytestmark = pytest.mark.integration


def test_a_failed_check_is_explained_and_accepted_by_name(site):
    site.real_workers = True
    key = site.world.insert_task()
    words = [f"recording_id={key['recording_id']}"]
    strict = {"quality": {"clipping": {"warn": 0, "fail": 0}}}
    settings = site.world.settings.model_copy(
        update={"load": site.world.settings.load.model_validate(site.world.settings.load.model_dump() | strict)}
    )
    assert site.controller().drain(60)
    site.loader(settings).run_pass()

    answer = site.run("explain", *words)
    assert "clipping" in answer.out
    assert "times as much motion as elsewhere (at most 0)" in " ".join(answer.out.split())
    assert "fmdj retry KEY --accept clipping" in " ".join(answer.out.split())
    (told,) = site.run("explain", *words, "-o", "json").json
    assert {one["verdict"] for one in told["quality"] if one["check"] == "clipping"} == {"fail"}

    site.order("retry", *words, "--accept", "clipping")
    assert site.controller().drain(60)
    site.loader(settings).run_pass()

    assert site.world.run_of(key).state is RunState.LOADED
    (told,) = site.run("explain", *words, "-o", "json").json
    assert told["state"] == "done"
    assert [one["accepted"] for one in told["quality"] if one["verdict"] != "pass"] == [True]
    assert "Look at what is flagged (1)." in site.run("explain", *words).out
