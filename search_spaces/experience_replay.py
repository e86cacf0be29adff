"""Does experience replay help? ("w/o EP" in Tables 4 and 5)

| parameter  | kind   | range  | unit            | paper |
| ---------- | ------ | ------ | --------------- | ----- |
| past_share | choice | 0, 0.2 | share of a batch | 0.2   |

Half of a batch is clean; without replay the current generator makes all of the other half.
"""

from search_spaces.parameter import Choice

PAST_SHARE = Choice(name="past_share", values=(0.0, 0.2), unit="share of a batch", paper=0.2)
