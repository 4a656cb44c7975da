"""Every configuration composes and builds what it describes; a typo is named."""

import importlib.resources
import re
import sys

import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import OmegaConf

from mhdnn.cli import main
from mhdnn.errors import ConfigError
from mhdnn.factory import build_potential
from mhdnn.training.automatic import decided, with_cutoff_of_data
from mhdnn.training.configuration import choices, groups
from mhdnn.training.loss import build_loss
from mhdnn.training.settings import check_settings
from tests.integration.conftest import run_mhdnn

CONFIGS = importlib.resources.files("mhdnn.configs")


def composed(*overrides):
    with initialize_config_module("mhdnn.configs", version_base="1.3"):
        return compose("train", overrides=["data.train=none.h5", "descriptor=legendre", *overrides])


def potential_of(config, numbers=(3, 6, 50)):
    settings = {
        "atomic_numbers": list(numbers),
        "cutoff": 5.0 if config.cutoff == "auto" else config.cutoff,
        "dtype": config.dtype,
        "descriptor": OmegaConf.to_container(config.descriptor, resolve=True),
        "network": OmegaConf.to_container(config.network, resolve=True),
    }
    return build_potential(settings)


def test_cutoff_stands_once():
    text = "".join(path.read_text() for group in ("descriptor", "data") for path in CONFIGS.joinpath(group).iterdir())
    assert set(re.findall(r"\bcutoff: *(\w+)", text)) == {
        "null"
    }  # of parts, which take the one that stands in train.yaml


@pytest.mark.parametrize("name", choices("experiment"))
def test_experiments(name):
    config = composed(f"experiment={name}")
    potential = potential_of(config)
    assert potential.descriptor.num_functions > 0
    assert build_loss(config.loss).force_weight > 0


def own_values(name):
    """What the file of an experiment sets itself, as (dotted name, value)."""
    text = CONFIGS.joinpath("experiment", f"{name}.yaml").read_text()
    values = OmegaConf.to_container(OmegaConf.create(text), resolve=True)
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
    overrides = ["cutoff=5.0", "elements=[Li,C,Sn]", choice]
    if choice == "descriptor=input_nn":
        lines = [f"symfunction_short {center} 2 C 0.05 0.0 12.0\n" for center in ("Li", "C", "Sn")]
        (tmp_path / "input.nn").write_text("".join(lines))
        overrides.append(f"descriptor.input_nn={tmp_path / 'input.nn'}")
    potential = potential_of(decided(composed(*overrides)))
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


