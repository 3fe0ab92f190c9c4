"""Writes SFNet, FSNet and ConvIR as ncnn networks, and runs them."""
