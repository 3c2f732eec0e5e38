"""SQL queries of `checks` on the tables of an iteration. Every row that they return is a problem.

The views are those of `checks._TABLES`, `before` holds the rows carried over from the previous
iteration, and {j} is the iteration.
"""

# Checks of how D_j was made: (table, query). A query returns (row, sample_id, problem).
BIRTHS = [
    ("train", """
        SELECT d.row, sample_id, 'has no event born or kept in lineage/generate.parquet'
        FROM d ANTI JOIN made USING (sample_id)
    """),
    ("lineage/generate", """
        SELECT made.row, sample_id, event || ', but D_{j} has no such sample'
        FROM made ANTI JOIN d USING (sample_id)
    """),
    ("lineage/generate", """
        SELECT max(row), sample_id, 'entered D_{j} ' || count(*) || ' times'
        FROM made GROUP BY sample_id HAVING count(*) > 1
    """),
    ("train", """
        SELECT d.row, sample_id, 'has the label ' || label_id || ', but the event ' || event ||
            ' says ' || coalesce(new_label_id, 'none') || ': changed without an event'
        FROM d JOIN made USING (sample_id) WHERE label_id IS DISTINCT FROM new_label_id
    """),
    ("lineage/generate", """
        SELECT made.row, sample_id, event || ' by ' || stage || ' in iteration ' || iteration ||
            ', in the log of generate@{j}'
        FROM made WHERE stage <> 'generate' OR iteration <> {j} OR event NOT IN ('born', 'kept')
    """),
    ("lineage/generate", """
        SELECT made.row, sample_id, 'was born of another random seed than the rest, ' ||
            coalesce(seed::VARCHAR, 'none')
        FROM made WHERE event = 'born' AND seed IS DISTINCT FROM
            (SELECT mode(seed) FROM made WHERE event = 'born')
    """),
    ("lineage/generate", """
        SELECT made.row, sample_id, 'has the parent ' || coalesce(made.parent_id, 'none') ||
            ', but D_{j} says ' || coalesce(d.parent_id, 'none')
        FROM made JOIN d USING (sample_id) WHERE made.parent_id IS DISTINCT FROM d.parent_id
    """),
    ("train", """
        SELECT d.row, sample_id, 'was born as a seed, but has the origin ' || origin ||
            ' and the parent ' || coalesce(d.parent_id, 'none')
        FROM d JOIN made USING (sample_id)
        WHERE event = 'born' AND (origin <> 'seed' OR d.parent_id IS NOT NULL)
    """),
    ("train", """
        SELECT d.row, sample_id, 'was kept, but the iteration before carried no such sample'
        FROM d JOIN made USING (sample_id) ANTI JOIN before USING (sample_id)
        WHERE event = 'kept'
    """),
    ("train", """
        SELECT d.row, sample_id, 'differs from what was carried over in its ' || CASE
            WHEN d.label_id <> before.label_id THEN 'label'
            WHEN d.alternatives <> before.alternatives THEN 'alternatives'
            WHEN d.origin <> before.origin THEN 'origin'
            WHEN d.parent_id IS DISTINCT FROM before.parent_id THEN 'parent'
            ELSE 'source or iteration of its label' END
        FROM d JOIN before USING (sample_id)
        WHERE d.label_id <> before.label_id OR d.alternatives <> before.alternatives
            OR d.origin <> before.origin OR d.parent_id IS DISTINCT FROM before.parent_id
            OR d.label_source <> before.label_source
            OR d.label_iteration <> before.label_iteration
    """),
]  # fmt: skip

