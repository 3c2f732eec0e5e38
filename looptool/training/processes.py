"""GRPO in several processes, one a GPU: `accelerate launch` from within the train stage.

Every process holds the whole model and generates and trains on its own part of each batch
(data parallel); what they share is the gradient and the choice of the groups that are kept. So
data order and number of updates are those of one process, and only the draws differ.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path
from typing import Any

from looptool.core import machine, runs
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.params import FILE, Train, load

KINDS = ("NO", "MULTI_CPU", "MULTI_GPU")


def check(train: Train) -> None:
    """Make sure that `train.accelerate_config` is a file that this machine can follow.

    Raises:
        ConfigError: naming the file, its field and the rule.
    """
    if train.accelerate_config is None:
        return
    path = Path(train.accelerate_config)
    config = _read(path)

    def wrong(rule: str) -> ConfigError:
        return ConfigError(f"{FILE}: train.accelerate_config: {path}: {rule}")

    kind, count = config.get("distributed_type", "NO"), config.get("num_processes", 1)
    if kind not in KINDS:
        raise wrong(
            f"distributed_type: {kind!r} is unknown (allowed: {', '.join(KINDS)}; every process "
            "holds the whole model)"
        )
    if config.get("num_machines", 1) != 1:
        raise wrong("num_machines: must be 1")
    if not isinstance(count, int) or count < 1:
        raise wrong(f"num_processes: must be a positive integer, found {count!r}")
    prompts = round(train.prompts_per_step * train.oversample)
    if prompts % count:
        raise wrong(
            f"num_processes: {count} does not divide the {prompts} prompts of a step "
            "(train.prompts_per_step x train.oversample)"
        )
    found = len(machine.gpus())
    if kind == "MULTI_GPU" and not config.get("use_cpu") and count > found:
        raise wrong(f"num_processes: {count} GPUs are wanted, and there are {found} here")


def _read(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    where = f"{FILE}: train.accelerate_config: {path}"
    try:
        config = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no text"
        raise ConfigError(f"{where}: {reason}; `accelerate config` writes such a file") from None
    except YAMLError:
        raise ConfigError(f"{where}: no valid YAML") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{where}: must be a mapping, as `accelerate config` writes it")
    return config


def train_in_processes(
    config: str, iteration: int, base: Path, data: Path, target: Path, scratch: Path
) -> list[dict[str, float]]:
    """Do what `grpo.train_grpo` does in the processes that an accelerate config asks for.

    Raises:
        LooptoolError: if one of them fails; it has told why.
    """
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    history = scratch / "history.json"
    command = ["--config_file", config, "--main_process_port", "0"]
    if _read(Path(config)).get("distributed_type") == "MULTI_CPU":
        command.append("--multi_gpu")  # its launcher; the one for CPUs wants MPI
    command += ["--module", __name__, str(iteration), *map(str, (base, data, target, scratch))]
    try:
        launch_command(launch_command_parser().parse_args(command))
    except ChildFailedError:
        raise LooptoolError("one of the processes failed, see above") from None
    return list(json.loads(history.read_text("utf-8")))


def main() -> None:
    """Be one of the processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("iteration", type=int)
    for name in ("base", "data", "target", "scratch"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    runs.die_with_parent()
    runs.quiet()
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])  # on one machine
    with runs.telling_errors(f"train@{options.iteration}, process {rank}"):
        params = load(FILE, options.iteration)
        threads = max(1, (params.model.threads or machine.cores()) // count)
        run = runs.Run("train", options.iteration, params, threads)
        run.prepare_torch()
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        from looptool.training.grpo import train_on

        places = (options.base, options.data, options.target, options.scratch)
        if rank == 0:
            with run.bar("steps", params.train.steps) as reach:
                history = train_on(run, *places, reach, processes=count)
            runs.write_json(options.scratch / "history.json", history)
        else:
            train_on(run, *places, processes=count)
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
