"""The label of pixels that have no class."""

IGNORED = -1
"""Label of pixels that are neither learned nor scored. Mask files have a number of their own for them, such as 255 in
Pascal VOC and Cityscapes, which `data.masks.read_mask` replaces by this one."""
