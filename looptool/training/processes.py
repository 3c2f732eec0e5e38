"""GRPO in several processes, one per GPU, on one machine or several.

The train stage starts the processes of its machine with `accelerate launch`, as the file
`train.accelerate_config` says. On each further machine `MACHINE_RANK=k python -m stages.train
--iteration J` starts that machine's; it waits for the first machine and writes nothing.

Every process draws answers to its own part of a rollout's prompts, and all choose the same groups
to train on. Each holds the whole model (`MULTI_GPU`, `MULTI_CPU`), or a part of it (`FSDP`, version
2). The order of the data and the number of updates are those of one process; only the random draws
differ.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from looptool.core import machine, runs
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.fingerprints import code_files, hash_path
from looptool.core.params import FILE, Params, Train, load
from looptool.training.memory import Sharing

MODULE = "looptool.training.processes"  # this one, which is `__main__` in a process of the training
KINDS = ("NO", "MULTI_CPU", "MULTI_GPU", "FSDP")
# What other machines than the first read in place of the file's fields, which all machines share.
RANK, ADDRESS, PORT = "MACHINE_RANK", "MASTER_ADDR", "MASTER_PORT"
BEAT = 5.0  # seconds between two signs of life of a process
RERUN = "run `dvc repro` again to go on from the last checkpoint"
SILENT = 40.0  # seconds without a sign of life after which a process counts as lost


@dataclass(frozen=True, slots=True)
class Layout:
    """How many processes train, and how they share the model.

    Attributes:
        processes: the number on all machines together.
        machines: the number of machines.
        rank: the number of this machine, from 0.
        address, port: where the first machine waits for the others.
    """

    sharing: Sharing = "one"
    processes: int = 1
    machines: int = 1
    rank: int = 0
    address: str | None = None
    port: int = 0


def layout(train: Train) -> Layout:
    """Return what `train.accelerate_config` and the environment say.

    Raises:
        ConfigError: if the file cannot be read, or a field has a value that is not supported.
    """
    if train.accelerate_config is None:
        return Layout()
    path = Path(train.accelerate_config)
    config = _read(path)

    def wrong(rule: str) -> ConfigError:
        return ConfigError(f"{FILE}: train.accelerate_config: {path}: {rule}")

    kind = config.get("distributed_type", "NO")
    if kind == "DEEPSPEED":
        raise wrong(
            "distributed_type: DEEPSPEED is not supported, because its ZeRO stages drop the "
            "optimizer with fp32 masters; use FSDP (configs/accelerate/eight-gpus-fsdp.yaml)"
        )
    if kind not in KINDS:
        raise wrong(f"distributed_type: {kind!r} is unknown (allowed: {', '.join(KINDS)})")
    numbers = {}
    for name in ("num_processes", "num_machines"):
        numbers[name] = config.get(name, 1)
        if not isinstance(numbers[name], int) or numbers[name] < 1:
            raise wrong(f"{name}: must be a positive integer, found {numbers[name]!r}")
    count, machines = numbers["num_processes"], numbers["num_machines"]
    if count % machines:
        raise wrong(f"num_processes: {count} is no multiple of num_machines, {machines}")
    rank: Any = os.environ.get(RANK, config.get("machine_rank", 0))
    if not str(rank).isdecimal() or int(rank) >= machines:
        raise wrong(f"machine_rank (or {RANK}): must be from 0 to {machines - 1}, found {rank!r}")
    address = os.environ.get(ADDRESS, config.get("main_process_ip"))
    port: Any = os.environ.get(PORT, config.get("main_process_port") or 0)
    if not str(port).isdecimal() or (machines > 1 and not int(port)):
        raise wrong(f"main_process_port (or {PORT}): must be a port number, found {port!r}")
    sharing: Sharing = "fsdp" if kind == "FSDP" else "data parallel" if count > 1 else "one"
    return Layout(sharing, count, machines, int(rank), address, int(port))


def check(train: Train, vllm: str) -> None:
    """Check that `train.accelerate_config`, if set, is a valid file that this machine can run.

    Args:
        vllm: how vLLM draws answers, by `machine.rollout_mode`.

    Raises:
        ConfigError: if it is not; the message names the file, its field and the rule.
    """
    chosen = layout(train)
    if train.accelerate_config is None:
        return
    path = Path(train.accelerate_config)
    config = _read(path)

    def wrong(rule: str) -> ConfigError:
        return ConfigError(f"{FILE}: train.accelerate_config: {path}: {rule}")

    if chosen.machines > 1 and not chosen.address:
        raise wrong(f"main_process_ip: set it, or {ADDRESS}, to the first machine's address")
    if chosen.sharing == "fsdp":
        if (config.get("fsdp_config") or {}).get("fsdp_version") != 2:
            raise wrong("fsdp_config.fsdp_version: must be 2")
        if train.lora_rank:
            raise wrong(
                "distributed_type: FSDP cannot train adapters, because TRL's weight sync to vLLM "
                "does not merge them; set train.lora_rank: null, or use MULTI_GPU"
            )
        if vllm == "off":
            raise wrong(
                "distributed_type: FSDP needs vLLM for its rollouts, because no process holds the "
                "whole model; set train.vllm: colocate or server, and install vLLM"
            )
    for factor, name in ((1.0, ""), (train.oversample, " x train.oversample")):
        prompts = round(train.prompts_per_step * factor)
        if prompts % chosen.processes:
            raise wrong(
                f"num_processes: {chosen.processes} does not divide the {prompts} prompts of a "
                f"step (train.prompts_per_step{name})"
            )
    here = chosen.processes // chosen.machines
    gpus = len(machine.gpus())
    on_gpus = config.get("distributed_type") in ("MULTI_GPU", "FSDP") and not config.get("use_cpu")
    if on_gpus and here > gpus:
        raise wrong(f"num_processes: {here} on this machine need as many GPUs, and it has {gpus}")


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


def joins(iteration: int) -> bool:
    """Train with the first machine, if this one is another; return whether it is.

    Raises:
        SystemExit: with status 1, after printing the message, if it fails.
    """
    label = f"train@{iteration}"
    runs.quiet()
    with runs.telling_errors(label):
        train = load(FILE, iteration).train
        chosen = layout(train)
        if not chosen.rank:
            return False
        check(train, machine.rollout_mode(train.vllm))
        label = f"{label}, machine {chosen.rank}"
        _wait_for(chosen, label)
        train_in_processes(str(train.accelerate_config), iteration, chosen, Path())
    print(f"{label}: trained with the first machine, which has models/{iteration}", file=sys.stderr)
    return True


def train_in_processes(config: str, iteration: int, chosen: Layout, scratch: Path) -> None:
    """Train models/j in the processes of an accelerate config, this machine's part of them.

    The first machine writes the model, and the history to `scratch`/history.json.

    Args:
        config: path of the accelerate config.
        scratch: the folder of samples.parquet and of checkpoints, which all machines see; it is
            used on the first machine, which tells the others.

    Raises:
        LooptoolError: if a process fails; it has printed the reason.
    """
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    command = ["--config_file", config, "--main_process_port", str(chosen.port)]
    if chosen.machines > 1:
        command += ["--machine_rank", str(chosen.rank), "--main_process_ip", str(chosen.address)]
        command += ["--same_network"]
    if _read(Path(config)).get("distributed_type") == "MULTI_CPU":
        command.append("--multi_gpu")  # use the GPU launcher, since the one for CPUs needs MPI
    command += ["--module", MODULE, str(iteration), str(scratch)]
    try:
        launch_command(launch_command_parser().parse_args(command))
    except ChildFailedError:
        raise LooptoolError("one of the training processes failed, see above") from None
    except Exception as error:
        if chosen.machines == 1:
            raise
        reason = str(error).splitlines()[0]
        raise LooptoolError(f"the machines did not come together: {reason}") from None


def _wait_for(chosen: Layout, label: str) -> None:
    """Wait until the first machine accepts connections."""
    told = False
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection((str(chosen.address), chosen.port), timeout=5).close()
            return
        if not told:
            place = f"{chosen.address}:{chosen.port}"
            print(f"{label}: waiting for the first machine, {place}", file=sys.stderr, flush=True)
            told = True
        time.sleep(1)


def main() -> None:
    """Run one of the processes; the entry point for `accelerate launch`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("iteration", type=int)
    parser.add_argument("scratch", type=Path)
    options = parser.parse_args()
    runs.die_with_parent()
    runs.quiet()
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    label = f"train@{options.iteration}, process {rank}"
    with runs.telling_errors(label):
        params = load(FILE, options.iteration)
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        threads = max(1, (params.model.threads or machine.cores()) // here)
        run = runs.Run("train", options.iteration, params, threads)
        run.prepare_torch()
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available())  # the processes meet
        base = Path(f"models/{options.iteration - 1}")
        with _watched(label):
            scratch = _agree(params, options.iteration, base, options.scratch)
            from looptool.training.grpo import train_on

            if params.train.activation_checkpointing:
                os.environ["FSDP_ACTIVATION_CHECKPOINTING"] = "true"
            places = (base, scratch / "samples.parquet", Path(f"models/{options.iteration}"))
            if rank == 0:
                with run.bar("steps", params.train.steps) as on_progress:
                    history = train_on(run, *places, scratch, on_progress, processes=count)
                runs.write_json(scratch / "history.json", history)
            else:
                train_on(run, *places, scratch, processes=count)
        torch.distributed.destroy_process_group()


