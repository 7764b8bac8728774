"""What functions say about keywords, in the words of the command line."""

from __future__ import annotations

import pytest

from imrestore.cli._wording import of_options


@pytest.mark.parametrize(
    ("said", "here"),
    [
        ("image has 5 axes to filter; there must be 1 to 4 (use axes= to choose them)",
         "image has 5 axes to filter; there must be 1 to 4 (use --axes to choose them)"),
        ("axes is (0, 1); it must not contain channel_axis, 1", "--axes is (0, 1); it must not contain --channel-axis, 1"),
        ("rank is 3; with where= or nan_policy='omit' windows hold different numbers of samples: it must be None, use percentile=",
         "--rank is 3; with --where or --nan-policy 'omit' windows hold different numbers of samples: it must be left out, "
         "use --percentile"),
        ("image has 4 axes with channel_axis=-1; it must have 1 to 3 beside the channels",
         "image has 4 axes with --channel-axis -1; it must have 1 to 3 beside the channels"),
        ("data_range is None; for images of dtype float32 it must be a finite number > 0 in the images' units",
         "--data-range is not given; for images of dtype float32 it must be a finite number > 0 in the images' units"),
        ("sigma_space is 1e9 and truncate 2.0: int(truncate * sigma_space + 0.5) may be at most 1024",
         "--sigma-space is 1e9 and truncate 2.0: int(truncate * sigma_space + 0.5) may be at most 1024"),
        ("protocol is 'grey'; it must be None, 'gray', 'rgb' or 'y-sr'",
         "--protocol is 'grey'; it must be left out, 'gray', 'rgb' or 'y-sr'"),
        ("the mode of a size where x_y=1 is", "the mode of a size where x_y=1 is"),
    ],
)  # fmt: skip
def test_keywords_become_options_and_plain_words_stay(said: str, here: str) -> None:
    assert of_options(ValueError(said)) == here
