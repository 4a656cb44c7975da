"""`mhdnn train` as a command: Hydra's settings and folders, and its errors in a sentence."""

from __future__ import annotations

import importlib.resources
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from mhdnn.errors import ConfigError, MHDNNError
from mhdnn.files import unwritable
from mhdnn.training.configuration import CONFIGS, choices, default_config, groups, setting_names
from mhdnn.typed import suggestion

HELP = """\
mhdnn train data.train=FILE.h5 [KEY=VALUE ...] [GROUP=CHOICE ...]

Trains a potential on a dataset of `mhdnn data convert`. Settings are Hydra's: a key with its value, a group with its
choice; the defaults stand in the files of {folder}

Groups:
{groups}
Main keys (with their defaults):
{keys}
Further:
  -m, --multirun         a sweep, as in seed=0,1,2,3
  --cfg job              print all settings and stop
  hydra.run.dir=FOLDER   where the training writes
  init=MODEL             start from a trained model: further data, a new element (fine-tuning)
  resume=CHECKPOINT      go on where it stopped; with other settings: resume_changed=true
"""
OPTIONS = ("-m", "--multirun", "-c", "--cfg", "-p", "--package", "-i", "--info", "--resolve", "--hydra-help",
           "-cp", "--config-path", "-cn", "--config-name", "-cd", "--config-dir", "-r", "--run")  # fmt: skip
"""Of Hydra."""
RUN_FOLDER = "hydra.run.dir"
MAIN_KEYS = (
    "data.validation", "data.test", "data.batch_size", "cutoff", "elements", "dtype", "seed", "network.hidden",
    "descriptor.channels", "optimizer.lr", "trainer.max_epochs", "trainer.devices", "weights", "report",
)  # fmt: skip


def run_command(arguments: Sequence[str]) -> int:
    """Run `mhdnn train`.

    :raises MHDNNError: with a sentence for the user
    """
    if any(argument in ("-h", "--help", "help") for argument in arguments):
        print(help_text(), end="")
        return 0
    check_options(arguments)
    check_choices(arguments)
    from mhdnn.training import run
    from mhdnn.training.initial_model import check_stays

    if (init := _given(arguments, "init")) and (folder := _given(arguments, RUN_FOLDER)):
        check_stays(init, Path(folder))  # as the training does, but before Hydra writes to the folder
    # Lightning starts the other processes of a distributed training the way this one seems to have been started
    sys.argv = [run.__file__, *arguments]
    sys.modules["__main__"].__spec__ = None
    with _errors_of_hydra(arguments):
        run.main()
    return 0


def train_in(folder: Path, overrides: Sequence[str]) -> Path:
    """Train in this process as `mhdnn train` does in a folder; returns the path of the model file.

    The settings stand in ``config.yaml`` of the folder.

    :param overrides: as for `mhdnn train`
    :raises MHDNNError: with a sentence for the user
    """
    from mhdnn.training.run import train

    config = composed(overrides)
    with _errors_of_hydra(overrides):
        hydra = config.copy()
        with open_dict(hydra):
            hydra.hydra.runtime.output_dir = str(folder.absolute())
        HydraConfig.instance().set_config(hydra)
        with open_dict(config):
            del config["hydra"]
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(config, folder / "config.yaml")
        return train(config, folder)


def composed(overrides: Sequence[str]) -> DictConfig:
    """The settings of a training, and Hydra's own.

    :raises ConfigError: if Hydra refuses one
    """
    check_options(overrides)
    check_choices(overrides)
    with _errors_of_hydra(overrides), initialize_config_module(CONFIGS, version_base="1.3"):
        return compose("train", overrides=list(overrides), return_hydra_config=True)


def check_overrides(overrides: Sequence[str]) -> None:
    """Refuse settings of a training before there are data.

    :raises ConfigError: naming the key, what is expected and what came
    """
    from mhdnn.training.settings import check_settings

    config = composed(overrides)
    with open_dict(config):
        del config["hydra"]
    check_settings(config)


def check_options(arguments: Sequence[str]) -> None:
    """Refuse options that Hydra doesn't have; it would print its own usage.

    :raises ConfigError: naming what may have been meant
    """
    for argument in arguments:
        option = argument.partition("=")[0]
        if option.startswith("-") and option not in OPTIONS:
            raise ConfigError(f"`{option}`: no such option{suggestion(option, OPTIONS)}; settings are key=value")


