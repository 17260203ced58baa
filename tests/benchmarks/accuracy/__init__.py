"""How good maps are beside other ways to make them: same plots, same number of steps, several seeds.

python -m tests.benchmarks.accuracy --data zion gewata --seeds 1 2 3 --steps 300 --out accuracy.jsonl

=============  ================================================================================
`cases`        data sets, variants, and the recipe that each of them means
`peer`         torchgeo's trainer on the plots of a recipe
`run`          one case from its recipe to a row
`rows`         rows, their file, and tables of means and deviations
=============  ================================================================================
"""
