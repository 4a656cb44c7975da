"""The commands of `mhdnn` that are functions: their signatures decide the keys (`mhdnn.arguments`)."""

COMMANDS: dict[str, str] = {
    "evaluate": "mhdnn.evaluation.command:evaluate",
    "data convert": "mhdnn.data.commands:convert_sources",
    "data check": "mhdnn.data.commands:check_dataset",
    "data split": "mhdnn.data.commands:split_dataset",
    "data bundled": "mhdnn.data.commands:print_bundled",
    "data sample": "mhdnn.active.sample:sample",
    "data select": "mhdnn.active.select:select",
    "data label": "mhdnn.active.label:label",
    "export": "mhdnn.deploy.commands:export",
    "import n2p2": "mhdnn.deploy.commands:import_hdnnp",
    "import runner": "mhdnn.deploy.commands:import_hdnnp",
    "lammps build": "mhdnn.deploy.commands:build_pair_style",
    "lammps path": "mhdnn.deploy.commands:find_pair_style",
    "lammps package": "mhdnn.deploy.commands:copy_package",
    "schema": "mhdnn.training.schema:write_schema",
    "completion": "mhdnn.completion:print_completion",
    "doctor": "mhdnn.doctor:doctor",
}
"""Words of a command, and ``module:function``. A whole number that it returns is the exit status."""
OWN = ("train", "learn", "properties")
"""Commands with arguments of their own: settings of Hydra, settings of a plan, reports."""


def groups() -> list[str]:
    """First words of commands of two words."""
    return list(dict.fromkeys(command.split(" ")[0] for command in COMMANDS if " " in command))


def members(group: str) -> list[str]:
    """Second words of a group's commands."""
    return [command.split(" ")[1] for command in COMMANDS if command.startswith(f"{group} ")]


def first_words() -> list[str]:
    """All that can follow `mhdnn`."""
    return list(dict.fromkeys([*OWN, *(command.split(" ")[0] for command in COMMANDS)]))
