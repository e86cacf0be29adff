"""Which training method? (Tables 6 and 7 of the paper, and two modern augmentations)

| parameter | kind   | range                      | paper   |
| --------- | ------ | -------------------------- | ------- |
| variant   | choice | ``gon_core.config.VARIANTS`` | ant_1x1 |
"""

from gon_core.config import VARIANTS
from search_spaces.parameter import Choice

METHOD = Choice(
    name="variant", values=tuple(VARIANTS), unit="training method", paper="ant_1x1"
)  # fmt: skip