WRONG = [
    ("cutoff=abc", "`cutoff`: expected auto or a number greater than 0 Å, got 'abc'"),
    ("cutoff=-1", "`cutoff`: expected auto or a number greater than 0 Å, got -1"),
    ("cutoff=nan", "`cutoff`"),
    ("cutoff=null", "`cutoff`: expected auto or a number greater than 0 Å, got null"),
    ("seed=-1", "`seed`: expected an integer at least 0 and at most 4294967295, got -1"),
    ("seed=1.5", "`seed`"),
    ("dtype=float16", "`dtype`: expected float32 or float64, got 'float16'"),
    ("weights=newest", "`weights`: expected last or best, got 'newest'"),
    ("report=maybe", "`report`: expected true or false, got 'maybe'"),
    ("elements=[Sn,Xx]", "`elements[1]`: expected a chemical symbol, got 'Xx'"),
    ("elements=[]", "`elements`: expected a list of one or more chemical symbols, got []"),
    ("elements=Sn", "`elements`"),
    ("name=''", "`name`"),
    ("resume_changed=2", "`resume_changed`: expected true or false, got 2"),
    ("data.train=3", "`data.train`: expected a path or a list of one or more paths, got 3"),
    ("data.validation_fraction=-0.5", "`data.validation_fraction`: expected a number at least 0 and less than 1"),
    ("data.validation_fraction=1.5", "`data.validation_fraction`"),
    ("data.split_by=family", "`data.split_by`: expected auto, group or structure, got 'family'"),
    ("data.batch_size=0", "`data.batch_size`: expected an integer at least 1, got 0"),
    ("data.num_workers=-1", "`data.num_workers`"),
    ("data.total_charge=none", "`data.total_charge`: expected a number or null, got 'none'"),
    ("data.cache_megabytes=-5", "`data.cache_megabytes`"),
    ("data.dispersion=d3", "`data.dispersion`"),
    ("network.hidden=32", "`network.hidden`: expected a list of one or more integers at least 1, got 32"),
    ("network.hidden=[0]", "`network.hidden[0]`: expected an integer at least 1, got 0"),
    ("network.hidden=[]", "`network.hidden`"),
    ("network.kind=common", "`network.kind`: expected shared or per_element, got 'common'"),
    ("network.activation=relu", "`network.activation`: expected silu, tanh or softplus, got 'relu'"),
    ("network.embedding_dimension=0", "`network.embedding_dimension`"),
    ("network.linear_skip=1", "`network.linear_skip`"),
    ("descriptor.cutoff_function=cosin", "`descriptor.cutoff_function`: expected cosine, polynomial, tanh, hard"),
    ("descriptor.channels=all", "`descriptor.channels`"),
    ("descriptor.num_channels=0", "`descriptor.num_channels`"),
    ("descriptor.radial.num=0", "`descriptor.radial.num`"),
    ("descriptor.radial.width=-1", "`descriptor.radial.width`"),
    ("descriptor.radial=12", "`descriptor.radial`"),
    ("descriptor.angular.legendre.kind=p", "`descriptor.angular.legendre.kind`: expected legendre"),
    ("descriptor.angular.legendre.max_degree=-1", "`descriptor.angular.legendre.max_degree`"),
    ("+descriptor.angular.legendre.zeta=2", "`descriptor.angular.legendre.zeta`: no such key"),
    ("loss.force_weight=-1", "`loss.force_weight`: expected a number at least 0, got -1"),
    ("loss.energy_weight=3", "`loss.energy_weight`: expected keys with values (start, end), got 3"),
    ("optimizer.lr=0", "`optimizer.lr`: expected a number greater than 0, got 0"),
    ("optimizer.weight_decay=-0.1", "`optimizer.weight_decay`"),
    ("+optimizer.momentum=0.9", "`optimizer.momentum`: no such key"),
    ("scheduler.warmup_steps=-1", "`scheduler.warmup_steps`"),
    ("trainer.max_epochs=0", "`trainer.max_epochs`: expected an integer at least 1, got 0"),
    ("trainer.max_epochs=1.5", "`trainer.max_epochs`"),
    ("trainer.devices=0", "`trainer.devices`"),
    ("trainer.gradient_clip_val=-1", "`trainer.gradient_clip_val`"),
    ("+trainer.max_epoch=3", "`trainer.max_epoch`: no such key; did you mean max_epochs"),
    ("callbacks.average.decay=1", "`callbacks.average.decay`: expected a number at least 0 and less than 1, got 1"),
    ("callbacks.best=3", "`callbacks.best`"),
    ("initialization.ridge_atoms=0", "`initialization.ridge_atoms`"),
    ("initialization.reference_energies=zero", "`initialization.reference_energies`"),
    ("+initialization.reference_energy=1", "`initialization.reference_energy`: no such key"),
    ("+cutof=3", "`cutof`: no such key; did you mean cutoff?"),
]
WRONG_CHARGES = [
    ("charges.widths=ionic", "`charges.widths`: expected covalent or a mapping from chemical symbols to numbers"),
    ("+charges.screening.middle=1", "`charges.screening.middle`: no such key"),
    ("charges.screening.inner=-1", "`charges.screening.inner`"),
    ("charges.initial_hardness=0", "`charges.initial_hardness`"),
    ("charges.accuracy=1", "`charges.accuracy`"),
    ("charges.network.hidden=[x]", "`charges.network.hidden[0]`"),
    ("charges.joint_epochs=-1", "`charges.joint_epochs`"),
    ("charges.kind=4g", "`charges.kind`: expected none or equilibration, got '4g'"),
]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [([override], message) for override, message in WRONG]
    + [(["charges=equilibration", override], message) for override, message in WRONG_CHARGES]
    + [
        (["descriptor=wide", "descriptor.angular.wide.lambdas=[2]"], "`descriptor.angular.wide.lambdas[0]`"),
        (["descriptor=wide", "descriptor.angular.wide.zetas=[1.5]"], "`descriptor.angular.wide.zetas[0]`"),
        (["descriptor=narrow", "descriptor.angular.narrow.radial.etas=0.1"], "`descriptor.angular.narrow.radial.etas`"),
        (["descriptor=input_nn"], "`descriptor.input_nn`: has no value yet"),
        (["descriptor=input_nn", "descriptor.input_nn=x", "descriptor.length_unit=nm"], "expected bohr or angstrom"),
        (["callbacks=early_stopping", "callbacks.early_stopping.patience=0"], "`callbacks.early_stopping.patience`"),
        (["scheduler=plateau", "scheduler.factor=2"], "`scheduler.factor`"),
        (["loss.force_weight=0", "loss.stress_weight=0", "loss.energy_weight={start: 0, end: 0}"], "`loss`: expected"),
    ],
)
def test_wrong_settings_are_named(overrides, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        check_settings(composed(*overrides))


def test_every_choice_is_accepted():
    for group in groups():
        for name in choices(group):
            more = ["descriptor.input_nn=x"] if name == "input_nn" else []
            check_settings(composed(f"{group}={name}", *more))
    check_settings(composed("elements=[Sn,C]", "initialization.reference_energies={C: -147.1}", "~scheduler"))
    check_settings(composed("charges=equilibration", "charges.widths={C: 0.76}", "charges.screening=null"))


def test_an_omission_is_named():
    with initialize_config_module("mhdnn.configs", version_base="1.3"):
        config = compose("train")
    with pytest.raises(ConfigError, match="`data.train`: has no value yet; give one, as in data.train=..."):
        check_settings(config)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trainer.max_epoch=3"], "mhdnn train: `trainer.max_epoch`: no such key; did you mean trainer.max_epochs"),
        (["cutof=3"], "`cutof`: no such key; did you mean cutoff?"),
        (["max_epochs=3"], "`max_epochs`: no such key; did you mean trainer.max_epochs?"),
        (
            ["descriptor.angular.wide.zetas=[1]"],
            "a key of this choice of the group, but of descriptor=wide; choose one",
        ),
        (["descriptor=legendr"], "`descriptor=legendr`: no such choice; did you mean legendre?"),
        (["descripter=wide"], "`descripter`: no such key; did you mean descriptor"),
        (["experiment=gold"], "`experiment=gold`: no such choice; expected one of carbon_chains, sn_graphene"),
        (["+cutoff=3"], "`+cutoff`: is there already; leave out the +"),
        (["network.hidden=[32"], "`network.hidden=[32`: is not of the form key=value"),
        (["cutoff"], "`cutoff`: is not of the form key=value"),
        (["~report.x"], "`report.x`: no such key"),
        (["data.train=${nothing}"], "nothing"),
        (["--multirn"], "`--multirn`: no such option; did you mean --multirun?"),
        (["cutoff=abc"], "mhdnn train: `cutoff`: expected auto or a number"),
        (["data.train=nowhere.h5"], "nowhere.h5"),
    ],
)
def test_wrong_arguments_of_train(arguments, message, tmp_path):
    """One sentence; nothing of Hydra's, no traceback."""
    words = ("train", "data.train=none.h5", f"hydra.run.dir={tmp_path / 'run'}")
    text = run_mhdnn(*words, *arguments, folder=tmp_path, expect=1)
    assert message in text
    assert "Traceback" not in text
    assert len(text.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["trian"], 2, "no command 'trian'; did you mean train?"),
        (["evaluate", "modl=x", "data=y"], 1, "`modl`: expected a key as key=value, got 'modl=x'; did you mean model="),
        (["evaluate", "model=x"], 1, "`data`: expected a path, got nothing"),
        (
            ["evaluate", "model=x", "data=y", "total_charge=much"],
            1,
            "`total_charge`: expected a number, or none",
        ),
        (["evaluate", "model=x", "data=y", "total_charge=nan"], 1, "`total_charge`: expected a number, or none"),
        (["evaluate", "model=x", "data=y", "dispersion=maybe"], 1, "`dispersion`: expected true, false or model"),
        (["evaluate", "model=x", "data=y"], 1, "x: no such model file"),
        (["evaluate", "model=.", "data=y"], 1, ".: is a folder; expected a model file"),
        (["export", "checkpoint=x"], 1, "`output`: expected a path, got nothing"),
        (["export", "checkpoint=x", "output=y"], 1, "x: no such checkpoint"),
        (["export", "x", "y"], 1, "x: no such checkpoint"),
        (["export", "x", "y", "z"], 1, "`z`: expected a key as key=value"),
        (["export", "output"], 1, "`output`: expected a key as key=value"),
        (["evaluate", "model=x", "--model", "y"], 1, "`model`: is given twice"),
        (["data", "split", "x.h5", "--by", "atoms"], 1, "`by`: expected group or structure, got 'atoms'"),
        (["data", "convert", "in.xyz"], 1, "`destination`: expected a path, got nothing"),
        (["data", "convert", "in.xyz", "out.h5", "--attribute", "PBE"], 1, "`attribute`: expected a pair name=value"),
        (["data", "split", "x.h5", "--seed"], 1, "`--seed`: expected a whole number behind it, got nothing"),
        (["doctor", "--biuld"], 1, "`--biuld`: expected a key as key=value, got '--biuld'; did you mean build=...?"),
        (["lammps"], 1, "expected `mhdnn lammps build`, `mhdnn lammps path` or `mhdnn lammps package`"),
        (["lammps", "bild"], 1, "`bild`: no such command"),
        (["lammps", "build", "includes=x"], 1, "did you mean include=...?"),
        (["properties", "voltag"], 1, "did you mean `voltage`?"),
    ],
)
def test_wrong_commands_are_named(arguments, status, message, capsys):
    assert main(arguments) == status
    assert message in capsys.readouterr().err