# Checks of what happened to D_j, from the probe to the carried rows. `outcome` holds the one event
# in the log for each row of D_j, and `expanded` the events for new samples.
OUTCOMES = [
    ("probe", """
        SELECT probe.row, sample_id, 'was probed, but is not in D_{j}'
        FROM probe ANTI JOIN d USING (sample_id)
    """),
    ("train", """
        SELECT d.row, sample_id, 'was not probed' FROM d ANTI JOIN probe USING (sample_id)
    """),
    ("train", """
        SELECT any_value(d.row), sample_id,
            'has ' || count(event) || ' outcomes in lineage/expand.parquet, not one'
        FROM d LEFT JOIN outcome USING (sample_id) GROUP BY sample_id HAVING count(event) <> 1
    """),
    ("lineage/expand", """
        SELECT outcome.row, sample_id, event || ', but D_{j} has no such sample'
        FROM outcome ANTI JOIN d USING (sample_id)
    """),
    ("lineage/expand", """
        SELECT outcome.row, sample_id, event || ', but the probe ' ||
            CASE WHEN matched THEN 'matched' ELSE 'did not match' END
        FROM outcome JOIN probe USING (sample_id)
        WHERE (event IN ('mastered', 'high_ppl')) <> matched
    """),
    ("lineage/expand", """
        SELECT log.row, sample_id, event || ' by ' || stage || ' in iteration ' || iteration ||
            ', in the log of expand@{j}'
        FROM log WHERE stage <> 'expand' OR iteration <> {j} OR event IN ('born', 'kept')
    """),
    ("lineage/expand", """
        SELECT log.row, sample_id, event || ' by another model or random seed than the rest'
        FROM log WHERE (model, seed) IS DISTINCT FROM (SELECT (mode(model), mode(seed)) FROM log)
    """),
    ("lineage/expand", """
        SELECT max(row), sample_id, event || ' ' || count(*) || ' times'
        FROM log GROUP BY sample_id, event HAVING count(*) > 1
    """),
    ("lineage/expand", """
        SELECT log.row, sample_id, 'capped, but carried over'
        FROM log JOIN carried USING (sample_id) WHERE event = 'capped'
    """),
    ("verdicts", """
        SELECT verdicts.row, sample_id, 'judges a sample that D_{j} does not have'
        FROM verdicts ANTI JOIN d USING (sample_id)
    """),
    ("verdicts", """
        SELECT verdicts.row, sample_id, 'judges a sample whose prediction matched'
        FROM verdicts JOIN probe USING (sample_id) WHERE matched
    """),
    ("verdicts", """
        SELECT verdicts.row, sample_id, 'is by ' || verdicts.judge || ', but its event says ' ||
            coalesce(outcome.judge, 'none')
        FROM verdicts JOIN outcome USING (sample_id)
        WHERE verdicts.judge IS DISTINCT FROM outcome.judge
    """),
    ("verdicts", """
        SELECT verdicts.row, sample_id,
            'judges the label ' || old_label_id || ', but D_{j} has ' || label_id
        FROM verdicts JOIN d USING (sample_id) WHERE old_label_id <> label_id
    """),
    ("lineage/expand", """
        SELECT outcome.row, sample_id,
            event || ', but its verdict is ' || coalesce(verdict, 'missing')
        FROM outcome LEFT JOIN verdicts USING (sample_id)
        WHERE (event = 'corrected' AND verdict IS DISTINCT FROM 'LABEL_WRONG')
            OR (event = 'alternative' AND verdict IS DISTINCT FROM 'BOTH_CORRECT')
            OR (event = 'dropped' AND verdict IS DISTINCT FROM 'BOTH_WRONG')
            OR (event = 'undecided' AND verdict IS DISTINCT FROM 'NO_CONSENSUS' AND sample_id NOT IN
                (SELECT sample_id FROM probe WHERE error_type = 'refused'))
            OR (event = 'error_seed' AND coalesce(verdict, 'PRED_WRONG') <> 'PRED_WRONG')
            OR (event = 'error_seed' AND verdict IS NULL AND (SELECT count(*) > 0 FROM verdicts))
    """),
    ("lineage/expand", """
        SELECT o.row, sample_id, 'corrected from ' || coalesce(o.old_label_id, 'none') ||
            ' to ' || coalesce(o.new_label_id, 'none') || ', but the verdict says ' ||
            v.old_label_id || ' to ' || coalesce(v.new_label_id, 'none')
        FROM outcome o JOIN verdicts v USING (sample_id)
        WHERE event = 'corrected' AND (o.old_label_id IS DISTINCT FROM v.old_label_id
            OR o.new_label_id IS DISTINCT FROM v.new_label_id)
    """),
    ("carried", """
        SELECT carried.row, sample_id, 'is carried over, but neither of D_{j} nor expanded'
        FROM carried ANTI JOIN d USING (sample_id) ANTI JOIN expanded USING (sample_id)
    """),
    ("carried", """
        SELECT c.row, sample_id, 'is carried over with the label ' || c.label_id ||
            ', but its event says ' ||
            CASE event WHEN 'corrected' THEN coalesce(new_label_id, 'none') ELSE d.label_id END
        FROM carried c JOIN d USING (sample_id) LEFT JOIN outcome USING (sample_id)
        WHERE c.label_id IS DISTINCT FROM
            CASE event WHEN 'corrected' THEN new_label_id ELSE d.label_id END
    """),
    ("carried", """
        SELECT c.row, sample_id, 'says that its label is by ' || c.label_source ||
            ' in iteration ' || c.label_iteration || ', but its event is ' || event
        FROM carried c JOIN d USING (sample_id) JOIN outcome USING (sample_id)
        WHERE c.label_source IS DISTINCT FROM
                CASE event WHEN 'corrected' THEN 'judge:' || judge ELSE d.label_source END
            OR c.label_iteration <>
                CASE event WHEN 'corrected' THEN {j} ELSE d.label_iteration END
    """),
    ("carried", """
        SELECT carried.row, sample_id, 'has the label ' || label_id || ', but was expanded with ' ||
            coalesce(new_label_id, 'none')
        FROM carried JOIN expanded USING (sample_id) WHERE label_id IS DISTINCT FROM new_label_id
    """),
    ("carried", """
        SELECT carried.row, sample_id, 'has the origin ' || origin || ', but was ' || event
        FROM carried JOIN log USING (sample_id)
        WHERE origin <> event AND event IN
            ('error_seed', 'corrected', 'alternative', 'undecided', 'high_ppl', 'expanded')
    """),
    ("carried", """
        SELECT c.row, sample_id, 'differs from D_{j} in its parent or the iteration of its birth'
        FROM carried c JOIN d USING (sample_id) WHERE c.parent_id IS DISTINCT FROM d.parent_id
            OR c.born_iteration <> d.born_iteration
    """),
    ("carried", """
        SELECT carried.row, sample_id, 'is carried over, but was ' || event
        FROM carried JOIN outcome USING (sample_id) WHERE event IN ('mastered', 'dropped')
    """),
    ("carried", """
        SELECT c.row, sample_id, 'was expanded from ' || coalesce(e.parent_id, 'none') ||
            ', but its parent is ' || coalesce(c.parent_id, 'none')
        FROM carried c JOIN expanded e USING (sample_id)
        WHERE c.parent_id IS DISTINCT FROM e.parent_id
    """),
    ("lineage/expand", """
        SELECT expanded.row, sample_id, 'expanded from ' || coalesce(parent_id, 'none') ||
            ', which is not an error seed of D_{j}'
        FROM expanded ANTI JOIN (
            SELECT sample_id AS parent_id FROM outcome WHERE event IN ('error_seed', 'corrected')
        ) parents USING (parent_id)
    """),
    ("lineage/expand", """
        SELECT expanded.row, sample_id, 'expanded, but neither carried over nor refused'
        FROM expanded ANTI JOIN carried USING (sample_id) ANTI JOIN rejected USING (sample_id)
    """),
    ("rejected/expand", """
        SELECT rejected.row, sample_id, 'was accepted, but the log has no such expansion'
        FROM rejected ANTI JOIN expanded USING (sample_id) WHERE "check" = 'cap'
    """),
    ("lineage/expand", """
        SELECT log.row, sample_id, event || ', but neither carried over nor capped'
        FROM log ANTI JOIN carried USING (sample_id)
        ANTI JOIN (SELECT sample_id FROM log WHERE event = 'capped') c USING (sample_id)
        WHERE event IN
            ('error_seed', 'corrected', 'alternative', 'undecided', 'high_ppl', 'expanded')
    """),
]  # fmt: skip
