"""Housekeeping is off until it is asked for, and shows before it deletes."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.integration


def cronjob(documents):
    return next((one for one in documents if one["metadata"]["name"] == "lab-gc"), None)


def container_of(documents):
    (container,) = pod_of(documents)["containers"]
    return container


def pod_of(documents):
    return cronjob(documents)["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_there_is_none_by_default(minimal):
    assert cronjob(minimal) is None


def test_it_only_shows_unless_it_is_told_to_delete(render):
    shown = render("minimal", "--set=gc.enabled=true")
    assert container_of(shown)["args"] == ["gc"]
    assert cronjob(shown)["spec"]["concurrencyPolicy"] == "Forbid"
    assert not cronjob(shown)["spec"].get("suspend")
    deleting = render("minimal", "--set=gc.enabled=true", "--set=gc.delete=true")
    assert container_of(deleting)["args"] == ["gc", "--yes"]


def test_without_jobs_it_has_no_token(render):
    pod = pod_of(render("minimal", "--set=gc.enabled=true", "--set=gc.jobs=false", "--set=gc.serviceAccountName=mine"))
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "mine"
    assert pod["containers"][0]["args"] == ["gc", "--no-jobs"]


def test_it_has_credentials_of_its_own(render):
    own = "--set=gc.settingsFromSecrets.database\\.password=tidy/password"
    documents = render("minimal", "--set=gc.enabled=true", own)
    text = str(pod_of(documents))
    assert "tidy" in text
    assert "tidy" not in str([one for one in documents if one is not cronjob(documents)])


def test_how_long_things_are_kept_is_a_setting(render):
    documents = render("minimal", "--set=gc.enabled=true", "--set=settings.gc.outputs_days=200")
    assert any("outputs_days: 200" in str(one.get("data")) for one in documents)
