"""Products in a browser: a small server on this machine with tiles of rasters of any size.

=============  ==============================================================================
`catalogue`    which products a folder holds, and which of their files may be shown
`map_data`     the map of a product, taken from its page and checked
`tiles`        tiles and single pixels of rasters (rio-tiler)
`imagery`      the scene itself, where the user says in which folder it lies
`pages`        the start page and the map of one product
`view`         tiles and pixels of one product
`server`       HTTP on the loopback address, for this machine alone
=============  ==============================================================================
"""
