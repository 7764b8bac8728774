"""A suite is a module with ``rows(plan)``, which yields one measured `benches.rows.Row` after the other."""

NAMES = ("mean", "gaussian", "median", "small", "cold", "cuda")
DEFAULT = ("mean", "gaussian", "median", "small", "cold")
