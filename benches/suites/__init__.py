"""A suite is a module with ``rows(plan)``, which yields one measured `benches.rows.Row` after the other."""

DEFAULT = ("mean", "gaussian", "median", "nl_means", "bm3d", "bilateral", "guided", "metrics", "noise", "degrade", "small", "cold")
NAMES = (*DEFAULT, "cuda")
