"""Events that record how a data set was made, and the table of admitted samples."""

from __future__ import annotations

import polars as pl


def births(
    fresh: pl.DataFrame,
    iteration: int,
    stage: str,
    seed: int,
    carried: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the events of a new data set: `born` for each fresh seed, `kept` for each carried row.

    Args:
        seed: the random seed that produced the fresh samples.

    Returns:
        `tables.Lineage`.
    """

    def events(rows: pl.DataFrame, event: str, seed: int | None) -> pl.DataFrame:
        return rows.select(
            "sample_id",
            event=pl.lit(event),
            iteration=pl.lit(iteration, pl.Int64),
            stage=pl.lit(stage),
            parent_id="parent_id",
            old_label_id=pl.lit(None, pl.String),
            new_label_id="label_id",
            model=pl.lit(None, pl.String),
            judge=pl.lit(None, pl.String),
            seed=pl.lit(seed, pl.Int64),
            inputs=pl.lit(None, pl.String),
        )

    parts = [events(fresh, "born", seed)]
    if carried is not None:
        parts.append(events(carried, "kept", None))
    return pl.concat(parts)


def stamped(
    log: pl.DataFrame, stage: str, iteration: int, seed: int | None, model: str, inputs: str
) -> pl.DataFrame:
    """Return the events of a stage with where they come from, as `tables.Lineage`.

    Args:
        seed: the random seed of the stage.
        model: the hash of the model that was probed.
        inputs: the dataset_id of the data set that the events are about.
    """
    return log.with_columns(
        iteration=pl.lit(iteration, pl.Int64),
        stage=pl.lit(stage),
        model=pl.lit(model),
        seed=pl.lit(seed, pl.Int64),
        inputs=pl.lit(inputs),
    )


def seen(
    admitted: pl.DataFrame, iteration: int, before: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return every sample_id admitted up to `iteration`, with the first iteration that admitted it.

    Args:
        admitted: the samples of this iteration.
        before: `tables.Seen` of the previous iteration.

    Returns:
        `tables.Seen`.
    """
    new = admitted.select("sample_id", iteration=pl.lit(iteration, pl.Int64))
    if before is None:
        return new
    return pl.concat([before, new]).unique("sample_id", keep="first", maintain_order=True)
