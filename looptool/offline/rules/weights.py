"""The weights and thresholds of the rules judge, in one table.

Three scales occur. The weight of a fault is evidence, roughly in log odds: 1 is a hint, 3 is grave.
A strength says how surely the conversation states a value, from 0 to 1. A binding says how strongly
the words around a value suggest a parameter: 1 is some evidence, 2 is clear evidence.

The numbers come from development data and from the cases in tests/offline/rules. After a change,
compare the judge's scores on `benchmarks/judge.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

# Verdicts (judge.py)

DECISIVE = 2.0  # least advantage of a prediction that replaces a label
DECISIVE_CALL_OR_TEXT = 2.5  # the same, if one answer is a text: whether to call is harder to tell
TOLERATED = 1.0  # most evidence against a prediction that replaces a label
DOUBTFUL = 2.0  # most doubts about a prediction that replaces a label
GRAVE = 3.0  # evidence that proves a label wrong; a hard fault of this weight bars a prediction
UNSAID_EXACT = 0.3  # a number, or a text with digits, below this strength is invented
UNSAID_TEXT = 0.05  # other texts may be paraphrases, so almost no trace of them may be left
LEFT_OUT_LEAST = 2  # a new sample may leave one detail unused
LEFT_OUT_SHARE = 0.5  # it is refused if it leaves more than this share of them unused

ALONE_DECISIVE = 3.25  # evidence at which a label without a prediction is as likely wrong as right
ALONE_HARD = 6.5  # least evidence of a fault that alone shows that the label is wrong
ALONE_UNSAID_EXACT = 3.5  # evidence of a number, or a text with digits, that nobody said
ALONE_UNSAID_TEXT = 2.0  # evidence of another text that nobody said; it may be knowledge
RIVAL_RELEVANT = 0.35  # relevance from which a tool may be called in place of a text

CONFIDENCE_UNREADABLE = 0.99  # a prediction that cannot be parsed is wrong
CONFIDENCE_CLEAR = 0.9  # verdicts that rest on a rule and not on a sum of evidence
CONFIDENCE_INVENTED = 0.7  # an unparsable prediction against a label with an unsaid value
CONFIDENCE_NONE = 0.5  # no verdict; the least confidence of any verdict

ABOUT_EQUAL = 0.05  # a smaller advantage is not evidence (evidence.py)

# How surely a value is said (grounding.py)

SAID = 0.6  # least strength at which a value counts as said
GROUND_STOPWORD = 0.4  # a text that is only a stopword occurs by chance
GROUND_NO_ACCENTS = 0.95  # a text that differs in accents, or in affixes in another language
GROUND_NO_PUNCTUATION = 0.97  # a text that differs only in what stands between its words
GROUND_DIGITS = 0.95  # factor for a number that is given as a text
GROUND_ALL_WORDS = 0.85  # all words occur, but apart or in other forms
GROUND_ONE_SHORT_WORD = 0.6  # the stem of a single short word proves less
SHORT_WORD = 3  # letters of a word that is short
GROUND_SOME_WORDS = 0.55  # factor for the share of the words that occur
SOME_WORDS_SHARE = 0.5  # from this share on, the words that occur are its place in the text
GROUND_CODE = 0.85  # "CAD" for "Canadian dollars"
GROUND_SHARED_CODE = 0.4  # "CAD" for "dollars": it may be another dollar
GROUND_INITIALS = 0.8  # "UCL" for "University College London"
GROUND_CHOICE = 0.8  # factor for the likeness of a choice's words to words that are said
CHOICE_SETTLED = 0.8  # from this strength on, similar words are not looked for
GROUND_EMPTY = 0.3  # null, an empty text or list: little can be said for or against it
LIST_WEAKEST = 0.7  # share of the weakest item in the strength of a list or object
LIST_MEAN = 0.3  # share of the mean of its items

GROUND_NEGATION_FITS = 0.9  # a boolean whose topic is said with the right negation
GROUND_NEGATION_WRONG = 0.05  # the topic is said the other way round
GROUND_UNSAID_FALSE = 0.3  # the topic is not said: false is what a user would leave out
GROUND_UNSAID_TRUE = 0.15  # the topic is not said: true would have to be asked for
BOOLEAN_TOPIC = 0.8  # least likeness of a word to the topic of a boolean
NEGATION_WINDOW = 4  # words before the topic in which a negation counts

NUMBER_IN_DATE = 0.6  # most strength of a number that is part of a date
NUMBER_IN_TIME = 0.9  # most strength of a number that is part of a time
NUMBER_IN_CLEAR_TIME = 0.6  # the same, if the time is clear and is not the number of hours
NUMBER_ALMOST = 0.6  # 4 for "less than five"
LIMIT_WINDOW = 2  # words before a number in which "less than" counts
NUMBER_CONVERTED = 0.9  # in another unit, which the parameter names
NUMBER_CONVERTED_ODDLY = 0.15  # in another unit, which nothing names
NUMBER_TIED = 0.3  # readings that are weaker by no more than this count as further places
NUMBER_LEAST = 0.1  # weaker readings are not a place of a number
HOUR_OR_DAY = 0.9  # a number that is the hour of a clear time
HOUR_OR_DAY_UNCLEAR = 0.6  # a number that is part of a date, or the hour of an unclear time

TIME_UNCLEAR = 0.9  # a time that may be in the morning or in the evening
TIME_MIDNIGHT = 0.6  # 00:00 beside a date is how a date is written where a time belongs
DAY_PLACE = 0.3  # a worse match is not a place of a date
DAY_NEAR = 0.9  # a date said without a year that fits within a year of today
DAY_FAR = 0.4  # a date said without a year in a distant year
DAY_NEAR_DAYS = 366  # days from today up to which a date is near

# Readings of numbers (numbers.py)

READ_BARE_SCALE = 0.3  # 2 in "2 million"
READ_METRES = 0.9  # 5 in "5m", which may be metres or minutes as well as millions
READ_GROUP = 0.4  # 1 and 200 in "1,200"
READ_FRACTION = 0.9  # 0.75 in "3/4"
READ_FRACTION_PART = 0.5  # 3 and 4 in "3/4"
READ_DIE = 0.9  # 20 in "d20"
READ_ONE_PART = 0.6  # "a third" may be a rank
READ_PART_PERCENT = 0.6  # 75 for "three quarters"
READ_FIXED = 0.6  # "once", "single" and "pair" often count nothing
READ_ORDINAL = 0.7  # "third"
READ_SECOND = 0.3  # "second" is often a unit of time
READ_ALONE = 0.6  # "one" or "half" alone is often no number
READ_WITHOUT_HALF = 0.3  # 1 in "one hour and a half"
READ_ARTICLE_UNIT = 0.8  # "a week"
READ_ARTICLE = 0.35  # "a lamp"

# What a request mentions (conversation.py)

MENTION_QUOTED_MOST = 0.6  # a quotation that is a larger share of the request is the request
MENTION_NUMBER = 0.8  # least strength of a number without a word after it
MENTION_NUMBER_UNIT = 0.4  # a number with a word after it must be stronger than this

# Which tool the request is about (relevance.py)

WORD_OF_NAME = 1.5  # a word of a tool's name
WORD_OF_NAME_PALE = 0.5  # a word of its name that many tools share, such as "get"
WORD_OF_DESCRIPTION = 0.6  # a word of its description
NAME_WORD = 1.0  # a word of the name, where only the name counts
NAME_WORD_PALE = 0.4  # a pale word of the name, where only the name counts
NAME_WITHOUT_WORDS = 0.5  # a name without meaningful words fits neither well nor badly
SAID_IN_REQUEST = 1.0  # a word of the last message
SAID_EARLIER = 0.5  # a word of an earlier message
SAID_BEFORE_FOLLOW_UP = 0.9  # a word of an earlier message, if the last one is a short follow-up
FOLLOW_UP_WORDS = 2  # most words besides values in a follow-up
SAID_IN_NAME = 0.6  # factor for words in names and quotations
NAME_WORD_UNASKED = -0.25  # a word that only this tool's name has and that the request lacks
RELEVANCE_WAITING = 0.3  # a tool this relevant that is not called yet may take what is unused

# Which parameter the words around a value suggest: bindings (relevance.py)

PARAMETER_NAME = 1.2  # a word of a parameter's name
PARAMETER_DESCRIPTION = 0.6  # a word of its description
PARAMETER_SHARED = 0.4  # factor per sibling that has the word too
BEFORE_WINDOW = 7  # words before a value that count
AFTER_WINDOW = 4  # words after a value that count
FADE = 0.3  # how fast words lose weight with their distance
ACROSS_MENTION = 0.3  # factor for words beyond another value
ACROSS_COMMA = 0.5  # factor for words beyond a comma
ACROSS_CUE = 0.3  # factor for words after a value beyond "from", "to" and the like
CUE = 1.2  # the nearest cue word ("from", "under") announces this parameter
WORD_AFTER = 1.2  # factor for words after a value: "5 guests" says more than "guests: 5"
KEY_OF_RESULT = 2.0  # the key of the value in a tool's response is the parameter's name
TYPE_FITS = 1.0  # a date, time, code or amount where the parameter takes one
TYPE_ODD = -0.5  # a date, time, code or amount where the parameter takes none
TYPE_WORD = 0.2  # least weight of a parameter's word that tells its type
ORDER_NUMBERED = 2.5  # numbered parameters (first, second) are mentioned in their order
ORDER_DIRECTED = 0.8  # parameters with a direction (from, to) often are
RANK_WINDOW = 3  # words before a value in which "first" or "second" counts

# Likeness of words (words.py, languages.py)

LIKE_BEGINNING = 0.8  # one word begins with the other
LIKE_SYNONYM = 0.7  # words in one line of the list of synonyms
LIKE_FIVE_LETTERS = 0.6  # the first five letters are the same
ALIKE = 0.6  # share of equal letters of two forms of one value
LANGUAGE_WINDOW = 800  # last characters of the user's text that tell its language
LANGUAGE_WORDS = 6  # so many different words, none of them English, are another language

# How surely a value belongs to its parameter, and which calls are a pair (answers.py)

USED = 0.5  # from this strength on, an answer uses the words that a value comes from
CLAIM_TOOL_WORD = 0.2  # a text that only repeats the tool's document
CLAIM_PIECE = 0.3  # a text that is a part of a longer name or code
CLAIM_FORMLESS = 0.4  # a text without the form that its parameter needs
CLAIM_SYSTEM = 0.3  # a text that only the system message has
RIVAL_BINDING = 1.3  # a sibling parameter is clearly suggested above this binding …
RIVAL_LEAD = 1.0  # … and if it leads by more than this

PAIR_EQUAL = 100.0  # equal calls are a pair before anything else
PAIR_SAME_TOOL = 10.0  # then calls of one tool
PAIR_SAME_VALUE = 2.0  # then calls that share values
PAIR_SAME_ARGUMENT = 0.5  # then calls that share arguments

# Faults of one answer (faults.py)

SCHEMA_BROKEN = 6.0  # outweighs whatever speaks against the other answer, but for its schema
CALL_MADE_BEFORE = 4.0  # the same call was made since the last request
CALL_REPEATED = 4.5  # equal calls that nothing asks for, or another number than is asked for
CALL_REPEATED_LEAVING_VALUES = 2.0  # equal calls, perhaps asked for, while values are unused
COUNT_MISSED = 3.5  # fewer or more calls than things asked for, while the other answer fits
COUNT_MISSED_BY_BOTH = 1.5  # too few calls, but the other answer does not fit either

# An argument that only one answer gives (faults.py)

ARGUMENT_UNSAID: Mapping[str, float] = {  # by kind; times how unsurely it is said
    "boolean": 1.0,
    "enum": 1.5,
    "number": 3.0,
    "text": 3.0,
    "list": 3.0,
}
ARGUMENT_UNSAID_BELOW = 0.5  # below this strength nobody said it
CHOICE_LEFT_OUT = 3.0  # a boolean or choice that is said; times its strength
CHOICE_TAKEN = 2.0  # less, if the other answer uses the same words
ARGUMENT_LEFT_OUT = 2.0  # another value that is said; times its strength
ARGUMENT_TAKEN = 1.5  # against it, if the other answer uses the same words
ARGUMENT_BINDING_MOST = 1.5  # most that the words around it add
ARGUMENT_STALE = 1.5  # less, if it is said only before the last request

# A call that only one answer makes (faults.py)

CALL_LOOSE = 3.0  # it has a value that nobody said, or that belongs to another parameter
CALL_LOOSE_CLAIM = 0.4  # up to this claim a value makes a call loose
CALL_NEWS_CLAIM = 0.7  # from this claim on, an unused value speaks for a call
CALL_NEWS_ANNOUNCED = 0.2  # binding above which a value that is not a mention speaks for a call
CALL_MISSING = 3.5  # a further call of a tool that both answers call, with unused values
CALL_TOO_MANY = 1.0  # a further call of such a tool, without unused values
TOOL_NAMED = 2.0  # factor for how much the request names a tool that only one answer calls
TOOL_NAMED_NEUTRAL = 0.7  # being named this much speaks neither for nor against the call
TOOL_NEWS = 1.5  # the call takes up unused values
TOOL_NO_NEWS = -1.0  # the call takes up none
TOOL_CALLED_BEFORE = -3.0  # the tool was called since the last request
TOOL_SHARES_NUMBER = -2.0  # two tools seldom use the same number
TOOL_MOST = 3.5  # limit of the sum, either way

# Calls of different tools in place of each other (faults.py)

PREFERENCE = 1.3  # factor for how much more one tool is asked for than the other
PREFERENCE_MOST = 3.0  # its limit, either way
OTHER_TOOL_UNSAID = 2.0  # the call has a value that nobody said
OTHER_TOOL_UNSAID_BELOW = 0.3  # below this strength nobody said it
OTHER_TOOL_TWICE = 1.5  # the call uses words that it needs for another parameter
OTHER_TOOL_UNUSED = 1.2  # for each detail that only the other answer uses
OTHER_TOOL_UNUSED_MOST = 2.5  # limit of the sum

# Doubts about an answer by itself (faults.py)

DOUBT_UNSAID: Mapping[str, float] = {  # by kind; times how unsurely it is said
    "boolean": 0.3,
    "enum": 0.5,
    "number": 1.5,
    "text": 1.5,
    "list": 1.5,
}
DOUBT_TWICE = 0.5  # words that are used for two parameters
DOUBT_UNUSED_NAME = 0.4  # an unused name; it may be the user's own
DOUBT_UNUSED = 0.7  # another unused detail
DOUBT_WAITING = 0.3  # factor, if a later call may take it up

# Values that differ (values.py)

VALUE_GAP = 4.5  # factor for how much more surely one value is said
VALUE_GAP_CHOICE = 3.0  # the same for booleans and choices
VALUE_GAP_CHOICE_OF_MANY = 2.0  # the same in an answer of several calls
VALUE_LISTED = 0.3  # factor, if the weaker one is a choice that the description lists
VALUE_TAKEN = 0.3  # factor, if the stronger one is the value of another parameter
VALUE_FRESH = 1.5  # only one is said in the last request
VALUE_REPEATS_NAME = 1.2  # only one just repeats words of the parameter's name
VALUE_IS_MENTION = 0.8  # only one is exactly a name, code or number of the request
VALUE_BINDING_MOST = 2.5  # limit of the evidence from the words around two values
VALUE_UNUSED = 1.9  # the other answer leaves the words of this value unused
VALUE_TWICE = 1.5  # an answer uses the words of this value for something else too
VALUE_WHOLE = 3.0  # one text contains the other, and only one is a whole name or code
VALUE_WHOLE_STRENGTH = 0.9  # both must be said at least this surely
VALUE_MOST = 5.0  # limit of the sum, either way

SWAP_BINDING = 2.0  # factor for how much better two values fit where they are
SWAP_RANK = 3.0  # "the first …, the second …" says where two values belong
SWAP_MOST = 4.0  # limit of the evidence on two parameters of one call
SWAP_CALLS = 1.5  # two calls take values in, or against, the order of the request

LIST_ORDER = 3.0  # the same items, but only one list has the order of the request
LIST_ITEM_UNSAID = -1.8  # an item that nobody said; times how unsurely it is said
LIST_ITEM_TOO_OFTEN = -1.5  # an item more often than it is said
LIST_ITEM_BINDING_MOST = 1.5  # most for an item of a list that shares no items with the other
LIST_ITEM_NEAR = 3.0  # an item said beside the items that both lists have
LIST_ITEM_FAR = -0.5  # an item said far from them
LIST_NEAR = 30  # characters between items that are said beside each other
LIST_SPREAD = 40  # characters per item within which a list is said
LIST_UNCLEAR = 0.5  # how well ordered a list is if nothing tells
LIST_MOST = 4.0  # limit of the sum, either way

# A call against a text (fitting.py). Those of FIT_… are rounded from a logistic regression on
# development data; pairs are (if the text asks, if it declines).

TEXT_SAID_BEFORE = 3.0  # a text of the assistant that was answered already
TEXT_NO_SENTENCE = 3.0  # fewer than two words
TEXT_NO_PURPOSE = 1.5  # it neither asks nor declines
FIT_MOST = 5.0  # limit of the sum, either way
FIT_RELEVANCE = (0.3, 5.3)  # factor for the relevance of the tool
FIT_CONSTANT = (0.4, -1.4)  # what an irrelevant tool leaves
FIT_RELEVANT = 0.4  # relevance from which the rationale says that a tool fits
FIT_CLAIM = (2.1, 0.8)  # factor for the claim of the weakest required value
FIT_CLAIM_NEUTRAL = 0.5  # such a claim speaks neither for nor against a call
FIT_CLAIM_NONE = 0.8  # claim of a call that needs no value
FIT_CLAIM_RIVAL = 0.4  # most claim of a value that a sibling parameter suits better
FIT_TWICE = (-5.5, -4.0)  # a required value takes the words of another parameter
FIT_ABSENT = -6.0  # the call lacks a required parameter
FIT_BINDING = 2.4  # factor for the mean binding of the values
FIT_BINDING_MOST = 1.5  # most that one value counts
FIT_BINDING_NEUTRAL = 0.5  # the same for the binding
FIT_COVERED = 1.8  # factor for the share of the request's details that the call uses
FIT_COVERED_NEUTRAL = 0.5  # the same for the share of details
FIT_ASKED_FOR = -1.5  # the text asks for an argument that the call gives
FIT_ASKED_FOR_UNSAID = -5.0  # the same, if nobody said it
FIT_ASKED_WORD = 0.4  # least weight of the parameter's words that a text asks with
FIT_ASKED_LEAST = 0.6  # least score of a parameter that is asked for
FIT_OTHER_TOOL = -3.0  # factor for how much better another tool fits
FIT_OTHER_TOOL_LEAD = 0.3  # a smaller lead does not count
FIT_DOUBTFUL_MOST = 1.0  # most for a call with an unsaid value or of an irrelevant tool
FIT_IRRELEVANT = 0.12  # below this relevance a tool is irrelevant
FIT_GOES_ON = 0.7  # least relevance of a tool that a follow-up continues with

# Requests in other languages (foreign.py)

STANDS = 0.9  # from this strength on, a value is in the request letter by letter
ABSENT = 0.3  # below this strength no form of it is there
FOREIGN_CALL_MISSING = 3.5  # no call for a value that is there
FOREIGN_ARGUMENT_LEFT_OUT = 2.5  # no argument for a value that is there
FOREIGN_VALUE = 4.0  # a value that is not there in place of one that is

# Harmless differences (harmless.py)

HARMLESS_STRENGTH = 0.85  # both forms of a value must be said at least this surely