HELPED = [
    [], ["train"], ["evaluate"], ["export"], ["doctor"], ["lammps"], ["lammps", "build"], ["lammps", "path"], ["data"],
    ["data", "convert"], ["data", "check"], ["data", "split"], ["properties"], ["properties", "voltage"],
]  # fmt: skip


@pytest.mark.parametrize("command", HELPED)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_has_its_own_help(command, flag, capsys):
    with pytest.raises(SystemExit) as caught:
        sys.exit(main([*command, flag]))
    assert not caught.value.code
    captured = capsys.readouterr()
    assert " ".join(["mhdnn", *command]) in captured.out
    assert not captured.err
    if command == ["train"]:
        assert "experiment             carbon_chains" in captured.out
        assert "cutoff=auto" in captured.out
        assert "Powered by Hydra" not in captured.out


def test_commands_in_processes_of_their_own(tmp_path):
    assert "mhdnn train" in run_mhdnn(folder=tmp_path)
    assert "torch" in run_mhdnn("doctor", folder=tmp_path)
    assert "`cutof`: no such key" in run_mhdnn("train", "data.train=x.h5", "cutof=3", folder=tmp_path, expect=1)


def test_cutoff_of_the_training_set(emt_store, capsys):
    """Copper and nickel of strains from -5 to 8 %: the fourth shell, a√2, is the one that has the 48th neighbour."""
    found = with_cutoff_of_data(composed(f"data.train={emt_store}")).cutoff
    assert 0.95 * 3.52 * 2**0.5 < found < 1.08 * 3.61 * 2**0.5 + 0.1
    assert f"cutoff: {found} Å" in capsys.readouterr().out
    assert with_cutoff_of_data(composed(f"data.train={emt_store}", "cutoff=4.2")).cutoff == 4.2


