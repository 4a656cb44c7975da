"""Every configuration composes and builds what it describes; a typo is named."""

import importlib.resources
import re

import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import OmegaConf

from mhdnn.potential import build_potential
from mhdnn.training.run import build_loss, with_functions_of_input_nn
from tests.integration.conftest import SMALL, run_mhdnn

CONFIGS = importlib.resources.files("mhdnn.configs")


def choices(group):
    return sorted(path.name.removesuffix(".yaml") for path in CONFIGS.joinpath(group).iterdir())


def composed(*overrides):
    with initialize_config_module("mhdnn.configs", version_base="1.3"):
        return compose("train", overrides=["data.train=none.h5", *overrides])


def potential_of(config, numbers=(3, 6, 50)):
    settings = {
        "atomic_numbers": list(numbers),
        "cutoff": config.cutoff,
        "dtype": config.dtype,
        "descriptor": OmegaConf.to_container(config.descriptor, resolve=True),
        "network": OmegaConf.to_container(config.network, resolve=True),
    }
    return build_potential(settings)


def test_cutoff_stands_once():
    text = "".join(path.read_text() for group in ("descriptor", "data") for path in CONFIGS.joinpath(group).iterdir())
    assert not re.search(r"^\s*cutoff:", text, re.MULTILINE)


@pytest.mark.parametrize("name", choices("experiment"))
def test_experiments(name):
    config = composed(f"experiment={name}")
    potential = potential_of(config)
    assert potential.descriptor.num_functions > 0
    assert build_loss(config.loss).force_weight > 0


def own_values(name):
    """What the file of an experiment sets itself, as (dotted name, value)."""
    values = OmegaConf.to_container(OmegaConf.create(CONFIGS.joinpath("experiment", f"{name}.yaml").read_text()))
    values.pop("defaults", None)
    open_ones = list(values.items())
    while open_ones:
        key, value = open_ones.pop()
        if isinstance(value, dict):
            open_ones += [(f"{key}.{inner}", below) for inner, below in value.items()]
        else:
            yield key, value


@pytest.mark.parametrize("name", choices("experiment"))
def test_experiments_prevail(name):
    with initialize_config_module("mhdnn.configs", version_base="1.3"):
        config = compose("train", overrides=[f"experiment={name}"])
    found = list(own_values(name))
    assert ("name", name) in found
    for key, value in found:
        assert OmegaConf.select(config, key) == value, key


def test_arguments_prevail_over_experiments():
    assert composed("experiment=sn_graphene", "cutoff=4.0", "name=mine").cutoff == 4.0


@pytest.mark.parametrize(
    "choice", [f"{group}={name}" for group in ("descriptor", "network") for name in choices(group)]
)
def test_models(choice, tmp_path):
    overrides = [choice]
    if choice == "descriptor=input_nn":
        (tmp_path / "input.nn").write_text("symfunction_short C 2 C 0.05 0.0 12.0\n")
        overrides.append(f"descriptor.input_nn={tmp_path / 'input.nn'}")
    potential = potential_of(with_functions_of_input_nn(composed(*overrides)))
    vectors = torch.tensor([[1.5, 0, 0], [-1.5, 0, 0]])
    pairs = torch.tensor([0, 1])
    energies = potential(vectors, pairs, pairs.flip(0), torch.tensor([6, 50]))
    assert bool(torch.isfinite(energies).all())


@pytest.mark.parametrize(
    "choice", [f"{group}={name}" for group in ("optimizer", "scheduler") for name in choices(group)]
)
def test_optimizers_and_schedulers(choice):
    config = composed(choice)
    optimizer = instantiate(config.optimizer)(potential_of(config))
    arguments = {"total_steps": 100} if "cosine" in config.scheduler._target_ else {}
    assert instantiate(config.scheduler)(optimizer, **arguments) is not None


@pytest.mark.parametrize("choice", [f"callbacks={name}" for name in choices("callbacks")])
def test_callbacks(choice, tmp_path):
    config = composed(choice)
    for callback in config.callbacks.values():
        if "dirpath" in callback or "path" in callback:
            key = "dirpath" if "dirpath" in callback else "path"
            callback[key] = str(tmp_path)
        assert instantiate(callback) is not None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.max_epoch=3", "max_epoch"),
        ("descriptor.cutoff_function=cosin", "cosine"),
        ("network.kind=common", "shared or per_element"),
        ("elements=[Sn,Xx]", "Xx"),
        ("cutoff=-1.0", "positive"),
        ("weights=newest", "last or best"),
        ("data.split_by=family", "auto, group or structure"),
        ("data.batch_size=0", "at least 1"),
        ("dtype=float16", "float32"),
    ],
)
def test_wrong_settings_are_named(override, message, emt_store, tmp_path):
    output = run_mhdnn(
        "train", f"data.train={emt_store}", "trainer.max_epochs=1", f"hydra.run.dir={tmp_path / 'run'}", *SMALL,
        override, folder=tmp_path, expect=1,
    )  # fmt: skip
    assert message in output
    assert "Traceback" not in output
    assert not (tmp_path / "run" / "model.pt").exists()


def test_wrong_commands_are_named(tmp_path):
    assert "no command 'trian'" in run_mhdnn("trian", folder=tmp_path, expect=2)
    assert "unknown argument 'modl=x'" in run_mhdnn("evaluate", "modl=x", folder=tmp_path, expect=1)
    assert "missing argument data=..." in run_mhdnn("evaluate", "model=x", folder=tmp_path, expect=1)
    assert "no such model file" in run_mhdnn("evaluate", "model=x", "data=y", folder=tmp_path, expect=1)
    assert "no such checkpoint" in run_mhdnn("export", "checkpoint=x", "output=y", folder=tmp_path, expect=1)
    assert "mhdnn train" in run_mhdnn(folder=tmp_path)
    assert "torch" in run_mhdnn("doctor", folder=tmp_path)
