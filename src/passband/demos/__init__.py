"""Demonstrations: each makes or finds its data, trains or loads a network, draws a result, and names the next commands.

One module per command `passband demo NAME`. `restoration` restores a photo with shipped weights. `segmentation` and
`detection` draw a set of shapes, `classification` draws a set of textures, and they train for a minute. `curriculum`
trains twice, with a curriculum and without.
"""
