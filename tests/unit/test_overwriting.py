"""No command writes over what it reads; refused before anything is read."""

import pytest

from mhdnn.cli import main
from mhdnn.errors import ConfigError
from mhdnn.interop.programs import save_program

COMMANDS = [
    ["evaluate", "model.pt", "data.h5", "output=model.pt"],
    ["evaluate", "model.pt", "data.h5", "output=data.h5"],
    ["export", "checkpoint=model.pt", "output=link.pt"],
    ["import", "n2p2", "potential", "potential/input.nn"],
    ["import", "n2p2", "potential", "potential/scaling.data"],
    ["data", "label", "data.h5", "calculator=model.pt", "output=model.pt"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_inputs_stay(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "potential").mkdir()
    files = [tmp_path / name for name in ("model.pt", "data.h5", "potential/input.nn", "potential/scaling.data")]
    for path in files:
        path.write_text("kept")
    (tmp_path / "link.pt").symlink_to("model.pt")
    assert main(command) == 1
    assert "`output`: expected another file than" in capsys.readouterr().err
    assert [path.read_text() for path in files] == ["kept"] * len(files)


def test_the_model_of_a_program_stays(tmp_path):
    model = tmp_path / "model.pt"
    model.write_text("kept")
    with pytest.raises(ConfigError, match="`output`: expected another file than"):
        save_program(model, model)
    assert model.read_text() == "kept"
