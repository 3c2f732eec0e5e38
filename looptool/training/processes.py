"""GRPO in several processes, one per GPU, started with `accelerate launch` by the train stage.

Training is data parallel: every process holds the whole model and generates and trains on its own
part of each batch. The processes share the gradient and the choice of groups to keep. The order of
the data and the number of updates are those of a single process; only the random draws differ.
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
    """Check that `train.accelerate_config`, if set, is a valid file that this machine can run.

    Raises:
        ConfigError: if it is not; the message names the file, its field and the rule.
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
    gpus = len(machine.gpus())
    if kind == "MULTI_GPU" and not config.get("use_cpu") and count > gpus:
        raise wrong(f"num_processes: needs {count} GPUs, but this machine has {gpus}")


def _read(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    source = f"{FILE}: train.accelerate_config: {path}"
    try:
        config = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not valid UTF-8"
        raise ConfigError(
            f"{source}: {reason}; create it with `accelerate config --config_file {path}`"
        ) from None
    except YAMLError:
        raise ConfigError(f"{source}: not valid YAML") from None
    if not isinstance(config, dict):
        raise ConfigError(f"{source}: must be a mapping, as written by `accelerate config`")
    return config


def train_in_processes(
    config: str, iteration: int, base: Path, data: Path, target: Path, scratch: Path
) -> list[dict[str, float]]:
    """Run `grpo.train_on` in the processes of an accelerate config.

    Args:
        config: path of the accelerate config.
        base, data, target, scratch: as in `grpo.train_on`.

    Returns:
        One row per step, as `grpo.train_on` returns it.

    Raises:
        LooptoolError: if a process fails; it has printed the reason.
    """
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    history = scratch / "history.json"
    command = ["--config_file", config, "--main_process_port", "0"]
    if _read(Path(config)).get("distributed_type") == "MULTI_CPU":
        command.append("--multi_gpu")  # use the GPU launcher, since the one for CPUs needs MPI
    command += ["--module", __name__, str(iteration), *map(str, (base, data, target, scratch))]
    try:
        launch_command(launch_command_parser().parse_args(command))
    except ChildFailedError:
        raise LooptoolError("one of the training processes failed, see above") from None
    return list(json.loads(history.read_text("utf-8")))


def main() -> None:
    """Run one of the processes; the entry point for `accelerate launch`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("iteration", type=int)
    for name in ("base", "data", "target", "scratch"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    runs.die_with_parent()
    runs.quiet()
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
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
            with run.bar("steps", params.train.steps) as on_progress:
                history = train_on(run, *places, on_progress, processes=count)
            runs.write_json(options.scratch / "history.json", history)
        else:
            train_on(run, *places, processes=count)
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
