"""Exact nearest neighbours and ranking on arrays; knows no person, camera or file.

Two shapes of search share the sorting of only what can win (`partial_sort`), distances of a group (`score`), and
the rule that float32 only screens while float64 decides:

- many queries against many vectors, once, in bounded memory (evaluation, re-ranking, clustering): `tiles` and
  `screening` cut the problem, `ranking` counts what stands before each true match, `neighbors` collects the k nearest;
- a few probes against vectors that stay in memory and change (a gallery): `index`, with the owner of each vector in
  `index_groups`, filters, and one distance for each identity.

One algorithm for both would either sort what need only be counted, or cut up again at each call what never changes.
"""
