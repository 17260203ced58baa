"""How well change is found in real pairs of dates: every way there is, on places it has not seen.

python -m tests.benchmarks.change --data onera --methods cva irmad siamese_unet torchgeo --out change.jsonl

===============  ==============================================================================
`places`         pairs with labels, and which of them are held out together
`cases`          methods, and the recipe that each of them means
`learn`          a network from its recipe, by the parts that `geodl train` is made of
`peer`           torchgeo's trainer for change, with its defaults
`scores`         probabilities counted by truth; from them F1 at any threshold
`run`            one part held out, from its pairs to rows
`rows`           rows, their file, and tables
`pictures`       what was found, missed and invented
===============  ==============================================================================
"""
