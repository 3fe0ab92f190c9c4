"""Shows the frequencies of one image: its spectrum, its low and high parts, and its frequency channels.

`ImageSpectrum` holds the spectrum of an image and answers for any frequency ratio at once. `ImageChannels` holds the
192 frequency channels of an image and rebuilds it from any of them. The functions `analyze_image_spectrum`,
`analyze_image_parts` and `analyze_image_channels` write pictures and tables into a folder.
"""

from passband.analysis.images.channels import ImageChannels, analyze_image_channels
from passband.analysis.images.parts import ImageParts, ImageSpectrum, analyze_image_parts, visible_high
from passband.analysis.images.spectrum import RadialCurve, analyze_image_spectrum, radial_curve

__all__ = [
    "ImageChannels",
    "ImageParts",
    "ImageSpectrum",
    "RadialCurve",
    "analyze_image_channels",
    "analyze_image_parts",
    "analyze_image_spectrum",
    "radial_curve",
    "visible_high",
]
