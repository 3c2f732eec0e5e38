"""The rule-based author: tools, dialogues and labels out of two trees.

The *context tree* (`data/contexts/<domain>.yaml`: domain > subdomain > leaf action) says what a
tool does and how people ask for it; the *constraint tree* (`data/kinds.yaml`: group > parameter
kind; `data/styles.yaml`: sizes) says what its parameters look like and how their values
are put into words. A tool is one path through both. Four agents play a dialogue over the tools:
`planner` (which calls, which values, which order), `user` and `follow` (the words), `assistant`
(the label) and `responder` (what the tool answers); `author` plays them per category.
`data/chains.yaml` has the two-step plans, `data/rivals.yaml` the leaves that could stand in for
each other, `data/frames.yaml` how requests are dressed, `data/pools.yaml` values.

What other parts may use (all deterministic given `rng`; `split="train"` never uses a wording,
leaf or tool that is marked held-out, `split="heldout"` uses only held-out leaves):

- `toolbox.action_of(tool, example=None) -> Action`: any tool document; `.leaf` is None when the
  trees do not know it, `.slots` maps each parameter name to a `Slot` (its kind, schema, word).
- `values.draw(slot, rng, today=None) -> value`: a fresh value for one parameter, of its schema.
- `values.draw_arguments(slots, rng, mention=0.45, fixed=None, order=(), today=None) -> dict`:
  fresh arguments of a call; required parameters always, optional ones with chance `mention`.
- `toolbox.slot_of(name, schema, required, example=None) -> Slot`: a slot from a bare schema.
- `wording.surface(slot, value, rng, today=None) -> str`: the bare value as a user says it.
- `wording.phrase(slot, value, rng, split="train", today=None) -> str`: a value with its preposition
  or name ("in Oslo", "with a base of 10 cm").
- `user.request(calls, tools, rng, split="train", today=None) -> str | None`: a fresh request for
  these calls; None when a value cannot be put into words.
- `follow.change`, `follow.add`, `follow.follow_up`: later turns; `follow.resolve`: the answer to a
  question for one parameter. A request that lacks a parameter is `user.request` without it.
- `toolbox.distractors(tools, count, rng, split="train") -> list[Tool]`: other tools, similar ones
  first in half of the draws; none is able to do what `tools` do.
- `wording.today_of(messages)`, `wording.system_date(day)`: the date in a system message. A request
  says "next Friday" only where `today` is given.
"""
