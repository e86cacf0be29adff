"""Which training method? (Tables 6 and 7 of the paper, and two modern augmentations)

| parameter | kind   | range                       | paper   |
| --------- | ------ | --------------------------- | ------- |
| variant   | choice | ``gon_core.config.Variant`` | ant_1x1 |
"""

from typing import get_args

from gon_core.config import Variant
from search_spaces.parameter import Choice

METHOD = Choice(
    name="variant", values=get_args(Variant), unit="training method", paper="ant_1x1"
)  # fmt: skip
