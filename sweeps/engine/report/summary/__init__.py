"""What the records say: means, intervals, the best point, and where the paper's figures are."""
