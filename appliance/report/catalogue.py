"""The catalogue: which standards there are, what each asks in which clause, and which checks answer.

It is data: `standards/*.toml`. Standards are named by clause and said in words of our own. `subjects.toml` names what
Reef does not have yet, so that a clause about it says so instead of passing.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable
from importlib import resources
from itertools import product
from types import ModuleType
from typing import TypeVar

import msgspec

from appliance.report.checks import assets, borders, box, proofs, running, upkeep
from appliance.report.evidence import Result
from appliance.report.facts import Facts

LAYERS = ("infrastructure", "services", "applications")
PLANES = ("management", "control", "end-user")
DIMENSIONS = (
    "access control",
    "authentication",
    "non-repudiation",
    "data confidentiality",
    "communication security",
    "data integrity",
    "availability",
    "privacy",
)
_MODULES: tuple[ModuleType, ...] = (borders, assets, upkeep, running, box, proofs)
T = TypeVar("T")
Evaluation = Callable[[Facts, float], Result]


class CatalogueError(Exception):
    """A file of the catalogue says something that cannot be; names the file and the row."""


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of `checks.toml`. `mend` says what to do where it fails."""

    title: str
    mend: str
    threshold: float = 0.0


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that Reef lacks. `until` are the processes whose coming ends that."""

    words: str
    until: tuple[str, ...] = ()


class Clause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a standard asks: `clause` is its own number, `title` our words.

    `checks` answer it; `lacking` names what would have to be there first, and then it cannot be evaluated.
    X.805's clauses are cells: `cell` is layer, plane and dimension.
    """

    clause: str
    title: str
    checks: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    cell: tuple[str, str, str] | None = None


class Standard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: a standard, and the clauses of it that a gateway can answer."""

    id: str
    name: str
    edition: str
    about: str
    clauses: tuple[Clause, ...]


class Catalogue(msgspec.Struct, frozen=True):
    standards: tuple[Standard, ...]
    checks: dict[str, Check]
    subjects: dict[str, Subject]


FILES = ("iso-27033-4", "x805", "nist-800-41", "cis-8.1")


@functools.cache
def load() -> Catalogue:
    """The catalogue that comes with Reef. Raises `CatalogueError`."""
    checks = _read("checks", dict[str, Check])
    subjects = _read("subjects", dict[str, Subject])
    catalogue = Catalogue(tuple(_read(name, Standard) for name in FILES), checks, subjects)
    verify(catalogue)
    return catalogue


def _read(name: str, kind: type[T]) -> T:
    text = resources.files("appliance.report").joinpath("standards", f"{name}.toml").read_text(encoding="utf-8")
    try:
        return msgspec.convert(tomllib.loads(text), kind)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CatalogueError(f"{name}.toml: {error}") from error


def verify(catalogue: Catalogue) -> None:
    """Every name leads somewhere, every check is asked for, and X.805 has each of its cells once."""
    functions = evaluations()
    asked: set[str] = set()
    for name in catalogue.checks:
        if name not in functions:
            raise CatalogueError(f"checks.toml: no function evaluates {name!r}")
    for standard in catalogue.standards:
        for clause in standard.clauses:
            where = f"{standard.id}.toml, {clause.clause}"
            asked.update(clause.checks)
            if not clause.checks and not clause.lacking:
                raise CatalogueError(f"{where}: neither checks nor lacking")
            for name in clause.checks:
                if name not in catalogue.checks:
                    raise CatalogueError(f"{where}: there is no check {name!r}")
            for name in clause.lacking:
                if name not in catalogue.subjects:
                    raise CatalogueError(f"{where}: there is no subject {name!r}")
        cells = [clause.cell for clause in standard.clauses if clause.cell is not None]
        if cells and sorted(cells) != sorted(product(LAYERS, PLANES, DIMENSIONS)):
            raise CatalogueError(f"{standard.id}.toml: not every cell of layers, planes and dimensions is there once")
    if unasked := set(catalogue.checks) - asked:
        raise CatalogueError(f"checks.toml: no standard asks for {', '.join(sorted(unasked))}")


def evaluations() -> dict[str, Evaluation]:
    """The functions that evaluate checks, by name."""
    return {
        name: found
        for module in _MODULES
        for name, found in vars(module).items()
        if callable(found) and getattr(found, "__module__", "") == module.__name__ and not name.startswith("_")
    }
