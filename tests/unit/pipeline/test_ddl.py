"""CREATE TABLE of our tables on MySQL: what DataJoint 0.14 reads, or what 2.x does."""

from __future__ import annotations

import pytest

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.ddl import create_table, modify_columns, read_definition
from fmdj_cloud.pipeline.formats import Format

TRACE = """
# Lid's traces
subject : varchar(16)
session : uuid
day     : date
count   : int unsigned
---
trace       : <blob>       # (nframes), pixels
text        : bytes        # JSON
flag        : bool
level=null  : float64
name=''     : varchar(8)   # 'so' called
index(flag, level)
unique index(name)
"""
PART = """
-> master
stage : varchar(16)
---
pods  : int32
"""


def lines(text: str, table_format: Format, **collations: tuple[str, str]) -> list[str]:
    made = create_table("lab_fmdj", read_definition("lab_lid", text, {}), table_format, collations)
    return [line.removesuffix(",") for line in made.splitlines()]


def test_a_table_for_datajoint_0_14_has_native_types_and_their_marker_for_uuids() -> None:
    assert lines(TRACE, Format.NATIVE) == [
        "CREATE TABLE IF NOT EXISTS `lab_fmdj`.`lab_lid` (",
        "`subject` varchar(16) NOT NULL",
        "`session` binary(16) NOT NULL COMMENT ':uuid:'",
        "`day` date NOT NULL",
        "`count` int unsigned NOT NULL",
        "`trace` longblob NOT NULL COMMENT '(nframes), pixels'",
        "`text` longtext NOT NULL COMMENT 'JSON'",
        "`flag` tinyint(1) NOT NULL",
        "`level` double DEFAULT NULL",
        "`name` varchar(8) NOT NULL DEFAULT '' COMMENT '''so'' called'",
        "PRIMARY KEY (`subject`, `session`, `day`, `count`)",
        "INDEX (`flag`, `level`)",
        "UNIQUE INDEX (`name`)",
        ") ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT='Lid''s traces'",
    ]


def test_a_table_for_datajoint_2_tells_its_core_types() -> None:
    found = lines(TRACE, Format.CORE)
    assert found[1:9] == [
        "`subject` varchar(16) NOT NULL COMMENT ':varchar(16):'",
        "`session` binary(16) NOT NULL COMMENT ':uuid:'",
        "`day` date NOT NULL COMMENT ':date:'",
        "`count` int unsigned NOT NULL",
        "`trace` longblob NOT NULL COMMENT ':<blob>:(nframes), pixels'",
        "`text` longblob NOT NULL COMMENT ':bytes:JSON'",
        "`flag` tinyint(1) NOT NULL COMMENT ':bool:'",
        "`level` double DEFAULT NULL COMMENT ':float64:'",
    ]


def test_copies_of_a_labs_strings_compare_as_those_do() -> None:
    found = lines(TRACE, Format.NATIVE, subject=("latin1", "latin1_swedish_ci"))
    assert found[1] == "`subject` varchar(16) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL"


def test_only_what_tells_the_type_changes_with_the_format() -> None:
    table = read_definition("lab_lid", "subject : varchar(16)\n---\ntrace : <blob>  # pixels", {})
    assert modify_columns("s", table, Format.CORE, {"subject": ("latin1", "latin1_bin")}) == (
        "ALTER TABLE `s`.`lab_lid` "
        "MODIFY `subject` varchar(16) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL COMMENT ':varchar(16):', "
        "MODIFY `trace` longblob NOT NULL COMMENT ':<blob>:pixels'"
    )


def test_a_part_refers_to_its_master_by_the_whole_key() -> None:
    master = read_definition("run", "# A run\nrun_id : varchar(32)\n---\nstate : varchar(8)", {})
    attempt = read_definition(
        "run__attempt", "-> master\nattempt : int32\n---\nfolder : varchar(8)", {"master": master}
    )
    job = read_definition("run__job", PART.replace("master", "master.Attempt"), {"master.Attempt": attempt})
    assert create_table("s", job, Format.NATIVE).splitlines()[1:7] == [
        "`run_id` varchar(32) NOT NULL,",
        "`attempt` int NOT NULL,",
        "`stage` varchar(16) NOT NULL,",
        "`pods` int NOT NULL,",
        "PRIMARY KEY (`run_id`, `attempt`, `stage`),",
        "FOREIGN KEY (`run_id`, `attempt`) REFERENCES `s`.`run__attempt` (`run_id`, `attempt`) "
        "ON UPDATE CASCADE ON DELETE RESTRICT",
    ]


@pytest.mark.parametrize("line", ["a : geometry", "a : enum('#', 'b')", "A : int32", "just words"])
def test_what_cannot_be_declared_is_named(line: str) -> None:
    with pytest.raises(ConfigError, match=r"is unknown|no line"):
        create_table("s", read_definition("t", line, {}), Format.NATIVE)
