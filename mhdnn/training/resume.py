"""What a resumed training must share with the one that it continues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mhdnn.deploy.export import CHECKPOINT_KEY
from mhdnn.errors import ConfigError, ModelError
from mhdnn.typed import shown

STATES = ("optimizer_states", "lr_schedulers", "loops", "epoch", "global_step")
"""What a training goes on from, beside the weights."""
HARMLESS = (
    "name", "report", "weights", "final_fit", "init", "resume", "resume_changed", "logger",
    "data.train", "data.validation", "data.test", "data.num_workers", "data.cache_megabytes",
    "trainer.enable_progress_bar", "trainer.enable_model_summary",
    "trainer.log_every_n_steps", "trainer.num_sanity_val_steps", "trainer.accelerator",
)  # fmt: skip
"""Settings that don't change what is trained; the stores are compared by name, size and energies (`provenance`)."""
CALLBACKS = ("callbacks.average", "callbacks.early_stopping")
"""Of the callbacks, those that change what is trained."""


def check_same_architecture(checkpoint: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Refuse to continue a checkpoint with another architecture.

    :raises ModelError: naming the first setting that differs, or that the file is no checkpoint of mhdnn
    """
    if CHECKPOINT_KEY not in checkpoint:
        raise ModelError("`resume`: expected a checkpoint written by `mhdnn train`, got another file")
    missing = [key for key in STATES if key not in checkpoint]
    if missing:
        raise ModelError(
            f"`resume`: the checkpoint lacks {', '.join(missing)}; it can be exported, but not resumed: give one that "
            "`mhdnn train` wrote"
        )
    saved = flat(checkpoint[CHECKPOINT_KEY]["settings"])
    wanted = flat(settings)
    for name in sorted(saved.keys() | wanted.keys()):
        if saved.get(name) != wanted.get(name):
            raise ModelError(
                f"`resume`: the checkpoint was trained with {name}={saved.get(name)}, this run asks for "
                f"{name}={wanted.get(name)}; resume with the configuration of the first run"
            )


def check_same_training(
    checkpoint: Mapping[str, Any], configuration: Mapping[str, Any], provenance: Mapping[str, Any]
) -> None:
    """Refuse to continue with other data, another schedule, loss ...

    :param configuration: all settings of this run
    :param provenance: its data
    :raises ConfigError: listing what differs
    """
    own = checkpoint[CHECKPOINT_KEY]
    if "configuration" not in own:  # of a version that did not keep them
        return
    before, now = dict(_that_matter(own["configuration"])), dict(_that_matter(configuration))
    trained_on = own.get("training", {})
    for key in ("data", "num_structures", *(["digests"] if "digests" in trained_on else [])):  # of old ones unknown
        before |= flat(trained_on.get(key, {}), f"{key} ")
        now |= flat(provenance.get(key, {}), f"{key} ")
    for values, place in ((trained_on, before), (provenance, now)):
        place |= {"init": values["init"]} if "init" in values else {}
    changed = [
        f"{name}={_text(now, name)} (checkpoint: {_text(before, name)})"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name) or (name in before) != (name in now)
    ]
    if changed:
        raise ConfigError(
            f"`resume`: these settings differ from those of the checkpoint: {', '.join(changed)}; resume with those of "
            "the checkpoint, or go on with the new ones by resume_changed=true"
        )


def _text(settings: Mapping[str, Any], name: str) -> str:
    return shown(settings[name]) if name in settings else "none"


def _that_matter(configuration: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in flat(configuration).items():
        if name.startswith("callbacks"):
            matters = name.startswith(CALLBACKS)
        else:
            matters = not any(name == harmless or name.startswith(f"{harmless}.") for harmless in HARMLESS)
        if matters:
            yield name, value


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    result: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        result.update(flat(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value})
    return result
