"""What is never blocked here, read together: own networks, what the text names, and the warning lists on disk."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path

from appliance.indicators.never import MAX_LIST, ListError, Never, WarningList, never, warning_list
from appliance.policy.indicators import NeverBlocked

_MOST_FILES = 200
SUFFIX = ".json"


def never_of(said: NeverBlocked, own: Iterable[tuple[str, str]], folder: Path) -> tuple[Never, tuple[str, ...]]:
    """And in words what of the lists could not be used. Never raises: what is wrong is told, the rest holds."""
    problems: list[str] = []
    lists: list[WarningList] = []
    for path in _files(said.lists, folder, problems):
        try:
            lists.append(_read(path))
        except (OSError, ListError) as error:
            problems.append(f"{path.name}: {error.strerror if isinstance(error, OSError) else error}")
    networks = [(ip_network(text, strict=False), why) for text, why in own]
    networks += [(ip_network(text), "never blocked by the policy") for text in said.networks]
    made, more = never(lists, networks, [(name, "never blocked by the policy") for name in said.names])
    return made, (*problems, *more)


def _files(named: tuple[str, ...], folder: Path, problems: list[str]) -> list[Path]:
    """The lists that the text names, or all there are."""
    if named:
        return [folder / name for name in named]
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(f"{folder}: {error.strerror}")
        return []
    if len(found) > _MOST_FILES:
        problems.append(f"{folder}: {len(found)} lists; the first {_MOST_FILES} are used")
    return found[:_MOST_FILES]


def _read(path: Path) -> WarningList:
    if path.stat().st_size > MAX_LIST:
        raise ListError(f"larger than {MAX_LIST:,} bytes")
    return warning_list(path.read_bytes())