def _agree(params: Params, iteration: int, base: Path, scratch: Path) -> Path:
    """Compare what the machines train with, before any model is loaded.

    Returns:
        The first machine's scratch folder.

    Raises:
        LooptoolError: in all processes, if code, params, data or the base model of a machine differ
            from the first one's, or it does not see the first one's scratch folder.
    """
    from accelerate.utils import broadcast_object_list, gather_object

    shared = [str(scratch)]
    broadcast_object_list(shared)
    hashes: dict[str, str] = {}
    if os.environ["LOCAL_RANK"] == "0":
        data = Path(f"data/iterations/{iteration}/train.parquet")
        plugins = [each.partition(":")[0] for field, each in params.addresses
                   if field == "train.reward"]  # fmt: skip
        code = {hash_path(path) for name in (MODULE, *plugins) for path in code_files(name)}
        hashes = {
            "the code": "".join(sorted(code)),
            FILE.name: hash_path(FILE),
            str(data): hash_path(data) if data.exists() else "missing",
            str(base): hash_path(base) if base.exists() else "missing",
            f"the scratch folder {shared[0]} (set LOOPTOOL_SCRATCH to a shared folder)": str(
                (Path(shared[0]) / "samples.parquet").exists()
            ),
        }
    machine_rank = os.environ.get("GROUP_RANK", "0")
    gathered = [each for each in gather_object([(machine_rank, hashes)]) if each[1]]
    _, first = gathered[0]
    for number, others in gathered[1:]:
        if differing := [name for name, value in others.items() if value != first[name]]:
            raise LooptoolError(f"machine {number} differs from machine 0 in {differing[0]}")
    return Path(shared[0])


