"""Secrets are taken out wherever they stand; paths and host names stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.settings import Settings
from fmdj_cloud.trouble.scrub import REMOVED, known_secrets, scrub

CANARY = "c4n4ry-w0rd&/+"


def test_secrets_of_settings_and_environment_are_known_by_their_value() -> None:
    settings = Settings(database={"password": CANARY}, storage={"s3": {"secret_access_key": "s3cr3t/" + CANARY}})
    environment = {"DJ_PASS": "other-canary", "HOME": "/home/ada", "GITHUB_TOKEN": "third-canary"}
    known = known_secrets(settings, environment, ["file-canary\n"])
    text = f"a {CANARY} b s3cr3t/{CANARY} other-canary third-canary file-canary c4n4ry-w0rd%26%2F%2B /home/ada"
    clean = scrub(text, known)
    assert "anary" not in clean
    assert "c4n4ry" not in clean
    assert clean.endswith("/home/ada")


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("mysql://ada:hunter2@db.lab:3306/x", "hunter2"),
        ("AWS key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
        ("Authorization: Bearer abcdefghijklmnop", "abcdefghijklmnop"),
        ("https://b.s3/x?X-Amz-Credential=AKIA%2F1&X-Amz-Signature=deadbeef", "deadbeef"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ('{"password": "hunter2", "host": "db.lab"}', "hunter2"),
        ("db_password: hunter2 host=db.lab", "hunter2"),
        ("DJ_PASS=hunter2 on host=db.lab", "hunter2"),
        ("token='hunter2'", "hunter2"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc", "eyJzdWIi"),
    ],
)
def test_what_looks_like_a_secret_is_removed(text: str, gone: str) -> None:
    clean = scrub(text, ())
    assert gone not in clean
    assert REMOVED in clean
    for kept in ("db.lab", "host"):
        assert (kept in clean) == (kept in text)


def test_paths_hosts_and_harmless_words_stay() -> None:
    text = "s3://lab-raw/m1/video 1.avi on node-7.cluster.local: 'password': null; /home/ada/token-ring/x.npy 12:30"
    assert scrub(text, ()) == text


def test_a_switch_whose_name_sounds_like_a_secret_takes_no_word_out() -> None:
    known = known_secrets(None, {"TOKENIZERS_PARALLELISM": "false", "FMDJ_TOKEN": CANARY})
    assert scrub(f'{{"gpu": false, "key": "{CANARY}"}}', known) == f'{{"gpu": false, "key": "{REMOVED}"}}'


_SECRETS = st.text(min_size=4).filter(
    lambda word: word.strip() == word and word not in REMOVED and word.lower() not in ("none", "null", "true", "false")
)


@given(st.text(), _SECRETS, st.text())
def test_no_known_secret_is_ever_left(before: str, secret: str, after: str) -> None:
    known = known_secrets(None, {"SOME_TOKEN": secret})
    assert secret not in scrub(before + secret + after, known).replace(REMOVED, "\0")
