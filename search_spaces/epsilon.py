"""How large is the best epsilon sphere? (appendix B: "determined with a line search")

| parameter | kind | range   | step | unit                   | paper |
| --------- | ---- | ------- | ---- | ---------------------- | ----- |
| epsilon   | real | 1 to 18 | 0.1  | l2 norm, [0, 1] pixels | 10    |

On 784 pixels: noise that turns every pixel by 0.5 has the size 14.
"""

from search_spaces.parameter import Real

EPSILON = Real(
    name="epsilon", low=1.0, high=18.0, step=0.1, unit="l2 norm, [0, 1] pixels", paper=10.0
)

PAPER_GRID = (2.0, 4.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 14.0)

COARSE_GRID = (4.0, 7.0, 10.0, 13.0)
