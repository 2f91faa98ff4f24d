"""Programs reach the object store with the bucket policies that ``fmdj grants`` prints, and no further."""

from __future__ import annotations

import json
import urllib.request
import uuid
from dataclasses import dataclass

import boto3
import pytest
from pydantic import SecretStr

from fmdj_cloud.contracts import RunState
from fmdj_cloud.demo.servers import embedded_s3
from fmdj_cloud.errors import FmdjError, ObjectMissingError
from fmdj_cloud.settings import StorageSettings
from fmdj_cloud.storage import open_store
from fmdj_cloud.storage.client import make_client

pytestmark = pytest.mark.integration


@dataclass
class Guarded:
    """An S3 server that asks who is there once `close` was called."""

    settings: object
    iam: object

    def user(self, policy):
        """Return settings of a new user with this policy."""
        name = f"u{uuid.uuid4().hex[:10]}"
        self.iam.create_user(UserName=name)
        self.iam.put_user_policy(UserName=name, PolicyName="fmdj", PolicyDocument=json.dumps(policy))
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        secrets = {
            "access_key_id": SecretStr(key["AccessKeyId"]),
            "secret_access_key": SecretStr(key["SecretAccessKey"]),
        }
        return self.settings.model_copy(update=secrets)

    def close(self):
        self._after(0)

    def open(self):
        self._after("inf")

    def _after(self, actions):
        url = f"{self.settings.endpoint_url}/moto-api/reset-auth"
        request = urllib.request.Request(url, str(actions).encode(), {"Content-Type": "text/plain"}, method="POST")
        urllib.request.urlopen(request, timeout=10).close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with embedded_s3(tmp_path_factory.mktemp("iam"), "lab") as settings:
        iam = boto3.client(
            "iam",
            endpoint_url=settings.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )
        yield Guarded(settings, iam)


@pytest.fixture
def s3_of(site, guarded):
    """Makes settings whose user has a program's policy on this site's roots; the store is closed to others."""
    guarded.open()
    client = make_client(guarded.settings)
    bucket = site.world.bucket.removeprefix("s3://").partition("/")[0]
    client.create_bucket(Bucket=bucket)
    made = {}

    def make(program, *options):
        if program not in made:
            guarded.open()
            policy = site.run("grants", program, "-o", "json", *options).json[program]["policy"]
            made[program] = guarded.user(policy)
        guarded.close()
        storage = site.world.settings.storage.model_copy(update={"s3": made[program]})
        return site.world.settings.model_copy(update={"storage": storage})

    yield make
    guarded.open()
    client.close()


@pytest.fixture
def open_world(site, guarded):
    """The site's own store is the guarded server, as its owner sees it."""
    site.world.store = open_store(StorageSettings(s3=guarded.settings))
    return site


@pytest.mark.parametrize("database_server", ["postgres"], indirect=True)
class TestPolicies:
    def test_a_run_needs_no_more(self, open_world, s3_of, guarded):
        site = open_world
        site.real_workers = True
        key = site.world.insert_task()
        controller_settings, loader_settings = s3_of("controller"), s3_of("loader")
        worker_settings = s3_of("worker")
        controller = site.controller(controller_settings)
        controller._actor._launcher = controller._observer._launcher = site.launcher(worker_settings)
        site.until(controller, key, "published")
        (result,) = site.loader(loader_settings).run_pass()
        assert result.end == "loaded", result.sentence
        assert site.world.run_of(key).state is RunState.LOADED

    def test_populate_needs_no_more(self, open_world, s3_of):
        site = open_world
        key = site.world.insert_task()
        settings = s3_of("populate")
        element = site.element(settings)
        assert element.FacemapProcessing.populate()["success_count"] == 1
        assert element.FacialSignal.populate()["success_count"] == 1
        assert site.world.run_of(key).state is RunState.LOADED
        store, folder = open_store(settings.storage), site.world.attempt_of(key).folder
        video = f"{site.world.bucket}/videos/rec1/cam.avi"
        for elsewhere in (video, f"{site.world.bucket}/processed/x"):
            with pytest.raises(FmdjError):
                store.put_bytes(elsewhere, b"mine now")
        for kept in (video, f"{folder}/manifest.json"):
            with pytest.raises(FmdjError):
                store.delete(kept)

    def test_housekeeping_deletes_in_attempt_folders_only(self, open_world, s3_of):
        site = open_world
        root = f"{site.world.bucket}/processed"
        folder = f"{root}/rec1/facemap_0/svd-0123456789abcdef/a1"
        video, model = f"{site.world.bucket}/videos/rec1/cam.avi", f"{root}/model.pt"
        for uri in (video, model, f"{folder}/spec.json"):
            site.world.store.put_bytes(uri, b"x")
        store = open_store(s3_of("gc").storage)
        assert [info.uri for info in store.list(folder)] == [f"{folder}/spec.json"]
        assert list(store.unfinished(root)) == []
        store.delete(f"{folder}/spec.json")
        for kept in (video, model):
            with pytest.raises(FmdjError):
                store.delete(kept)
        with pytest.raises(FmdjError):
            store.put_bytes(f"{folder}/spec.json", b"mine now")
        with pytest.raises(FmdjError):
            store.get_bytes(video, max_bytes=10)

    def test_a_worker_reads_inputs_and_writes_in_its_attempt_folder_only(self, open_world, s3_of):
        site = open_world
        root = f"{site.world.bucket}/processed"
        mine = f"{root}/rec1/facemap_0/svd-0123456789abcdef/a2"
        video = f"{site.world.bucket}/videos/rec1/cam.avi"
        site.world.store.put_bytes(video, b"video")
        site.world.store.put_bytes(f"{mine}/spec.json", b"{}")
        store = open_store(s3_of("worker", "--attempt-folder", mine).storage)
        assert store.get_bytes(video, max_bytes=10) == b"video"
        assert store.get_bytes(f"{mine}/spec.json", max_bytes=10) == b"{}"
        with pytest.raises(ObjectMissingError):  # not 403: what isn't there yet can be told from what is forbidden
            store.head(f"{site.world.bucket}/videos/rec1/later.avi")
        store.put_bytes(f"{mine}/n1/signals.h5", b"signals")
        for elsewhere in (video, f"{root}/rec1/facemap_0/svd-0123456789abcdef/a1/manifest.json", f"{root}/x"):
            with pytest.raises(FmdjError):
                store.put_bytes(elsewhere, b"mine now")
        for kept in (video, f"{mine}/spec.json"):
            with pytest.raises(FmdjError):
                store.delete(kept)

    def test_a_loader_only_reads_what_was_published(self, open_world, s3_of):
        site = open_world
        video, output = f"{site.world.bucket}/videos/v.avi", f"{site.world.bucket}/processed/o.h5"
        for uri in (video, output):
            site.world.store.put_bytes(uri, b"data")
        store = open_store(s3_of("loader").storage)
        assert store.get_bytes(output, max_bytes=10) == b"data"
        with pytest.raises(FmdjError):
            store.get_bytes(video, max_bytes=10)
        for uri in (video, output):
            with pytest.raises(FmdjError):
                store.put_bytes(uri, b"other")
