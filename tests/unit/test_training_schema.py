"""The JSON Schema of the settings says the same as the check that `mhdnn train` makes."""

import copy
import importlib.resources
import json

import jsonschema
import pytest
import yaml
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from mhdnn.cli import main
from mhdnn.errors import ConfigError
from mhdnn.training.configuration import choices, groups
from mhdnn.training.schema import described_keys, json_schema
from mhdnn.training.settings import LATER, check_settings

CONFIGS = importlib.resources.files("mhdnn.configs")
CHOICES = [f"{group}={name}" for group in groups() for name in choices(group) if name != "input_nn"]


@pytest.fixture(scope="module")
def schema():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


def composed(*overrides):
    with initialize_config_module("mhdnn.configs", version_base="1.3"):
        return compose("train", overrides=["data.train=none.h5", *overrides])


def values_of(config):
    return {key: OmegaConf.to_container(config, resolve=False)[key] for key in LATER} | {
        key: OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        for key, node in ((key, config[key]) for key in config if key not in LATER)
    }


def is_valid(schema, values):
    return jsonschema.Draft202012Validator(schema).is_valid(values)


@pytest.mark.parametrize("choice", CHOICES)
def test_shipped_settings_are_valid(schema, choice):
    jsonschema.validate(values_of(composed(choice)), schema)


@pytest.mark.parametrize("name", choices("experiment"))
def test_files_of_experiments_are_valid_as_they_stand(schema, name):
    """What an editor shows: few keys, and Hydra's own."""
    jsonschema.validate(yaml.safe_load(CONFIGS.joinpath(f"experiment/{name}.yaml").read_text("utf-8")), schema)


WRONG = [
    ("cutoff", -1.0), ("cutoff", "wide"), ("cutof", 5.0), ("seed", 1.5), ("seed", -1), ("dtype", "float16"),
    ("elements", []), ("elements", ["Xx"]), ("name", ""), ("report", "yes"), ("weights", "worst"),
    ("data.batch_size", 0), ("data.batch_sise", 4), ("data.validation_fraction", 1.0), ("data.train", 3),
    ("data.split_by", "formula"), ("data.train", " "), ("data.weights", {"surface": -1.0}),
    ("network.hidden", []), ("network.hidden", [0]), ("network.hidden", 32), ("network.activation", "relu"),
    ("descriptor.cutoff_function", "round"), ("descriptor.angular.legendre.max_degree", 99),
    ("descriptor.angular.legendre.zetas", [1]), ("descriptor.radial.num", 0),
    ("charges.kind", "fixed"), ("repulsion.outer", 0.0), ("loss.energy_weight.start", -1.0),
    ("initialization.reference_energies", {"C": "low"}), ("initialization.reference_energies", {"Cc": 1.0}),
    ("optimizer.lr", 0.0), ("optimizer.amsgrad", 3), ("optimizer.rate", 0.1), ("scheduler.warmup_steps", -1),
    ("trainer.max_epochs", "many"), ("trainer.max_epoch", 3), ("trainer.devices", 0),
    ("callbacks.average.decay", 1.0), ("ensemble.size", 0),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), WRONG, ids=[f"{key}={value}" for key, value in WRONG])
def test_wrong_settings_are_refused_by_both(schema, key, value):
    config = composed("descriptor=legendre")
    *above, last = key.split(".")
    values = copy.deepcopy(values_of(config))
    place = values
    for name in above:
        place = place[name]
    place[last] = value
    assert not is_valid(schema, values)
    OmegaConf.set_struct(config, False)
    OmegaConf.update(config, key, value, force_add=True, merge=False)
    with pytest.raises(ConfigError):
        check_settings(config)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cutoff", 5), ("elements", ["C", "Li"]), ("descriptor.cutoff_function", "cosine:0.25"), ("scheduler", None),
        ("trainer.devices", [0, 1]), ("trainer.precision", "32"), ("initialization.reference_energies", {"C": -147.1}),
        ("callbacks.progress", None), ("logger.mine", {"_target_": "my.Logger", "place": "here"}), ("resume", "a.ckpt"),
    ],
)  # fmt: skip
def test_right_settings_are_accepted_by_both(schema, key, value):
    config = composed("descriptor=legendre")
    OmegaConf.set_struct(config, False)
    OmegaConf.update(config, key, value, force_add=True, merge=False)
    check_settings(config)
    jsonschema.validate(values_of(config), schema)


def test_meanings_and_defaults_come_with_it(schema):
    properties = schema["properties"]
    assert properties["data"]["properties"]["batch_size"]["title"] == "structures in a step"
    assert properties["data"]["properties"]["batch_size"]["default"] == 4
    assert properties["cutoff"]["default"] == "auto"
    forms = {form["properties"]["kind"]["enum"][0]: form for form in properties["charges"]["anyOf"]}
    assert forms["equilibration"]["properties"]["max_epochs"]["title"] == "of the first stage"
    assert {path[0] for path, _, _ in described_keys()} >= {"seed", "loss", "trainer"}


def test_command_writes_it(schema, tmp_path, capsys):
    assert main(["schema", f"output={tmp_path / 'settings.json'}"]) == 0
    assert json.loads((tmp_path / "settings.json").read_text("utf-8")) == schema
    capsys.readouterr()
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema
