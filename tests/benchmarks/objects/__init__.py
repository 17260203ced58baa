"""How good footprints and road networks are on real scenes, beside what everybody can make of the same map.

python -m tests.benchmarks.objects --model MODEL_DIR --out rows.jsonl

=============  ==================================================================================
`places`       the scenes by name, and which model they are for
`sources`      one function for each collection: its files as one picture with its truth
`picture`      what such a function makes, and the files that are written of it
`measure`      from a scene to rows: predict, take the layer, compare with the truth
`baseline`     a threshold and `rasterio.features.shapes`, or a skeleton and `sknw`
`rows`         rows, their file, and tables
`draw`         vectors over their imagery, to look at
`by_place`     recipes that learn from two places of fAIr and are checked on the third
=============  ==================================================================================
"""
