"""Who holds a task is known on this machine, and nothing is assumed of others."""

from __future__ import annotations

import os
import subprocess
import sys

from fmdj_cloud.populate.holder import holding, is_gone

PRINT = "from fmdj_cloud.populate.holder import holding\nwith holding() as h: print(h, flush=True); input()"


def test_a_holder_of_this_process_is_gone_when_it_has_let_go():
    with holding() as first, holding() as second:
        assert first != second
        assert not is_gone(first)
    assert is_gone(first)


def test_another_process_is_gone_when_it_has_ended():
    process = subprocess.Popen([sys.executable, "-c", PRINT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holder = process.stdout.readline().strip()
    assert not is_gone(holder)
    process.communicate("\n")
    assert is_gone(holder)


def test_a_successor_with_the_same_number_is_not_the_same_process():
    with holding() as holder:
        host, _, start, machine, one = holder.split("/")
    assert is_gone(f"{host}/{os.getppid()}/{int(start) + 1}/{machine}/{one}")


def test_of_other_machines_and_strange_names_nothing_is_known():
    with holding() as holder:
        host, pid, start, _, one = holder.split("/")
    assert not is_gone(f"{host}/{pid}/{start}/elsewhere/{one}")
    assert not is_gone("")
    assert not is_gone("a uid of a Job")
    assert len(holder) <= 255
