"""The `reef` command as a process: verbs, exit codes, completion, start-up."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import __version__
from appliance.cli import build_parser, main

ROOT = Path(__file__).parents[2]


def reef(*arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, in a process of its own."""
    command = [sys.executable, "-m", "appliance.cli", *arguments]
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    environment = keep | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"} | environ
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=60, env=environment, check=False
    )  # fmt: skip


def verbs(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                if (*path, name) == ("lab",):
                    continue  # it has a command line of its own
                yield (*path, name), child
                yield from verbs(child, (*path, name))


def test_every_verb_has_a_function_that_runs_it() -> None:
    found = list(verbs(build_parser()))
    assert len(found) > 20
    for path, parser in found:
        if any(isinstance(action, argparse._SubParsersAction) and action.required for action in parser._actions):
            with pytest.raises(SystemExit) as asked:  # by itself it asks which of its verbs
                main(list(path))
            assert asked.value.code == 2, path
            continue
        module, name = parser.get_default("runs").split(":")
        function = getattr(importlib.import_module(f"appliance.commands.{module}"), name)
        assert callable(function), path


def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for path, _ in verbs(build_parser()):
        with pytest.raises(SystemExit) as ended:
            main([*path, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: reef {' '.join(path)}")


def test_the_version_is_that_of_the_distribution() -> None:
    result = reef("--version")
    assert (result.returncode, result.stdout) == (0, f"reef {__version__}\n")
    assert f'\nversion = "{__version__}"\n' in (ROOT / "pyproject.toml").read_text()


def test_help_and_version_load_nothing_heavy() -> None:
    script = (
        "import sys; from appliance.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'msgspec','rich','yaml','asyncio','cffi','cryptography','asyncssh'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["aply", "x.yaml"], "did you mean apply?"),
        (["show", "flow"], "did you mean flows?"),
        (["completion", "tcsh"], "known are bash, zsh, fish"),
        (["apply", "x", "--confirm-within", "soon"], "90s, 15m or 2h"),
        (["rollback", "-3"], "see: reef"),
        (["show", "generation", "zero"], "not a whole number above 0"),
        (["fmt", "--check", "--diff", "x"], "not allowed with argument"),
        (["check"], "FILE"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_right(arguments: list[str], hint: str) -> None:
    result = reef(*arguments)
    assert result.returncode == 2
    assert hint in result.stderr
    assert result.stdout == ""


def test_no_verb_prints_the_verbs() -> None:
    result = reef()
    assert result.returncode == 2
    assert "apply" in result.stdout


@pytest.mark.parametrize("where", ["before", "after"])
def test_options_may_stand_before_and_after_the_verb(where: str, tmp_path: Path) -> None:
    options = ["--json", "--instance", str(tmp_path / "none.json")]
    result = reef(*options, "history") if where == "before" else reef("history", *options)
    assert result.returncode == 3
    assert json.loads(result.stdout)["error"]["code"] == "no-gateway"
    assert result.stderr == ""


def test_a_gateway_that_is_not_there_is_exit_3_and_no_traceback(tmp_path: Path) -> None:
    for verb in (
        ["history"],
        ["show"],
        ["doctor"],
        ["confirm"],
        ["ban", "list"],
        ["show", "flows"],
        ["show", "rules"],
    ):
        result = reef("--instance", str(tmp_path / "none.json"), *verb)
        assert result.returncode == 3, verb
        assert "is a gateway running here?" in result.stderr
        assert "Traceback" not in result.stderr


def test_two_gateways_at_once_are_refused(tmp_path: Path) -> None:
    result = reef("--instance", str(tmp_path / "i.json"), "--lab", "1", "history")
    assert result.returncode == 2
    assert "--lab and --instance" in result.stderr


def test_bad_addresses_are_all_named_before_anything_is_asked() -> None:
    result = reef("ban", "add", "10.0.0.1/8", "nobody", "0.0.0.0/0")
    assert result.returncode == 1
    assert "did you mean 10.0.0.0/8?" in result.stderr
    assert "nobody: not an address" in result.stderr
    assert "0.0.0.0/0: this is everybody" in result.stderr


def test_a_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -m appliance.cli schema | head -c 10"
    result = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (len(result.stdout), result.stderr) == (10, "")


# --- completion ---------------------------------------------------------------------------------------


def complete(line: str, **environ: str) -> set[str]:
    """What TAB offers at the end of `line`, by argcomplete's protocol: answers on file descriptor 8."""
    read, write = os.pipe()
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\013",
        "_ARGCOMPLETE_SHELL": "bash",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
        **environ,
    }
    with os.fdopen(read) as answers:
        process = subprocess.Popen(
            ["bash", "-c", f'exec "$0" -m appliance.cli 8>&{write} 9>&2', sys.executable],
            env=environment, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        os.close(write)
        said = answers.read()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return {word.strip() for word in said.split("\013") if word}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("reef ro", {"rollback"}),
        ("reef show ru", {"rules"}),
        ("reef completion ", {"bash", "zsh", "fish"}),
        ("reef apply --confirm", {"--confirm-within"}),
        ("reef log --action r", {"reject"}),
        ("reef lab --no", {"--no-traffic"}),
        ("reef lab cl", {"clean"}),
    ],
)
def test_tab_completes_verbs_options_and_choices(line: str, offered: set[str]) -> None:
    assert offered <= complete(line)


def test_tab_is_silent_when_the_gateway_is_away(tmp_path: Path) -> None:
    assert not complete("reef show flows --rule R", REEF_INSTANCE=str(tmp_path / "none.json"))


def test_bash_completes_with_the_printed_script(tmp_path: Path) -> None:
    shim = tmp_path / "reef"
    shim.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m appliance.cli "$@"\n')
    shim.chmod(0o755)
    script = (
        'eval "$(reef completion bash)"; COMP_LINE="reef show co"; COMP_POINT=12; COMP_WORDS=(reef show co); '
        'COMP_CWORD=2; _python_argcomplete reef co show; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert {word.strip() for word in result.stdout.split()} == {"counters", "connections"}, result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_command(shell: str) -> None:
    result = reef("completion", shell)
    assert result.returncode == 0
    assert "reef" in result.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=result.stdout, text=True, check=True, timeout=30)


# --- bad texts ----------------------------------------------------------------------------------------

HEAD = """\
reef: 1
site: x
zones:
  internet: {interfaces: [wan0]}
  lan: {interfaces: [lan0]}
connections:
  wan0: {provider: BTL, officer: "H. Officer <noc@health.example>"}
rules:
"""


def test_a_thousand_errors_are_told_at_once_fifty_of_them_printed(tmp_path: Path) -> None:
    rule = "  - {{id: R-{0}, from: lann, to: internet, action: allow, why: w, owner: a@b.example}}\n"
    file = tmp_path / "p.yaml"
    file.write_text(HEAD + "".join(rule.format(number) for number in range(1000)))
    result = reef("check", str(file))
    assert result.returncode == 1
    assert result.stderr.count("there is no zone `lann`") == 50
    assert "… and 950 more (--all shows them)\n" in result.stderr
    assert result.stderr.endswith("refused, 1000 errors\n")
    assert reef("check", "--all", str(file)).stderr.count("there is no zone `lann`") == 1000
    found = json.loads(reef("check", "--json", str(file)).stdout)
    assert len(found["files"][0]["findings"]) == 1000


def test_a_text_of_fifty_megabytes_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    with file.open("w") as stream:
        stream.write(HEAD)
        for _ in range(50):
            stream.write(("# " + "x" * 97 + "\n") * 10_000)
    for verb in ("check", "fmt"):
        result = reef(verb, str(file))
        assert result.returncode == 1
        assert "put long address lists into a file" in result.stderr


def test_a_file_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    for arguments in (
        ["check", "none"],
        ["fmt", "none"],
        ["plan", "none"],
        ["apply", "none"],
        ["diff", "none", "none"],
    ):
        result = reef(*(str(tmp_path / word) if word == "none" else word for word in arguments))
        assert result.returncode == 1
        assert "No such file or directory; give the path of a policy text" in result.stderr
        assert "Traceback" not in result.stderr
