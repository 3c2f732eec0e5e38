"""Compare decoding steps with packed and plain weights, alternating, for several batch sizes.

python -m benchmarks.packed [MODEL]
"""

import contextlib
import statistics
import sys
import time

import torch
from transformers import DynamicCache

from looptool.core import machine, runs
from looptool.engines.kv_cache import RoomyLayer
from looptool.engines.packed import packed
from looptool.engines.transformers import load_model

CONTEXT, STEPS = 200, 12  # tokens already in each row; steps of each kind


def measure(folder: str) -> None:
    runs.quiet()
    dtype = machine.number_type("auto").name
    model, _ = load_model(folder, dtype)
    vocabulary = model.config.get_text_config().vocab_size

    def tokens(*shape: int) -> torch.Tensor:
        return torch.randint(vocabulary, shape, device=model.device)

    for rows in (1, 4, 10, 24, 64, 128):
        with torch.inference_mode():
            cache = DynamicCache(config=model.config)
            model(input_ids=tokens(1, CONTEXT), past_key_values=cache, logits_to_keep=1)
            for index, layer in enumerate(cache.layers):
                cache.layers[index] = RoomyLayer([layer], torch.zeros(rows, dtype=torch.long))
            mask = torch.ones(rows, CONTEXT, dtype=torch.long, device=model.device)
            mask[0, 0] = 0  # without padding another kernel would be timed
            seconds: dict[bool, list[float]] = {False: [], True: []}
            for step in range(2 * STEPS):
                mask = torch.cat([mask, mask.new_ones(rows, 1)], dim=1)
                token = tokens(rows, 1)
                with packed(model) if step % 2 else contextlib.nullcontext():
                    start = time.perf_counter()
                    model(input_ids=token, attention_mask=mask, past_key_values=cache)
                    seconds[bool(step % 2)].append(time.perf_counter() - start)
        plain, laid_out = (statistics.median(seconds[each]) for each in (False, True))
        print(f"{dtype}, {rows} rows: plain {1000 * plain:.0f} ms a step, packed "
              f"{1000 * laid_out:.0f} ms, ratio {plain / laid_out:.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    measure(sys.argv[1] if len(sys.argv) > 1 else "models/base")
