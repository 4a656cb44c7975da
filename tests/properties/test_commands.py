import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from mhdnn.arguments import PARSERS, keys_of
from mhdnn.cli import main
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.errors import ConfigError
from mhdnn.evaluation.plots import new_figure
from mhdnn.prediction import predict
from mhdnn.properties import commands
from mhdnn.properties.calculators import resolve_calculator
from mhdnn.properties.report import Report
from tests.builders import geometry_of, model_settings, random_potential
from tests.tolerances import ROUND_OFF


def toy_report(
    atoms: Atoms,
    calculator: Calculator,
    others: list[Atoms] | None = None,
    scale: float = 2.0,
    counts: list[int] | None = None,
    strict: bool = False,
) -> Report:
    """Energy of a toy.

    :param scale: factor of
        the energy
    """
    atoms.calc = calculator
    values = {
        "energy_ev": scale * atoms.get_potential_energy(),
        "counts": counts,
        "strict": strict,
        "num_others": len(others or []),
        "array": np.array([[1.0, np.nan]]),
    }
    return Report("toy", values, new_figure(2, 2))


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    monkeypatch.setitem(commands.COMMANDS, "toy", "tests.properties.test_commands:toy_report")
    monkeypatch.chdir(tmp_path)
    ase.io.write("cu.xyz", bulk("Cu"))
    ase.io.write("more_1.xyz", [bulk("Cu"), bulk("Al")])
    ase.io.write("more_2.xyz", bulk("Al"))


def run(*arguments: str) -> int:
    return main(["properties", "toy", *arguments])


def test_a_command_writes_what_its_function_returns(tmp_path, capsys):
    arguments = ["calculator=ase.calculators.emt:EMT", "scale=3", "counts=1,2", "strict=yes", "others=more_*.xyz"]
    assert run("atoms=cu.xyz", *arguments, "output=out") == 0
    copper = bulk("Cu")
    copper.calc = EMT()
    values = json.loads((tmp_path / "out" / "toy.json").read_text())
    assert values.pop("energy_ev") == pytest.approx(3 * copper.get_potential_energy(), abs=1e-12)
    assert values == {"counts": [1, 2], "strict": True, "num_others": 3, "array": [[1.0, None]]}
    assert (tmp_path / "out" / "toy.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"toy.{kind}" for kind in ("json", "pdf", "png", "svg")
    ]
    printed = capsys.readouterr().out
    assert "energy_ev" in printed
    assert "out/toy.png" in printed


def test_default_output(tmp_path):
    assert run("atoms=cu.xyz", "calculator=ase.calculators.emt:EMT", "others=none") == 0
    assert (tmp_path / "properties" / "toy" / "toy.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scales=1"], ["`scales`", "scale=...", "output=..."]),
        (["scale"], ["`scale`", "key=value"]),
        (["scale=big"], ["`scale`", "a number", "'big'", "atoms=..."]),
        (["strict=perhaps"], ["`strict`", "true or false", "'perhaps'"]),
        (["counts=1,x"], ["`counts`", "whole numbers", "'1,x'"]),
        ([], ["`atoms`: expected a structure file, got nothing", "`calculator`"]),
        (["atoms=no.xyz"], ["`atoms`", "no.xyz", "found none"]),
        (["atoms=broken.cif"], ["`atoms`", "broken.cif", "ASE can't read it"]),
        (["others=no_*.xyz"], ["`others`", "no_*.xyz"]),
        (["calculator=no.pt"], ["`calculator`", "'no.pt'"]),
        (["calculator=broken.cif"], ["`calculator`", "broken.cif"]),
        (["calculator=ase.calculators.emt:NoSuch"], ["`calculator`", "NoSuch"]),
        (["calculator=pathlib:Path"], ["`calculator`", "makes a PosixPath"]),
    ],
)
def test_errors_name_the_key_and_the_remedy(arguments, words, capsys, tmp_path):
    (tmp_path / "broken.cif").write_text("nothing")
    assert run(*arguments) == 1
    message = capsys.readouterr().err
    assert [word for word in words if word not in message] == []


def test_what_a_calculator_cannot_do_is_a_sentence(tmp_path, capsys):
    """ASE's effective-medium potential knows no lithium."""
    ase.io.write(tmp_path / "li.extxyz", bulk("Li", cubic=True))
    arguments = ["properties", "elasticity", f"atoms={tmp_path / 'li.extxyz'}", "calculator=ase.calculators.emt:EMT"]
    assert main([*arguments, f"output={tmp_path / 'out'}"]) == 1
    assert "mhdnn properties: `calculator`: can't compute this (NotImplementedError" in capsys.readouterr().err


def test_unknown_command(capsys):
    assert main(["properties", "toi"]) == 1
    assert "did you mean `toy`" in capsys.readouterr().err


def test_list_and_help(capsys):
    assert main(["properties"]) == 0
    assert "Energy of a toy." in capsys.readouterr().out
    assert run("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    (scale,) = (line for line in lines if line.startswith("scale="))
    assert "a number; default 2.0" in scale
    assert scale.rstrip().endswith("factor of the energy")
    assert any("output=" in line and "properties/toy" in line for line in lines)


def test_calculators(tmp_path):
    given = LennardJones()
    assert resolve_calculator(given) is given
    (tmp_path / "my_calculators.py").write_text(
        "from ase.calculators.lj import LennardJones\ndef make():\n    return LennardJones(sigma=2.5)\n"
    )
    assert resolve_calculator("my_calculators:make").parameters.sigma == 2.5
    with pytest.raises(ConfigError, match="got int"):
        resolve_calculator(3)


def test_model_file_as_calculator(tmp_path, capsys):
    potential = random_potential([14])
    save_model(potential, tmp_path / "model.pt", metadata_of(potential, model_settings([14]), {"data": "none"}))
    ase.io.write("si.xyz", bulk("Si"))
    assert run("atoms=si.xyz", "calculator=model.pt", "scale=1", "output=out") == 0
    found = json.loads((tmp_path / "out" / "toy.json").read_text())["energy_ev"]
    assert found == pytest.approx(predict(potential, geometry_of(bulk("Si"))).energy.item(), abs=ROUND_OFF)


@pytest.mark.parametrize("name", sorted(commands.COMMANDS))
def test_every_command_has_keys_that_text_can_fill(name):
    function = commands.load(name)
    assert commands.first_line(function)
    self_explanatory = (PARSERS[Atoms][0], PARSERS[Calculator][0])
    assert [key.name for key in keys_of(function) if not key.meaning and key.kind not in self_explanatory] == []


def test_numbers_within_dictionaries_are_printed():
    values = {
        "kinds": {"W 4": {"count": [1], "shares": [0.1, np.nan]}},
        "blocks": [[3.0, 4.0, "endless"]],
        "name": "x",
    }
    printed = {key: commands.short_text(value) for key, value in commands.named_numbers(values)}
    assert printed == {
        "kinds.W 4.count": "1",
        "kinds.W 4.shares": "0.1000, unknown",
        "blocks": "3.000, 4.000, endless",
        "name": "x",
    }
