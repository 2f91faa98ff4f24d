"""Embedded servers for the demo and the tests: real databases, and an S3 API over real HTTP.

Each runs under a guard (:mod:`fmdj_cloud.demo.guard`) that stops it when this process leaves the context
or dies, even by SIGKILL. Any number of processes can have their own: nothing is shared, neither ports nor
folders.
"""

from __future__ import annotations

from fmdj_cloud.demo.servers.mariadb import embedded_mariadb
from fmdj_cloud.demo.servers.postgres import embedded_postgres
from fmdj_cloud.demo.servers.s3 import embedded_s3

__all__ = ["embedded_mariadb", "embedded_postgres", "embedded_s3"]
