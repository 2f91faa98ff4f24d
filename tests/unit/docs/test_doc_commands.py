"""Every command line in README and docs/ is one that can be typed: options and commands exist, files are there."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer
import yaml
from packaging.version import Version

from fmdj_cloud.cli.app import app
from fmdj_cloud.kubectl.options import parse
from tests.support.docs.pages import ROOT, written

COMMANDS = [(page.name, line, command) for page in written() for line, command in page.commands()]
INLINE = sorted(
    {(page.name, code) for page in written() for code in page.code() if re.match(r"(kubectl )?fmdj ", code)}
)
FMDJ = typer.main.get_command(app)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
BY_OTHERS = (
    "mysqldump",
    "pg_dump",
    "git",
    "cd",
    "export",
    "python3",
    ".",
    "source",
    "jupyter",
    "ssh",
    "aws",
    "gcloud",
    "az",
    "eksctl",
)
"""Programs of others, which nothing here could check but their names."""
BY_TOOLS = ("helm", "kubectl")
"""Taken apart by themselves, in tests/integration/docs."""


def check_fmdj(words: list[str]) -> None:
    """Have typer take a command line apart, to the last option; nothing is run."""
    command, context, name = FMDJ, None, "fmdj"
    while words:
        context = command.make_context(name, [word for word in words if word != "&"], parent=context)
        if not hasattr(command, "commands"):
            return
        words = [*context._protected_args, *context.args]
        if words:
            name, command, words = command.resolve_command(context, words)


def check_kubectl_fmdj(words: list[str]) -> None:
    line = parse(words)
    check_fmdj([word for word in line.command if word != "--help"])


def check_make(words: list[str]) -> None:
    for word in words:
        assert "=" in word or re.search(rf"^{re.escape(word)}:", MAKEFILE, re.M), word


def check_pip(words: list[str]) -> None:
    assert words[0] == "install"
    for extra in re.findall(r"\[([\w,]+)\]", " ".join(words)):
        assert set(extra.split(",")) <= EXTRAS.keys()


def check_docker(words: list[str]) -> None:
    assert words[0] in ("build", "push", "save", "load")
    if words[0] == "build":
        file = ROOT / words[words.index("-f") + 1]
        known = set(re.findall(r"^ARG (\w+)", file.read_text("utf-8"), re.M))
        given = {words[at + 1].partition("=")[0] for at, word in enumerate(words) if word == "--build-arg"}
        assert given <= known


def check_python(words: list[str]) -> None:
    if words[0] == "-m":
        folder = ROOT.joinpath(*words[1].split("."))
        assert folder.with_suffix(".py").exists() or folder.is_dir(), words[1]
    else:
        assert (ROOT / words[0]).exists(), words[0]


CHECKS = {
    "fmdj": check_fmdj,
    "make": check_make,
    "pip": check_pip,
    "docker": check_docker,
    "python": check_python,
}


def simple_commands(command: str) -> list[list[str]]:
    """A line's commands, without redirections and what assigns a variable."""
    lexer = shlex.shlex(re.sub(r"<[a-z ]+>", "PLACE", command), posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    found: list[list[str]] = [[]]
    redirected = False
    for word in lexer:
        if set(word) <= set("|&;"):
            found.append([])
        elif set(word) <= set("<>"):
            redirected = True
        elif redirected:
            redirected = False
        elif found[-1] or not re.match(r"\w+=", word):
            found[-1].append(word)
    return [words for words in found if words]


@pytest.mark.parametrize(("page", "line", "command"), COMMANDS, ids=[f"{page}:{line}" for page, line, _ in COMMANDS])
def test_a_command_line_can_be_typed(page: str, line: int, command: str) -> None:
    for program, *words in simple_commands(command):
        if program == "kubectl" and words[0] == "fmdj":
            check_kubectl_fmdj(words[1:])
        elif program in CHECKS:
            CHECKS[program](words)
        else:
            assert program in (*BY_OTHERS, *BY_TOOLS), f"{program}: say in {Path(__file__).name} how it is checked"


def test_nobody_is_sent_for_a_release_that_is_not_there() -> None:
    paths = [ROOT / page.path for page in written()] + sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))
    lines = [line for path in paths for line in path.read_text("utf-8").splitlines()]
    asked = [line for line in lines if re.search(r"pip install (-\S+ \S+ )*'?fmdj-cloud", line)]
    assert asked == [] or not Version(PROJECT["version"]).is_devrelease


@pytest.mark.parametrize(("page", "code"), INLINE, ids=[f"{page}: {code}" for page, code in INLINE])
def test_a_command_between_words_exists(page: str, code: str) -> None:
    words = [word for word in code.replace("...", "").split() if not re.fullmatch(r"\[.*\]|\|", word)]
    words = words[words.index("fmdj") + 1 :]
    while words and words[0] in ("-n", "--release"):
        words = words[2:]
    command = FMDJ
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    asked = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert asked <= known | {"--help"}, code


def test_there_are_command_lines_at_all() -> None:
    assert len(COMMANDS) > 40
    assert len(INLINE) > 30


@pytest.mark.parametrize("page", written(), ids=lambda page: page.name)
def test_yaml_and_python_in_pages_are_yaml_and_python(page) -> None:
    for block in page.blocks():
        if block.language == "yaml":
            assert list(yaml.safe_load_all(block.text)), f"line {block.line}"
        if block.language == "python":
            compile(block.text, f"{page.name}:{block.line}", "exec")
