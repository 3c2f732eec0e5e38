"""The rule-based author: it derives tools, dialogues and labels from two trees.

The *context tree* (`data/contexts/<domain>.yaml`: domain > subdomain > leaf action) says what a
tool does and how people ask for it. The *constraint tree* (`data/kinds.yaml`: group > parameter
kind; `data/styles.yaml`: sizes) says what its parameters look like and how their values are put
into words. A tool is one path through both. Four agents play a dialogue about the tools: `planner`
(which calls, which values, which order), `user` and `follow` (the user's words), `assistant` (the
label) and `responder` (the tools' responses). `author` directs them, one scene per category.
`data/chains.yaml` has the two-step plans, `data/rivals.yaml` the leaves that can replace each
other, `data/frames.yaml` the frames of whole requests, `data/described.yaml` the wordings for tools
that the trees do not know, and `data/pools.yaml` values. For such tools, `api_kinds` finds out what
a parameter means (`data/api_kinds.yaml`), and `api_values` makes up values with the help of Faker.

These functions are for use by other packages. All are deterministic given `rng`. `split="train"`
never uses a wording, leaf or tool that is marked as held out; `split="heldout"` uses only held-out
leaves.

- `toolbox.action_of(tool, example=None) -> Action`: reads any tool document. `.leaf` is None if the
  trees do not know the tool; `.slots` maps each parameter name to its `Slot` (kind, schema, word).
- `values.draw(slot, rng, today=None) -> value`: a random value for one parameter, by its schema.
- `values.draw_arguments(slots, rng, mention=0.45, fixed=None, order=(), today=None) -> dict`:
  arguments for a call: all required parameters, and optional ones with probability `mention`.
- `inference.slot_of(name, schema, required, example=None, about="") -> Slot`: a slot from a bare
  schema; `about` is what the tool does.
- `speech.surface(slot, value, rng, today=None) -> str`: the bare value as a user says it.
- `wording.phrase(slot, value, rng, split="train", today=None) -> str`: a value with its preposition
  or name ("in Oslo", "with a base of 10 cm").
- `user.request(calls, tools, rng, split="train", today=None) -> str | None`: a new request for
  these calls; None if a call cannot be put into words.
- `follow.change`, `follow.add`, `follow.follow_up`: later turns. `follow.resolve`: the answer to a
  question for one parameter. A request that lacks a parameter is `user.request` without it.
- `toolbox.distractors(tools, count, rng, split="train") -> list[Tool]`: other tools, about half of
  them similar to the given ones. None can do what `tools` do.
- `wording.today_of(messages)`: the date in a system message. A request says "next Friday" only if
  `today` is given.
"""
