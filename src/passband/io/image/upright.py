"""Turns images upright, and updates all metadata that depend on their orientation."""

from dataclasses import replace

from passband.io.image.metadata.exif import icc_for, reset_orientation, turn_upright
from passband.io.image.metadata.exif_edit import exif_density, swapped_exif
from passband.io.image.metadata.xmp import upright_xmp
from passband.io.image.types import Decoded, ImageMeta, Pixels


def upright_image(pixels: Pixels, meta: ImageMeta, notes: tuple[str, ...] = ()) -> Decoded:
    """Turn an image upright as its EXIF orientation says, and update its metadata.

    Args:
        pixels: pixels as stored.
        meta: metadata as stored. If only the EXIF block holds a density, it is taken from there.
        notes: sentences about content of the file that could not be read.

    Returns:
        The upright image. Color profiles that do not describe its pixels are left out.
    """
    orientation, exif = reset_orientation(meta.exif) if meta.exif else (1, None)
    density, xmp = meta.density, meta.xmp
    if exif and (density is None or (density.x == density.y and density.unit == "ratio")):
        density = exif_density(exif) or density
    if orientation >= 5:
        exif = swapped_exif(exif) if exif else None
        density = density.turned() if density else None
    if orientation > 1 and xmp:
        xmp = upright_xmp(xmp)
    icc = icc_for(meta.icc, gray=pixels.shape[-1] <= 2)
    return Decoded(
        turn_upright(pixels, orientation), replace(meta, exif=exif, icc=icc, density=density, xmp=xmp), notes
    )