def check_choices(arguments: Sequence[str]) -> None:
    """Refuse choices of groups that don't exist; Hydra passes over those of an optional group without a word.

    :raises ConfigError: naming what may have been meant
    """
    for argument in arguments:
        group, separator, chosen = argument.lstrip("+").partition("=")
        if not separator or group not in groups():
            continue
        for choice in chosen.split(","):
            if choice not in [*choices(group), "null"] and not choice.startswith(("{", "[")):
                raise ConfigError(f"`{group}={choice}`: no such choice{suggestion(choice, choices(group))}")


def help_text() -> str:
    """What `mhdnn train --help` prints."""
    config = default_config([])
    return HELP.format(
        folder=importlib.resources.files(CONFIGS),
        groups="".join(f"  {group:<22} {', '.join(choices(group))}\n" for group in groups()),
        keys="".join(f"  {key}={_as_written(OmegaConf.select(config, key))}\n" for key in MAIN_KEYS),
    )


def _as_written(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return str(value).replace(" ", "")


@contextmanager
def _errors_of_hydra(arguments: Sequence[str]) -> Iterator[None]:
    """What Hydra and OmegaConf refuse comes out as a sentence, as does a folder that can't be written."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come out of Hydra, which would print them and exit
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explained(error, arguments)) from error
    except MHDNNError:
        raise
    except ValueError as error:  # of Python's logging, which Hydra sets up
        if isinstance(error.__cause__, OSError):
            raise unwritable(error.__cause__.filename or _run_folder(arguments), error.__cause__) from error
        raise
    except OSError as error:
        raise unwritable(error.filename or _run_folder(arguments), error) from error
    finally:
        GlobalHydra.instance().clear()
        if before is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


def _run_folder(arguments: Sequence[str]) -> Path:
    """Where the training writes, or the folder of all trainings."""
    given = _given(arguments, RUN_FOLDER)
    return Path(given).absolute() if given else Path.cwd() / "runs"


def _given(arguments: Sequence[str], key: str) -> str:
    """What the last of the arguments gives to a key, without quotes; empty if none does."""
    pairs = [argument.lstrip("+").partition("=") for argument in arguments]
    values = [value.strip("'\"") for name, _, value in pairs if name == key]
    return values[-1] if values else ""


def explained(error: Exception, arguments: Sequence[str]) -> str:
    """An error of Hydra or OmegaConf in a sentence, with what may have been meant."""
    text = str(error)
    if found := re.search(r"Could not (?:override|delete from config\.) '([^']+)'", text):
        if others := _choices_with(found[1]):
            return f"`{found[1]}`: not a key of this choice of the group, but of {' or '.join(others)}; choose one, too"
        return f"`{found[1]}`: no such key{_keys_like(found[1], arguments)}"
    if found := re.search(r"An item is already at '([^']+)'", text):
        return f"`+{found[1]}`: is there already; leave out the +"
    if isinstance(error, OverrideParseException):
        return f"`{error.override}`: is not of the form key=value (Hydra's syntax; quote blanks, commas and brackets)"
    if found := re.search(r"full_key: (\S+)", text):
        return f"`{found[1]}`: {text.strip().splitlines()[0]}"
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__


def _choices_with(key: str) -> list[str]:
    """Choices of the key's group that have it, as group=choice."""
    group, _, inner = key.lstrip("+~").partition(".")
    if not inner or group not in groups():
        return []
    folder, absent = importlib.resources.files(CONFIGS).joinpath(group), object()
    settings = {name: OmegaConf.create(folder.joinpath(f"{name}.yaml").read_text("utf-8")) for name in choices(group)}
    return [
        f"{group}={name}"
        for name, one in settings.items()
        if OmegaConf.select(one, inner, default=absent) is not absent
    ]


def _keys_like(key: str, arguments: Sequence[str]) -> str:
    key = key.lstrip("+~")
    known = list(setting_names(default_config(arguments)))
    last = [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]]
    if last and key.rpartition(".")[2] != key:
        return f"; did you mean {' or '.join(last[:3])}?"
    if "." in key:
        inside = [name for name in known if name.rpartition(".")[0] == key.rpartition(".")[0]]
        return suggestion(key, known if not inside else [*inside, *known]) if inside else suggestion(key, known)
    return suggestion(key, [*(name for name in known if "." not in name), *groups(), *known])
