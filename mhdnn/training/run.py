"""`mhdnn train`: from a configuration to a trained model, its errors and its report."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
import pytorch_lightning as pl
from ase.data import chemical_symbols
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from rich.console import Console

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.deploy.export import CHECKPOINT_KEY, read_checkpoint
from mhdnn.deploy.model_file import first_line
from mhdnn.errors import ConfigError, DataError, MHDNNError, NotFiniteError
from mhdnn.factory import build_potential
from mhdnn.files import unwritable
from mhdnn.kernels.threads import only_functions_in_parallel
from mhdnn.training.assembly import build_module, build_trainer, model_settings, provenance
from mhdnn.training.automatic import decided
from mhdnn.training.callbacks import settle_average
from mhdnn.training.fine_tuning import FineTuning
from mhdnn.training.initial_model import (
    InitialModel,
    check_same_dispersion,
    check_same_level,
    check_stays,
    read_initial,
)
from mhdnn.training.initialization import Initialization
from mhdnn.training.module import StageModule
from mhdnn.training.offsets import build_offsets
from mhdnn.training.overview import describe
from mhdnn.training.replay import replay_known
from mhdnn.training.results import finish
from mhdnn.training.resume import check_same_architecture, check_same_training
from mhdnn.training.settings import check_settings
from mhdnn.training.stages import EnergyStage, Stage, stages_of

INTERRUPTED = 130  # exit status, as shells use it
console = Console()
# what Lightning tells at this level is not about the user's data or model
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


@hydra.main(version_base="1.3", config_path="pkg://mhdnn.configs", config_name="train")
def main(config: DictConfig) -> None:
    """Entry point under Hydra: overrides, sweeps and run folders are Hydra's."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        train(config, folder)
    except MHDNNError as error:
        told_by_the_first = isinstance(error, NotFiniteError) and getattr(rank_zero_only, "rank", 0) > 0
        sys.exit(1 if told_by_the_first else f"mhdnn train: {error}")
    except KeyboardInterrupt:
        checkpoint = folder / "checkpoints/interrupted.ckpt"
        left = f"{checkpoint} can be exported or resumed" if checkpoint.exists() else "training had not begun"
        console.print(f"interrupted; {left}", soft_wrap=True)
        sys.exit(INTERRUPTED)


@only_functions_in_parallel()
def train(config: DictConfig, folder: Path) -> Path:
    """Train a potential; returns the path of the model file.

    :param config: composed from mhdnn.configs
    :param folder: where checkpoints, logs, model and report go
    :raises ConfigError: if a setting contradicts another
    :raises DataError: if the data can't be trained on
    :raises ModelError: if the run can't be resumed
    """
    check_settings(config)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    if config.init:
        check_stays(config.init, folder)
    initial = read_initial(config.init) if config.init else None
    config = decided(config, initial)
    data = StoreDataModule(**config.data, cutoff=config.cutoff, seed=config.seed)
    settings = model_settings(config, data)
    if initial is not None:
        check_same_dispersion(initial, data)
        check_same_level(initial, data, config)
        replay_known(initial, data)
    check_test_elements(data, settings["atomic_numbers"])
    potential = build_potential(settings)
    offsets = build_offsets(potential, data)
    stages = stages_of(config, learns_functions=initial is None and potential.descriptor.is_learned())
    resumed = resumed_stage(stages, config, settings, data, initial) if config.resume else None
    describe(potential, data)
    if initial is None:
        initialization = Initialization(potential, settings, data, config, offsets)
    else:
        initialization = FineTuning(potential, settings, data, config, offsets, initial)
    if resumed is None:
        initialization.functions()
    optimizer = None
    for stage in stages[0 if resumed is None else stages.index(resumed) :]:
        resume = config.resume if stage is resumed else None
        if resume is None:
            stage.initialize(initialization)
        module = build_module(potential, settings, data, config, stage, optimizer, offsets, initial)
        trainer = build_trainer(config, "validation" in data.indices, stage)
        fit(trainer, module, data, resume, folder)
        optimizer = trainer.optimizers[0]
    return finish(config, folder, trainer, module, stage, data, initial)


def resumed_stage(
    stages: Sequence[Stage],
    config: DictConfig,
    settings: dict[str, Any],
    data: StoreDataModule,
    initial: InitialModel | None,
) -> Stage:
    """The stage that the checkpoint to resume belongs to.

    :raises ModelError: if it is of another model, or no checkpoint
    :raises ConfigError: if this run has other settings, or not this stage
    """
    checkpoint = read_checkpoint(config.resume)
    check_same_architecture(checkpoint, settings)
    named = {stage.name: stage for stage in stages}
    name = checkpoint[CHECKPOINT_KEY].get("stage", EnergyStage.name)
    if name not in named:
        raise ConfigError(
            f"`resume`: the checkpoint is of the stage {name}, this run has the stages {', '.join(named)}; "
            "resume with the configuration of the first run"
        )
    if not config.resume_changed:
        check_same_training(checkpoint, check_settings(config), provenance(data, initial.path if initial else None))
    return named[name]


def fit(trainer: pl.Trainer, module: StageModule, data: StoreDataModule, resume: str | None, folder: Path) -> None:
    """Run Lightning's loop; an interruption comes out as KeyboardInterrupt, not as Lightning's exit.

    :raises OutputError: if a log can't be written
    :raises ConfigError: if Lightning refuses what a setting asks for
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # torch's word to Lightning
        warnings.filterwarnings("ignore", message="Grad strides do not match")  # of rows as columns; costs nothing
        warnings.filterwarnings("ignore", message="Total length of `list`")  # there is no validation set
        warnings.filterwarnings("ignore", message="The dirpath has changed")  # resumed into a folder of its own
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists")  # of the stage before
        try:
            with failures_of_threads():
                trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
            settle_average(trainer, module)
        except SystemExit as error:
            if trainer.interrupted:
                raise KeyboardInterrupt from error
            raise
        except MHDNNError:
            raise
        except MisconfigurationException as error:  # of Lightning, about what it was given
            raise ConfigError(f"`trainer` or `callbacks`: {first_line(error)}") from error
        except OSError as error:  # of Lightning's loggers
            folders = [folder, *(Path(logger.log_dir) for logger in trainer.loggers if logger.log_dir)]
            fullest = min((path for path in folders if path.is_dir()), key=lambda path: shutil.disk_usage(path).free)
            raise unwritable(error.filename or fullest / "logs", error) from error


@contextmanager
def failures_of_threads() -> Iterator[None]:
    """What TensorBoard's thread fails with comes out here, instead of a traceback between the lines of a training."""
    failures: list[OSError] = []
    before = threading.excepthook

    def keep(arguments: threading.ExceptHookArgs) -> None:
        if isinstance(arguments.exc_value, OSError):
            failures.append(arguments.exc_value)
        else:
            before(arguments)

    threading.excepthook = keep
    try:
        yield
    finally:
        threading.excepthook = before
    if failures:
        raise failures[0]


def check_test_elements(data: StoreDataModule, numbers: list[int]) -> None:
    """Refuse validation and test sets with elements the training set lacks, before training.

    :raises DataError: naming the store and the elements
    """
    for part, reader in data.readers.items():
        unknown = [chemical_symbols[n] for n in reader.elements() if n not in numbers]
        if unknown:
            raise DataError(
                f"{reader.path}: {part} has {', '.join(unknown)}, which the model is not trained for; "
                "add structures with these elements to the training set"
            )


if __name__ == "__main__":
    main()  # a process of a distributed training
