"""Measure this machine in bf16 and float32, and predict how long `make run` takes on it.

Prints tokens per second of training, reading prompts and writing answers in bf16 and float32, their
ratio, and the predicted minutes of the run that params.yaml describes.

    python -m benchmarks.machine [MODEL]
"""

import os
import sys

import torch

from looptool.core import machine, params, runs
from looptool.engines import speeds
from looptool.workspace import plan as planning


def measure(model: str) -> None:
    runs.quiet()
    chosen = machine.number_type("auto")
    kernels = [f"{name}={os.environ[name]}" for name in machine.KERNELS if name in os.environ]
    print(f"{machine.cpu_name()}, {machine.cores()} cores, {', '.join(machine.gpus()) or 'no GPU'}"
          + "".join(f", {each}" for each in kernels))  # fmt: skip
    print(f"{chosen.name}: {chosen.reason}")
    loaded = params.load()
    torch.set_num_threads(loaded.model.threads or machine.cores())
    both = {}
    for dtype in ("float32", "bfloat16"):
        if dtype == "bfloat16" and chosen.name == "float32" and not chosen.on_gpu:
            slowdown = machine.number_type("bfloat16").slowdown
            print(f"bfloat16: a product and its transposed one take {slowdown:.0f} times as long; "
                  "its rates are not measured")  # fmt: skip
            continue
        rates = both[dtype] = speeds.measure(model, dtype)
        print(f"{dtype}: training {rates.trained:.0f}, reading {rates.read:.0f}, "
              f"writing {rates.written:.0f} tokens/s")  # fmt: skip
    if len(both) == 2:
        ratios = [getattr(both["bfloat16"], name) / getattr(both["float32"], name)
                  for name in ("trained", "read", "written")]  # fmt: skip
        print("ratio bfloat16 / float32: training {:.2f}, reading {:.2f}, writing {:.2f}"
              .format(*ratios))  # fmt: skip
    plan = planning.plan(loaded)
    minutes = "unknown" if plan.hours is None else f"{plan.hours * 60:.1f}"
    print(f"predicted minutes of `make run`: {minutes}")


if __name__ == "__main__":
    measure(sys.argv[1] if len(sys.argv) > 1 else "models/base")
