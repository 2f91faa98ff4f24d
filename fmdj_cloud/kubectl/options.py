"""What the words after ``kubectl fmdj`` mean: the plugin's options, kubectl's, and the command for the pod."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fmdj_cloud.errors import UsageError

RELEASE = "--release"
VALUES = (
    "--as",
    "--as-group",
    "--as-uid",
    "--as-user-extra",
    "--cache-dir",
    "--certificate-authority",
    "--client-certificate",
    "--client-key",
    "--cluster",
    "--context",
    "--kubeconfig",
    "--kuberc",
    "--namespace",
    "--password",
    "--request-timeout",
    "--server",
    "--tls-server-name",
    "--token",
    "--user",
    "--username",
    "--v",
    "--vmodule",
)
"""Options of kubectl's that are followed by a value."""
SWITCHES = ("--disable-compression", "--insecure-skip-tls-verify", "--match-server-version", "--warnings-as-errors")
"""Options of kubectl's that stand alone."""
SHORT = {"-n": "--namespace", "-s": "--server", "-v": "--v"}
ANYWHERE = (RELEASE, "--context", "--kubeconfig", "--namespace")
"""Understood after the command too, where people are used to put them; `fmdj` has none of that name."""
_STARTS = ("--debug", "--version")
"""Options of ``fmdj`` itself, which stand before its command."""
_HELP = ("-h", "--help")


@dataclass(frozen=True)
class CommandLine:
    """A command line, taken apart."""

    command: tuple[str, ...] = ()
    """What ``fmdj`` in the pod is called with."""
    release: str | None = None
    """The installation that was asked for."""
    kubectl: tuple[str, ...] = ()
    """Options for every call of kubectl, ``--name=value`` each."""
    help: bool = False
    """Whether the plugin's own help is wanted."""

    @property
    def namespace(self) -> str | None:
        """The namespace that was asked for."""
        found = [option.partition("=")[2] for option in self.kubectl if option.startswith("--namespace=")]
        return found[-1] if found else None


def parse(words: Sequence[str]) -> CommandLine:
    """Take a command line apart.

    Parameters
    ----------
    words : sequence of str
        What follows ``kubectl fmdj``. Options before the command are the plugin's and kubectl's; the command
        and what follows it are for the pod, but for `ANYWHERE`.

    Raises
    ------
    UsageError
        If an option is unknown or lacks its value.
    """
    taken = _Words(words)
    while taken.rest:
        word = taken.rest[0]
        if word in _HELP:
            return CommandLine(help=True)
        if word == "--":
            taken.rest.pop(0)
            break
        if word in _STARTS or not word.startswith("-"):
            break
        if not taken.take((RELEASE, *VALUES), short=True):
            raise UsageError(
                f"{word} is no option of `kubectl fmdj`: options of `fmdj` itself follow its command, as in "
                "`kubectl fmdj status --help`."
            )
    command: list[str] = []
    while taken.rest:
        if taken.rest[0] == "--":
            command += taken.rest
            break
        if not taken.take(ANYWHERE, short=False):
            command.append(taken.rest.pop(0))
    return CommandLine(tuple(command), taken.release, tuple(taken.kubectl), help=not command)


class _Words:
    """Words of which options are taken from the front."""

    def __init__(self, words: Sequence[str]) -> None:
        self.rest = list(words)
        self.release: str | None = None
        self.kubectl: list[str] = []

    def take(self, names: Sequence[str], *, short: bool) -> bool:
        """Take the first word, with its value, if it is one of these options or (`short`) another of kubectl's."""
        name, equals, value = self.rest[0].partition("=")
        if short and name in SWITCHES:
            self.kubectl.append(self.rest.pop(0))
            return True
        if short and self.rest[0][:2] in SHORT:  # -n NAME, -nNAME, -n=NAME
            name, value = SHORT[self.rest[0][:2]], self.rest[0][2:].removeprefix("=")
            equals = value
        if name not in names:
            return False
        word = self.rest.pop(0)
        if not equals:
            if not self.rest:
                raise UsageError(f"{word} needs a value, as in `kubectl fmdj {word} NAME status`.")
            value = self.rest.pop(0)
        if name == RELEASE:
            self.release = value
        else:
            self.kubectl.append(f"{name}={value}")
        return True
