"""What the package says about keywords, said about the options of the command line."""

from __future__ import annotations

import re

from imrestore.cli._parser import FILTER_OPTIONS

KEYWORDS = FILTER_OPTIONS | {"crop", "data_range", "offset", "protocol", "report", "scale", "threads", "white"}

#: A keyword where it is none of English: at the start, before an equals sign, or with an underscore, but not in a formula.
_NAMED = re.compile(
    r"""^(?P<first>\w+)(?=\ (?:is|has|contains)\b)
    | \b(?P<given>\w+)=(?P<value>(?=[\w'"(-]))?
    | (?<!\*\ )\b(?P<inside>[a-z]+_[a-z_]+)\b""",
    re.VERBOSE,
)


def of_options(error: BaseException) -> str:
    """The message with ``--data-range`` for ``data_range``, and without None: on the command line that is an option not given."""

    def option(match: re.Match[str]) -> str:
        name = match["first"] or match["given"] or match["inside"]
        if name not in KEYWORDS:
            return match[0]
        return "--" + name.replace("_", "-") + ("" if match["value"] is None else " ")

    text = _NAMED.sub(option, str(error))
    return text.replace(" is None", " is not given").replace("must be None", "must be left out")
