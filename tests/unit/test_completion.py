"""The completion of shells knows every command and its keys."""

import shutil
import subprocess

import pytest

from mhdnn.cli import main
from mhdnn.commands import first_words
from mhdnn.completion import SHELLS, words


@pytest.fixture(scope="module")
def table():
    return words()


def test_every_command_is_there(table):
    assert set(first_words()) <= set(table[""])
    assert set(first_words()) <= set(table)
    assert "descriptor=contracted" in table["train"]
    assert "trainer.max_epochs=" in table["train"]
    assert "valence_electrons=" in table["data convert"]
    assert {"model=", "num="} <= set(table["data select"])
    assert "calculator=" in table["properties barrier"]
    assert {"convert", "bundled", "select"} <= set(table["data"])
    assert not [word for entries in table.values() for word in entries if set(word) & set("' \"$`\\")]


@pytest.fixture(scope="module")
def bash_script(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "mhdnn.bash"
    path.write_text(SHELLS["bash"](table))
    return path


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("mhdnn tra", ["train"]),
        ("mhdnn data co", ["convert"]),
        ("mhdnn train trainer.max_e", ["trainer.max_epochs="]),
        ("mhdnn train seed=1 descriptor=le", ["legendre"]),  # bash completes what comes after the sign
        ("mhdnn lammps build incl", ["include="]),
        ("mhdnn data convert calculations/ val", ["valence_electrons="]),
        ("mhdnn evaluate model=model.", ["model.pt"]),
        ("mhdnn completion f", ["fish"]),
    ],
)
def test_bash(bash_script, line, found, tmp_path):
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    (tmp_path / "model.pt").touch()
    code = f'source {bash_script}; COMP_LINE="$1" COMP_POINT=${{#1}}; _mhdnn; printf "%s\\n" "${{COMPREPLY[@]}}"'
    command = ["bash", "-c", code, "bash", line]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.stdout.split() == found, result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_of_their_shell(shell, tmp_path, capsys):
    assert main(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    assert "trainer.max_epochs=" in script.read_text()
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    result = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_other_shells_are_refused(capsys):
    assert main(["completion", "tcsh"]) == 1
    assert "`tcsh`: no completion for this shell; expected one of bash, zsh, fish" in capsys.readouterr().err
    assert main(["completion"]) == 1
