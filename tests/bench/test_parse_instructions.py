"""Instructions of the parsers of DNS and TLS, and of rules over web pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ctypes_ext import engine
from dataplane.ruleset import Source, compile_rules
from tests.bench import mix
from tests.bench.core import ROOT, program
from tests.bench.instructions import count


def test_query_and_answer(hold: Callable[[str, float], None]) -> None:
    exchanges = 3000
    command: list[str | Path] = [program("bench_parse"), "dns", str(exchanges)]
    hold("dns: instructions per query and answer", count(command, inside="exchanges") / exchanges)


def test_handshake(hold: Callable[[str, float], None]) -> None:
    exchanges = 500
    command: list[str | Path] = [program("bench_parse"), "tls", str(exchanges)]
    hold("tls: instructions per handshake", count(command, inside="exchanges") / exchanges)


def test_rules(hold: Callable[[str, float], None], tmp_path: Path) -> None:
    """The whole path of a packet with the rules of examples/: what they add is held with it."""
    rules = sorted((ROOT / "examples" / "rules").glob("*.rules"))
    sources = [Source(str(file), file.read_text(encoding="utf-8")) for file in rules]
    made = compile_rules(sources, engine=engine.rules_engine_digest())
    assert made.loaded > 0, made.refused
    image, capture = tmp_path / "image", tmp_path / "web.pcap"
    image.write_bytes(made.image)
    mix.write_web(capture, 2)
    command: list[str | Path] = [program("bench_inspect"), "--image", image, capture]
    packets = sum(1 for _frame in mix.frames_of(capture))
    hold("match: instructions per packet of web pages", count(command, inside="reef_file_pull") / packets)