def test_functions_for_the_elements_of_the_training_set(emt_store, capsys):
    """Copper and nickel are two; a number of elements that is given counts, and a choice stands."""
    train = f"data.train={emt_store}"
    found = decided(composed(train, "descriptor=auto")).descriptor
    assert "descriptor: contracted, for 2 elements" in capsys.readouterr().out
    assert found == composed("descriptor=contracted").descriptor
    assert (
        decided(composed(train, "descriptor=auto", "elements=[Cu]")).descriptor
        == composed("descriptor=four_body").descriptor
    )
    assert decided(composed(train, "descriptor=wide")).descriptor == composed("descriptor=wide").descriptor


@pytest.mark.parametrize(
    ("numbers", "given", "expected"),
    [((14,), "null", 5e-4), ((22, 8), "null", 5e-4), ((3, 6, 50), "null", 5e-3), ((14,), "0.002", 2e-3)],
)
def test_coefficients_of_few_elements_learn_slowly(numbers, given, expected):
    config = composed("descriptor=contracted", f"optimizer.contraction_lr={given}")
    groups = {
        group["name"]: group
        for group in instantiate(config.optimizer)(potential_of(config, sorted(numbers))).param_groups
    }
    assert groups["contraction"]["lr"] == pytest.approx(expected)
    assert {tuple(p.shape[:2]) for p in groups["contraction"]["params"]} == {(len(numbers), len(numbers))}
    assert groups["other"]["lr"] == 5e-3
