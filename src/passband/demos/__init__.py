"""Demonstrations: each makes or finds its data, trains or loads a network, draws a result, and names the next commands.

One module per command `passband demo NAME`. `restoration` restores a photo with shipped weights. `segmentation` and
`detection` draw a set of shapes, and train for a minute.
"""