@contextlib.contextmanager
def _watched(label: str) -> Iterator[None]:
    """End this process with one line if another one dies.

    Gloo notices it in the next collective operation; NCCL may wait for minutes, and so may either
    if a machine's power fails. So each process also looks for signs of life of the others.
    """
    import torch.distributed as dist
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = PrefixStore("looptool", TCPStore(address, port, is_master=False))
    rank, count = dist.get_rank(), dist.get_world_size()
    done = threading.Event()
    store.set(str(rank), "0")

    def watch() -> None:
        heard = dict.fromkeys(
            (each for each in range(count) if each != rank), ("", time.monotonic())
        )
        beat = 0
        while not done.wait(BEAT):
            beat += 1
            try:
                store.set(str(rank), str(beat))
                values = {each: store.get(str(each)).decode() for each in heard}
            except RuntimeError:  # of torch, about the connection
                if not done.is_set():
                    _end(label, "the first machine does not answer any more")
                return
            now = time.monotonic()
            for each, value in values.items():
                if value == "done" or value != heard[each][0]:
                    heard[each] = (value, now)
                elif now - heard[each][1] > SILENT:
                    _end(label, f"process {each} has not answered for {SILENT:.0f} s")

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo/transport" not in str(error):
            raise
        raise LooptoolError(f"another process ended; {RERUN}") from None
    else:
        with contextlib.suppress(
            RuntimeError
        ):  # the others may have ended, and the store with them
            store.set(str(rank), "done")
    finally:
        done.set()


def _end(label: str, reason: str) -> None:
    print(f"{label}: {reason}; {RERUN}", file=sys.stderr, flush=True)
    os._exit(1)


if __name__ == "__main__":
    main()
