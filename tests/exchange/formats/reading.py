"""What the tests of all formats share: a record goes in, labels and reasons come out."""

from looptool.core import canonical
from looptool.exchange.formats import Changes, Refused, formats
from looptool.exchange.formats.cutting import cut


class Reason(str):
    """A reason that holds this text."""

    def __eq__(self, other):
        return isinstance(other, tuple) and other[0] == "refused" and str(self) in other[1]

    __hash__ = str.__hash__


def calls(*each):
    return {"calls": [{"name": name, "arguments": arguments} for name, arguments in each]}


def text(said):
    return {"text": said}


def refused(reason):
    return Reason(reason)


def samples(form, record):
    changes = Changes()
    return list(cut(formats()[form].read(record, changes), changes))


def reads(form, record):
    """The label of each sample of a record, and the reason of each turn that is none."""
    try:
        cuts = samples(form, record)
    except Refused as error:
        return [("refused", str(error))]
    return [("refused", c.reason) if c.reason else canonical.loads(c.label) for c in cuts]
