"""How often should a fresh generator take over? (section 4.3: every 0.33 epochs)

| parameter      | kind   | range                                  | unit   | paper |
| -------------- | ------ | -------------------------------------- | ------ | ----- |
| reset_interval | choice | 0.1, 0.2, 0.33, 0.5, 1, 2 and never    | epochs | 0.33  |

``never``: the first generator stays. There is no past generator then, so that the share of
experience replay goes to the current one.
"""

from search_spaces.parameter import Choice

RESET_INTERVAL = Choice(
    name="reset_interval",
    values=(0.1, 0.2, 0.33, 0.5, 1.0, 2.0, "never"),
    unit="epochs",
    paper=0.33,
)

COARSE_GRID = (0.1, 0.33, 1.0, "never")
